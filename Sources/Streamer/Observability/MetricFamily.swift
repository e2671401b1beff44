/// All series of one metric's name.
struct MetricFamily: Sendable {
  /// What kind of metric it is; the raw value is Prometheus' word.
  enum Kind: String, Sendable { case counter, gauge, histogram }

  /// One series' handle.
  enum Handle: Sendable {
    case counter(Counter)
    case gauge(Gauge)
    case histogram(Histogram)
  }

  /// A label and its value.
  struct Label: Hashable, Sendable {
    let name: String
    let value: String
  }

  /// What a series that is one too many has for every value.
  static let overflowValue = "_other"

  let name: String
  let help: String
  let kind: Kind
  /// The series by their labels.
  private(set) var series: [[Label]: Handle] = [:]

  /// Makes a family without series.
  init(name: String, help: String, kind: Kind) {
    self.name = name
    self.help = help
    self.kind = kind
  }

  /// The handle of the series with those labels, made when it is new.
  mutating func handle(_ labels: [Label], limit: Int, _ make: () -> Handle) -> Handle {
    if let handle = series[labels] { return handle }
    precondition(
      labels.allSatisfy { Self.isName($0.name) && !$0.name.contains(":") && $0.name != "le" },
      "a label's name has letters, digits and underscores, and is not le")
    if series.count >= limit {
      let other = labels.map { Label(name: $0.name, value: Self.overflowValue) }
      if other != labels { return handle(other, limit: .max, make) }
    }
    let handle = make()
    series[labels] = handle
    return handle
  }

  /// Drops the series that have this label with this value.
  mutating func remove(_ label: String, _ value: String) {
    let dropped = Label(name: label, value: value)
    series = series.filter { !$0.key.contains(dropped) }
  }

  /// Whether Prometheus takes this as a name.
  static func isName(_ text: String) -> Bool {
    guard let first = text.utf8.first, !(0x30...0x39).contains(first) else { return false }
    return text.utf8.allSatisfy { byte in
      (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
        || byte == UInt8(ascii: "_") || byte == UInt8(ascii: ":")
    }
  }
}
