import PGWire

@testable import Streamer

/// The Avro encoders: they refuse a text, or what they append is one value of its schema.
///
/// And a registry's answer, whatever its bytes are, is judged.
enum AvroFuzz: FuzzTarget {
  static let name = "avro"

  static let words = [
    "NULL", "NaN", "-Infinity", "infinity", #"\x"#, "2024-02-29 12:34:56", "{", "}", "[", "=>",
    "1e-05", "-0.10", "(1,2)", #"{"id":1}"#, #""error_code":40401"#, "99999999999999999999",
  ]

  static var seeds: [[UInt8]] {
    let examples: [(UInt32, String)] = [
      (16, "t"), (23, "42"), (20, "-9223372036854775808"), (701, "-1.5e-05"), (1700, "12.670"),
      (1114, "2024-02-29 12:34:56.789"), (1184, "2024-02-29 12:34:56+05"), (1186, "1 day"),
      (1082, "-infinity"), (1266, "24:00:00+05:30"),
      (17, #"\xdeadbeef"#), (25, "ab"), (22, "1 2 3"), (1007, "{1,NULL,3}"), (600, "(1,2)"),
      (1009, #"{"a,b",NULL}"#), (20000, #""a"=>"1", "b"=>NULL"#), (20002, "[1,2.5]"), (1560, "101"),
    ]
    return examples.compactMap { example in
      oids.firstIndex(of: example.0).map { [UInt8($0), 0] + Array(example.1.utf8) }
    } + [Array(#"    {"id":7}"#.utf8)]
  }

  private static let oids: [UInt32] = [
    16, 20, 21, 23, 26, 700, 701, 1700, 1082, 1083, 1114, 1184, 1266, 1186, 17, 25, 22, 600, 790,
    1560, 1007, 1009, 1231, 1182, 2950, 20000, 20002,
  ]

  static func run(_ input: [UInt8]) throws(Violation) {
    var input = FuzzInput(input)
    let column = Relation.Column(
      name: "c", type: input.choice(oids), modifier: input.byte() & 1 == 0 ? -1 : 0xA_0006)
    let text = input.all()
    let answer = HTTPExchange.Answer(status: 200 + text.count % 400, body: text)
    if case .known = RegistryAnswer(answer) {
      try require(answer.status < 300, "a number was taken from an answer that is none")
    }
    for style in SchemaStyle.allCases {
      for hstore in DebeziumOptions.Hstore.allCases {
        for time in [DebeziumOptions.Time.adaptive, .structured] {
          var setup = LaneSetup(routing: TopicRouting(fallback: "t"))
          setup.format = .avro
          setup.schemas.style = style
          setup.debezium.hstore = hstore
          setup.debezium.time = time
          setup.debezium.unknown = .text
          let writer = SchemaWriter(setup, StreamOrigin())
          try check(text, column, writer)
        }
      }
    }
  }

  private static func check(
    _ text: [UInt8], _ column: Relation.Column, _ writer: SchemaWriter
  ) throws(Violation) {
    guard let encoder = writer.encoder(column, ExampleTypes.catalog) else { return }
    let field = DebeziumSchema.Field(
      name: "c", type: column.type, modifier: column.typeModifier, encoder: encoder,
      isOptional: false)
    let row = DebeziumSchema(writer.options).row(of: "t", [field], [], ExampleTypes.catalog)
    guard case .structure(let members) = row.kind else { return }
    var scratch = DebeziumScratch()
    var output = ByteWriter()
    guard encoder.encode(avro: unsafe text.span.bytes, &scratch, into: &output) else { return }
    var reader = AvroReading(bytes: output.bytes.copy)
    try require(
      reader.skip(members[0].schema) && reader.isAtEnd,
      "type \(column.type): the bytes are no value of their schema")
  }
}

/// Passes over values as their schemas say.
private struct AvroReading {
  let bytes: [UInt8]
  private var at = 0

  init(bytes: [UInt8]) { self.bytes = bytes }

  var isAtEnd: Bool { at == bytes.count }

  private mutating func take(_ count: Int) -> Bool {
    guard count >= 0, count <= bytes.count - at else { return false }
    at += count
    return true
  }

  private mutating func number() -> Int64? {
    var value: UInt64 = 0
    var shift: UInt64 = 0
    while at < bytes.count, shift < 64 {
      let byte = bytes[at]
      at += 1
      value |= UInt64(byte & 0x7F) << shift
      if byte < 0x80 { return Int64(bitPattern: value >> 1) ^ -Int64(value & 1) }
      shift += 7
    }
    return nil
  }

  private mutating func text() -> Bool {
    guard let length = number(), length <= Int64(bytes.count) else { return false }
    return take(Int(length))
  }

  /// The items of an array or a map: blocks up to an empty one.
  private mutating func blocks(_ item: (inout AvroReading) -> Bool) -> Bool {
    while let count = number() {
      guard count > 0 else { return count == 0 }
      for _ in 0..<count { guard item(&self) else { return false } }
    }
    return false
  }

  mutating func skip(_ schema: ConnectSchema) -> Bool {
    if schema.isOptional {
      guard let branch = number(), branch == 0 || branch == 1 else { return false }
      if branch == 0 { return true }
    }
    switch schema.kind {
    case .boolean: return at < bytes.count && bytes[at] <= 1 && take(1)
    case .int8, .int16, .int32, .int64: return number() != nil
    case .float: return take(4)
    case .double: return take(8)
    case .string, .bytes: return text()
    case .array(let element): return blocks { $0.skip(element) }
    case .map(let key, let value): return blocks { $0.skip(key) && $0.skip(value) }
    case .structure(let members):
      for member in members { guard skip(member.schema) else { return false } }
      return true
    }
  }
}
