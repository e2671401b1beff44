import Testing

/// A strict reader of Prometheus' text format 0.0.4: what it takes, Prometheus takes.
struct PrometheusParser {
  struct Sample: Hashable {
    let name: String
    let labels: [String: String]
    let value: Double
  }

  private(set) var help: [String: String] = [:]
  private(set) var types: [String: String] = [:]
  private(set) var samples: [Sample] = []

  struct Fault: Error, CustomStringConvertible {
    let description: String
  }

  init(_ bytes: [UInt8]) throws {
    guard let text = String(validating: bytes, as: UTF8.self) else { throw Fault("no UTF-8") }
    guard text.isEmpty || text.hasSuffix("\n") else { throw Fault("no line feed at the end") }
    for line in text.split(separator: "\n", omittingEmptySubsequences: false).dropLast() {
      if line.hasPrefix("#") { try comment(line) } else { try sample(line) }
    }
    try checkHistograms()
  }

  /// The value of the one sample with that name and those labels.
  func value(_ name: String, _ labels: [String: String] = [:]) throws -> Double {
    let found = samples.filter { $0.name == name && $0.labels == labels }
    try #require(found.count == 1, "\(name) \(labels)")
    return found[0].value
  }

  private mutating func comment(_ line: Substring) throws {
    let words = line.split(separator: " ", maxSplits: 3, omittingEmptySubsequences: false)
    guard words.count == 4 else { throw Fault("comment: \(line)") }
    let name = String(words[2])
    switch words[1] {
    case "HELP":
      guard help.updateValue(String(words[3]), forKey: name) == nil else {
        throw Fault("second HELP: \(name)")
      }
    case "TYPE":
      guard types.updateValue(String(words[3]), forKey: name) == nil else {
        throw Fault("second TYPE: \(name)")
      }
      guard ["counter", "gauge", "histogram"].contains(words[3]) else {
        throw Fault("type: \(line)")
      }
    default: throw Fault("comment: \(line)")
    }
  }

  private mutating func sample(_ line: Substring) throws {
    var rest = line
    let name = String(rest.prefix { $0.isLetter || $0.isNumber || $0 == "_" || $0 == ":" })
    guard !name.isEmpty, name.first?.isNumber == false else { throw Fault("name: \(line)") }
    rest.removeFirst(name.count)
    var labels: [String: String] = [:]
    if rest.first == "{" {
      rest.removeFirst()
      repeat {
        let label = String(rest.prefix { $0.isLetter || $0.isNumber || $0 == "_" })
        rest.removeFirst(label.count)
        guard !label.isEmpty, rest.hasPrefix("=\"") else { throw Fault("label: \(line)") }
        rest.removeFirst(2)
        guard labels.updateValue(try Self.value(&rest, line), forKey: label) == nil else {
          throw Fault("second label \(label): \(line)")
        }
      } while try Self.hasNext(&rest, line)
    }
    guard rest.first == " " else { throw Fault("value: \(line)") }
    rest.removeFirst()
    let text = rest == "+Inf" ? "inf" : rest == "-Inf" ? "-inf" : String(rest)
    guard let value = Double(text) else { throw Fault("value: \(line)") }
    guard !samples.contains(where: { $0.name == name && $0.labels == labels }) else {
      throw Fault("second sample: \(line)")
    }
    guard types[family(name)] != nil, help[family(name)] != nil else {
      throw Fault("sample before TYPE and HELP: \(line)")
    }
    samples.append(Sample(name: name, labels: labels, value: value))
  }

  private static func value(_ rest: inout Substring, _ line: Substring) throws -> String {
    var value = String.UnicodeScalarView()
    var scalars = rest.unicodeScalars
    while let character = scalars.popFirst() {
      switch character {
      case "\"":
        rest = Substring(scalars)
        return String(value)
      case "\\":
        switch scalars.popFirst() {
        case "n": value.append("\n")
        case "\\": value.append("\\")
        case "\"": value.append("\"")
        default: throw Fault("escape: \(line)")
        }
      default: value.append(character)
      }
    }
    throw Fault("quote: \(line)")
  }

  private static func hasNext(_ rest: inout Substring, _ line: Substring) throws -> Bool {
    guard let next = rest.popFirst(), next == "," || next == "}" else {
      throw Fault("labels: \(line)")
    }
    return next == ","
  }

  private func family(_ name: String) -> String {
    for suffix in ["_bucket", "_sum", "_count"] where name.hasSuffix(suffix) {
      let stem = String(name.dropLast(suffix.count))
      if types[stem] == "histogram" { return stem }
    }
    return name
  }

  private func checkHistograms() throws {
    for (name, type) in types where type == "histogram" {
      for count in samples where count.name == name + "_count" {
        let buckets = samples.filter { sample in
          guard sample.name == name + "_bucket" else { return false }
          var labels = sample.labels
          labels["le"] = nil
          return labels == count.labels
        }
        let values = buckets.map(\.value)
        guard buckets.last?.labels["le"] == "+Inf", values.last == count.value,
          values == values.sorted()
        else { throw Fault("histogram \(name)") }
      }
    }
  }

}

extension PrometheusParser.Fault {
  init(_ description: String) { self.init(description: description) }
}
