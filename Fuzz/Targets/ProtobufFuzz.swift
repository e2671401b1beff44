import PGWire

@testable import Streamer

/// The Protobuf encoders: they refuse a text, or what they append is read again as the value that
/// Avro's encoders say.
///
/// And a schema's text, whatever it is, is searched for the numbers of fields.
enum ProtobufFuzz: FuzzTarget {
  static let name = "protobuf"

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
    } + [Array("    message Value { reserved 2, 4 to 6; optional int32 c = 1; }".utf8)]
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
    if let known = KnownFieldNumbers(in: String(decoding: text, as: UTF8.self), of: "Value") {
      let fields = FieldNumbers(of: ["c", "d"], after: known)
      try require(
        Set(fields.numbers).count == 2 || known.numbers["c"] == known.numbers["d"],
        "two fields have one number")
    }
    for style in SchemaStyle.allCases {
      for hstore in DebeziumOptions.Hstore.allCases {
        for time in [DebeziumOptions.Time.adaptive, .connect, .structured] {
          var setup = LaneSetup(routing: TopicRouting(fallback: "t"))
          setup.format = .protobuf
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
    let place = RowColumn(encoder: encoder, number: 1, isWrapped: writer.wrapsLists)
    let isKnown = encoder.encode(
      protobuf: unsafe text.span.bytes, place, &scratch, into: &output)
    guard isKnown else { return }
    let reading = ProtobufReading(isPlain: writer.style == .plain)
    try require(
      reading.takes((0..<output.count).map { output.bytes[$0] }[...], field: members[0].schema),
      "type \(column.type): the bytes are no field of their schema")
    try checkNumber(text, encoder, output)
  }

  /// Whole numbers and texts are the same as what was written.
  private static func checkNumber(
    _ text: [UInt8], _ encoder: DebeziumEncoder, _ output: borrowing ByteWriter
  ) throws(Violation) {
    guard !encoder.isArray else { return }
    let bytes = (0..<output.count).map { output.bytes[$0] }
    switch encoder.rule {
    case .integer:
      var rest = bytes.dropFirst()
      let read = ProtobufReading.varint(&rest).map { Int64(bitPattern: $0) }
      try require(
        read == Int64(String(decoding: text, as: UTF8.self)), "a number became another")
    case .string, .textBytes:
      try require(Array(bytes.suffix(text.count)) == text, "a text became another")
    default: break
    }
  }
}

/// Passes over fields as their schemas say.
private struct ProtobufReading {
  let isPlain: Bool

  static func varint(_ rest: inout ArraySlice<UInt8>) -> UInt64? {
    var value: UInt64 = 0
    for shift in stride(from: UInt64(0), to: 64, by: 7) {
      guard let byte = rest.popFirst() else { return nil }
      value |= UInt64(byte & 0x7F) << shift
      if byte < 0x80 { return value }
    }
    return nil
  }

  /// The fields of a message: their numbers, how they are written, their bytes.
  private func fields(
    _ bytes: ArraySlice<UInt8>
  ) -> [(number: UInt64, wire: UInt64, bytes: ArraySlice<UInt8>)]? {
    var rest = bytes
    var found: [(UInt64, UInt64, ArraySlice<UInt8>)] = []
    while !rest.isEmpty {
      guard let tag = Self.varint(&rest) else { return nil }
      let start = rest
      var length: UInt64
      switch tag & 7 {
      case 0:
        guard Self.varint(&rest) != nil else { return nil }
        found.append((tag >> 3, 0, start.prefix(start.count - rest.count)))
        continue
      case 1: length = 8
      case 5: length = 4
      case 2:
        guard let given = Self.varint(&rest) else { return nil }
        length = given
      default: return nil
      }
      guard length <= UInt64(rest.count) else { return nil }
      found.append((tag >> 3, tag & 7, rest.prefix(Int(length))))
      rest = rest.dropFirst(Int(length))
    }
    return found
  }

  /// Whether bytes are a message of these fields, by their numbers from 1 on.
  private func takes(message bytes: ArraySlice<UInt8>, _ members: [ConnectSchema]) -> Bool {
    guard let fields = fields(bytes) else { return false }
    return fields.allSatisfy { field in
      field.number >= 1 && field.number <= UInt64(members.count)
        && takes(value: field.bytes, field.wire, members[Int(field.number) - 1])
    }
  }

  /// Whether bytes are any number of fields with the number 1 that are of this schema.
  func takes(_ bytes: ArraySlice<UInt8>, field schema: ConnectSchema) -> Bool {
    guard let fields = fields(bytes) else { return false }
    let isList =
      switch schema.kind {
      case .array(let element): !isPlain || !element.isOptional
      case .map: !isPlain
      default: false
      }
    guard isList || fields.count == 1 else { return false }
    return fields.allSatisfy { $0.number == 1 && takes(value: $0.bytes, $0.wire, schema) }
  }

  private func takes(
    value bytes: ArraySlice<UInt8>, _ wire: UInt64, _ schema: ConnectSchema
  ) -> Bool {
    let number = ConnectSchema(.int64)
    switch schema.name {
    case DebeziumSchema.instant: return wire == 2 && takes(message: bytes, [number, number])
    case _ where isPlain: break
    case DebeziumSchema.decimal:
      return wire == 2 && takes(message: bytes, [ConnectSchema(.bytes), number, number])
    case "org.apache.kafka.connect.data.Timestamp", "org.apache.kafka.connect.data.Date",
      "org.apache.kafka.connect.data.Time":
      return wire == 2 && takes(message: bytes, [number, number, number, number])
    default: break
    }
    switch schema.kind {
    case .boolean, .int8, .int16, .int32, .int64: return wire == 0
    case .float: return wire == 5
    case .double: return wire == 1
    case .string, .bytes: return wire == 2
    case .structure(let members): return wire == 2 && takes(message: bytes, members.map(\.schema))
    case .map(let key, let value):
      if isPlain, !isSparse(key) {
        let pair = ConnectSchema(.structure([.init("key", key), .init("value", value)]))
        return wire == 2 && takes(message: bytes, [pair])
      }
      return wire == 2 && takes(message: bytes, [key, value])
    case .array(let element):
      guard wire == 2 else { return false }
      if isPlain, element.isOptional {
        let one = ConnectSchema(.structure([.init("value", element)]))
        return takes(message: bytes, [one])
      }
      return takes(listed: bytes, element)
    }
  }

  private func isSparse(_ key: ConnectSchema) -> Bool {
    if case .int16 = key.kind { true } else { false }
  }

  /// One element, or several one behind the other where they are numbers.
  private func takes(listed bytes: ArraySlice<UInt8>, _ element: ConnectSchema) -> Bool {
    switch element.kind {
    case .boolean, .int8, .int16, .int32, .int64:
      var rest = bytes
      while !rest.isEmpty { if Self.varint(&rest) == nil { return false } }
      return true
    case .float: return bytes.count % 4 == 0
    case .double: return bytes.count % 8 == 0
    default: return takes(value: bytes, 2, element)
    }
  }
}
