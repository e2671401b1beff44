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

  /// One series: its labels as they are printed, `name="value",name="value"`, and its numbers.
  struct Series: Sendable {
    let labels: String
    let handle: Handle
    /// How many have asked for it and not released it.
    var users = 1
  }

  let name: String
  let help: String
  let kind: Kind
  /// The series in the order in which they were made, so that two scrapes can be compared.
  private(set) var series: [Series] = []
  private var places: [String: Int] = [:]

  /// Makes a family without series.
  init(name: String, help: String, kind: Kind) {
    self.name = name
    self.help = help
    self.kind = kind
  }

  /// The handle of the series with those labels, made when it is new.
  mutating func handle(_ labels: Metrics.Labels, _ make: () -> Handle) -> Handle {
    let text = Self.text(labels)
    if let place = places[text] {
      series[place].users += 1
      return series[place].handle
    }
    let handle = make()
    places[text] = series.count
    series.append(Series(labels: text, handle: handle))
    return handle
  }

  /// Gives up a series, which goes with the last one who has asked for it.
  mutating func release(_ labels: Metrics.Labels) {
    let text = Self.text(labels)
    guard let place = places[text] else { return }
    series[place].users -= 1
    guard series[place].users == 0 else { return }
    // The last one takes its place: the order changes, which costs less than moving all others.
    places[text] = nil
    let last = series.removeLast()
    guard place < series.count else { return }
    series[place] = last
    places[last.labels] = place
  }

  /// Drops the series that have this label with this value.
  mutating func remove(_ label: String, _ value: String) {
    let pair = Self.text([(label, value)])
    // A quotation mark inside a value has a backslash before it, so this finds whole pairs only.
    series.removeAll { ",\($0.labels),".contains(",\(pair),") }
    places = Dictionary(
      uniqueKeysWithValues: series.enumerated().map { ($0.element.labels, $0.offset) })
  }

  private static func text(_ labels: Metrics.Labels) -> String {
    precondition(
      labels.allSatisfy { isName($0.name) && !$0.name.utf8.contains(0x3A) && $0.name != "le" },
      "a label's name has letters, digits and underscores, and is not le")
    var text = ""
    for (name, value) in labels {
      if !text.isEmpty { text += "," }
      text += name
      text += "=\""
      text += PrometheusText.escaped(value, quotes: true)
      text += "\""
    }
    return text
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
