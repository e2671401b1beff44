import PGWire
import Support

@testable import Streamer

/// The two readers of JSON, that of Kafka's events and that of `status`, beside a third one.
enum JSONFuzz: FuzzTarget {
  static let name = "json"

  static let words = [
    "\"Table\"", "\"Schema\":", "\"Action\":\"message\"", "null", "true", "\\u00e9",
    "\\ud83d\\ude00",
    "1e5", "-0.5", "66666666666666666666661", "-1E+400", "{}", "[]",
  ]

  static var seeds: [[UInt8]] {
    [
      #"{"Database":"d","Schema":"public","Table":"t","Action":"insert","Columns":{"id":1}}"#,
      #"{"Table":"t"}"#, #"{"Action":"message","Table":""}"#, #"[1, -2.5e3, "a\"é\\", null]"#,
      #" {"a":{"b":[true,false,{}]},"c":"\ud83d\ude00"} "#, #"{"Table":1}"#,
      #"{"Table":"t","Columns":{"a":66666666666666666666661,"b":-1.5e400}}"#,
    ].map { Array($0.utf8) }
  }

  static func run(_ input: [UInt8]) throws(Violation) {
    let text = String(validating: input, as: UTF8.self)
    let expected = text.flatMap { try? JSON($0) }
    let found = JSONValue(input)
    // Each has a limit of its own for what is nested.
    let isDeep = input.count { $0 == UInt8(ascii: "[") || $0 == UInt8(ascii: "{") } > 60
    if !isDeep {
      try require(
        (found == nil) == (expected == nil), "`status` and the tests disagree on what is JSON")
    }
    if let found, let expected { try require(found.equals(expected), "one text is two values") }
    try readEvent(input, isJSON: expected != nil, isDeep: isDeep)
  }

  private static func readEvent(
    _ input: [UInt8], isJSON: Bool, isDeep: Bool
  ) throws(Violation) {
    var parser = KafkaEventParser()
    let refusal: KafkaMalformation?
    do throws(KafkaMalformation) {
      try parser.parse(unsafe input.span.bytes)
      refusal = nil
    } catch { refusal = error }
    switch refusal {
    case nil:
      try require(isJSON || isDeep, "an event that is no JSON was taken")
      // An escape never makes a text longer; what has no schema is in "public".
      let longest = max(input.count, 6)
      try require(
        parser.database.byteCount <= longest && parser.schema.byteCount <= longest
          && parser.table.byteCount <= longest, "a text is longer than its event")
    case .notJSON(let why)?:
      try require(!isJSON || isDeep, "an event was refused that is JSON: \(why)")
    case let refusal?: try require("\(refusal)".isOneLine, "an error is not one line")
    }
  }
}

extension JSONValue {
  /// Whether both readers saw the same.
  fileprivate func equals(_ other: JSON) -> Bool {
    switch (self, other) {
    case (.null, .null): true
    case (.bool(let a), .bool(let b)): a == b
    case (.number(let a), .number(let b)): a == b
    case (.string(let a), .string(let b)): a == b
    case (.array(let a), .array(let b)):
      a.count == b.count && zip(a, b).allSatisfy { $0.equals($1) }
    case (.object(let a), .object(let b)):
      a.count == b.count && zip(a, b).allSatisfy { $0.name == $1.name && $0.value.equals($1.value) }
    default: false
    }
  }
}
