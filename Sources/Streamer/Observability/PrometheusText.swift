/// Prometheus' text format, version 0.0.4 (its manual: "Exposition formats").
///
/// ```
/// # HELP name text
/// # TYPE name counter
/// name{label="value"} 1
/// ```
struct PrometheusText {
  /// What an HTTP answer with this text says of itself.
  static let contentType = "text/plain; version=0.0.4; charset=utf-8"

  /// The UTF-8 written so far.
  private(set) var bytes: [UInt8] = []

  /// Appends a family, or nothing when it has no series.
  mutating func append(_ family: MetricFamily) {
    if family.series.isEmpty { return }
    append("# HELP \(family.name) ")
    append(family.help, escapingQuotes: false)
    append("\n# TYPE \(family.name) \(family.kind.rawValue)\n")
    for one in family.series {
      switch one.handle {
      case .counter(let counter): sample(family.name, one.labels, String(counter.value))
      case .gauge(let gauge): sample(family.name, one.labels, Self.number(gauge.value))
      case .histogram(let histogram): append(histogram, family.name, one.labels)
      }
    }
  }

  private mutating func append(_ histogram: Histogram, _ name: String, _ labels: String) {
    let counts = histogram.cumulativeCounts
    let prefix = labels.isEmpty ? "" : labels + ","
    for (bound, count) in zip(histogram.bounds, counts) {
      sample(name + "_bucket", "\(prefix)le=\"\(Self.number(bound))\"", String(count))
    }
    let total = String(counts.last ?? 0)
    sample(name + "_bucket", prefix + "le=\"+Inf\"", total)
    sample(name + "_sum", labels, Self.number(histogram.sum))
    sample(name + "_count", labels, total)
  }

  private mutating func sample(_ name: String, _ labels: String, _ value: String) {
    append(name)
    if !labels.isEmpty {
      append("{")
      append(labels)
      append("}")
    }
    append(" ")
    append(value)
    append("\n")
  }

  private mutating func append(_ text: String) { bytes.append(contentsOf: text.utf8) }

  private mutating func append(_ text: String, escapingQuotes: Bool) {
    append(Self.escaped(text, quotes: escapingQuotes))
  }

  /// A text with `\` and line feeds escaped, in a label's value quotes too.
  static func escaped(_ text: String, quotes: Bool) -> String {
    let special: (UInt8) -> Bool = {
      $0 == UInt8(ascii: "\\") || $0 == 0x0A || (quotes && $0 == UInt8(ascii: "\""))
    }
    guard text.utf8.contains(where: special) else { return text }
    var result = String.UnicodeScalarView()
    for character in text.unicodeScalars {
      switch character {
      case "\\": result.append(contentsOf: "\\\\".unicodeScalars)
      case "\n": result.append(contentsOf: "\\n".unicodeScalars)
      case "\"" where quotes: result.append(contentsOf: "\\\"".unicodeScalars)
      default: result.append(character)
      }
    }
    return String(result)
  }

  /// A number as Go's ParseFloat reads it, whole ones without a fraction.
  static func number(_ value: Double) -> String {
    if value.isNaN { return "NaN" }
    if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
    return Int64(exactly: value).map(String.init) ?? value.description
  }
}
