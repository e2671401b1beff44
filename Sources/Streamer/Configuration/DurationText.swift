/// Durations as the configuration writes them: "10s", "100ms", "1h30m", as Go reads them too.
enum DurationText {
  private static let nanoseconds: [(unit: String, count: Double)] = [
    ("ns", 1), ("us", 1e3), ("µs", 1e3), ("μs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 60e9),
    ("h", 3600e9),
  ]

  /// Reads a duration; `nil` when it is none, negative, without a unit, or longer than 100 years.
  ///
  /// "0" needs no unit.
  static func parse(_ text: String) -> Duration? {
    if text == "0" { return .zero }
    var rest = Substring(text)
    var total = 0.0
    repeat {
      let digits = rest.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
      guard let number = Double(digits), number.isFinite else { return nil }
      rest = rest.dropFirst(digits.count)
      let unit = rest.prefix { $0.isLetter }
      guard let factor = nanoseconds.first(where: { $0.unit == unit })?.count else { return nil }
      rest = rest.dropFirst(unit.count)
      total += number * factor
    } while !rest.isEmpty
    guard total < 3.2e18 else { return nil }
    return .nanoseconds(Int64(total.rounded()))
  }

  /// Writes a duration for people: whole milliseconds below a second, else seconds.
  static func text(_ duration: Duration) -> String {
    let (seconds, attoseconds) = duration.components
    let milliseconds = attoseconds / 1_000_000_000_000_000
    if seconds == 0 { return "\(milliseconds)ms" }
    return milliseconds == 0 ? "\(seconds)s" : "\(Double(seconds * 1000 + milliseconds) / 1000)s"
  }
}
