import PGWire

/// Reads Protobuf's binary encoding by a schema's text, whoever wrote it, and writes it as JSON: each
/// field of a message is there, with null, an empty list or what is assumed where it was not sent.
///
/// For commands that show or compare records: rows on their way never pass through it.
struct ProtobufReader {
  private enum Kind {
    case integer(isSigned: Bool)
    case zigzag
    case boolean
    case fixed(bytes: Int, isSigned: Bool)
    case float, double, string, bytes
    /// By its place among ``messages``.
    case message(Int)
  }

  private enum Label { case optional, single, repeated, map }

  private struct Field {
    let number: UInt64
    let name: String
    let label: Label
    let kind: Kind
  }

  private struct Message {
    var isTop = false
    var fields: [Field] = []
  }

  /// A field as it lies in the bytes.
  private struct Part {
    let number: UInt64
    let wire: UInt8
    /// A number, for those that are no bytes.
    var value: UInt64 = 0
    var place = 0..<0
  }

  private var messages: [Message] = []

  /// Nil where the text has no message.
  init?(_ text: String) {
    let written = ProtobufText.messages(in: text) + Self.known
    guard written.first?.isTop == true else { return nil }
    var places: [String: Int] = [:]
    for (place, message) in written.enumerated() { places[message.name] = place }
    for message in written {
      var read = Message(isTop: message.isTop)
      for statement in message.statements {
        if let entry = Self.entry(of: statement, in: message.name, places) {
          read.fields.append(
            Field(
              number: entry.number, name: entry.name, label: .map,
              kind: .message(written.count + pairs.count)))
          pairs.append(Message(fields: entry.fields))
        } else if let field = Self.field(statement, in: message.name, places) {
          read.fields.append(field)
        }
      }
      messages.append(read)
    }
    messages += pairs
    pairs = []
  }

  /// The messages that the pairs of maps are.
  private var pairs: [Message] = []

  /// What the imported files have that our schemas and Confluent's name.
  private static let known = [
    ProtobufText.Message(
      name: "google.protobuf.Timestamp", isTop: false,
      statements: [["int64", "seconds", "=", "1"], ["int32", "nanos", "=", "2"]]),
    ProtobufText.Message(
      name: "confluent.type.Decimal", isTop: false,
      statements: [
        ["bytes", "value", "=", "1"], ["uint32", "precision", "=", "2"],
        ["int32", "scale", "=", "3"],
      ]),
    ProtobufText.Message(
      name: "google.type.Date", isTop: false,
      statements: [
        ["int32", "year", "=", "1"], ["int32", "month", "=", "2"], ["int32", "day", "=", "3"],
      ]),
    ProtobufText.Message(
      name: "google.type.TimeOfDay", isTop: false,
      statements: [
        ["int32", "hours", "=", "1"], ["int32", "minutes", "=", "2"],
        ["int32", "seconds", "=", "3"], ["int32", "nanos", "=", "4"],
      ]),
  ]

  // MARK: - The schema

  private static func field(
    _ statement: [String], in scope: String, _ places: [String: Int]
  ) -> Field? {
    guard let sign = statement.firstIndex(of: "="), sign >= 2, sign + 1 < statement.count,
      statement[0] != "option", statement[0] != "reserved",
      let number = UInt64(statement[sign + 1])
    else { return nil }
    let kind = kind(statement[sign - 2], in: scope, places)
    let label: Label =
      switch (statement[0], kind) {
      case ("repeated", _): .repeated
      case ("optional", _), (_, .message): .optional
      default: .single
      }
    return Field(number: number, name: statement[sign - 1], label: label, kind: kind)
  }

  /// A field of Protobuf's own maps, `map<K, V> name = 1`, with those of its pairs.
  private static func entry(
    of statement: [String], in scope: String, _ places: [String: Int]
  ) -> (number: UInt64, name: String, fields: [Field])? {
    guard statement.count >= 9, statement[0] == "map", statement[1] == "<", statement[5] == ">",
      statement[7] == "=", let number = UInt64(statement[8])
    else { return nil }
    let pair = zip(["key", "value"], [statement[2], statement[4]]).enumerated().map { place, pair in
      Field(
        number: UInt64(place + 1), name: pair.0, label: .single,
        kind: kind(pair.1, in: scope, places))
    }
    return (number, statement[6], pair)
  }

  private static func kind(_ type: String, in scope: String, _ places: [String: Int]) -> Kind {
    switch type {
    case "int32", "int64": return .integer(isSigned: true)
    case "uint32", "uint64": return .integer(isSigned: false)
    case "sint32", "sint64": return .zigzag
    case "fixed32": return .fixed(bytes: 4, isSigned: false)
    case "fixed64": return .fixed(bytes: 8, isSigned: false)
    case "sfixed32": return .fixed(bytes: 4, isSigned: true)
    case "sfixed64": return .fixed(bytes: 8, isSigned: true)
    case "bool": return .boolean
    case "float": return .float
    case "double": return .double
    case "string": return .string
    case "bytes": return .bytes
    default: break
    }
    // A name counts from where it stands, and then from what is around that.
    var space = type.hasPrefix(".") ? [] : scope.split(separator: ".")
    let name = type.hasPrefix(".") ? type.dropFirst() : type[...]
    while true {
      if let place = places[(space + [name]).joined(separator: ".")] { return .message(place) }
      // One that is no message is an enumeration.
      guard space.popLast() != nil else { return .integer(isSigned: true) }
    }
  }

  // MARK: - Values

  /// Appends a record's message as JSON, behind the list of places that says which one it is; false
  /// where the bytes are none of the schema.
  func append(_ bytes: RawSpan, to json: inout ByteWriter) -> Bool {
    var at = 0
    // 0 stands for a list with the first message alone; numbers are in zigzag.
    guard let count = bytes.varint(from: &at) else { return false }
    var top = 0
    if count == 2 {
      guard let place = bytes.varint(from: &at) else { return false }
      top = Int(truncatingIfNeeded: place >> 1)
    } else if count != 0 {
      return false
    }
    let tops = messages.indices.filter { messages[$0].isTop }
    guard tops.indices.contains(top) else { return false }
    return append(messages[tops[top]], bytes.extracting(at..<bytes.byteCount), to: &json)
  }

  private static func fixed(_ bytes: RawSpan, _ at: inout Int, _ count: Int) -> UInt64? {
    guard bytes.byteCount - at >= count else { return nil }
    defer { at += count }
    return (at..<at + count).reversed().reduce(0) { $0 << 8 | UInt64(bytes[$1]) }
  }

  private static func parts(_ bytes: RawSpan) -> [Part]? {
    var parts: [Part] = []
    var at = 0
    while at < bytes.byteCount {
      guard let tag = bytes.varint(from: &at) else { return nil }
      var part = Part(number: tag >> 3, wire: UInt8(tag & 7))
      switch part.wire {
      case ProtobufWire.varint:
        guard let value = bytes.varint(from: &at) else { return nil }
        part.value = value
      case ProtobufWire.eightBytes, ProtobufWire.fourBytes:
        let count = part.wire == ProtobufWire.eightBytes ? 8 : 4
        guard let value = fixed(bytes, &at, count) else { return nil }
        part.value = value
      case ProtobufWire.bytes:
        guard let count = bytes.varint(from: &at), count <= UInt64(bytes.byteCount - at) else {
          return nil
        }
        part.place = at..<at + Int(count)
        at += Int(count)
      default: return nil
      }
      parts.append(part)
    }
    return parts
  }

  private func append(_ message: Message, _ bytes: RawSpan, to json: inout ByteWriter) -> Bool {
    guard let parts = Self.parts(bytes) else { return false }
    json.append("{")
    for (place, field) in message.fields.enumerated() {
      if place > 0 { json.append(",") }
      ConnectText.append(string: field.name, to: &json)
      json.append(":")
      let own = parts.filter { $0.number == field.number }
      guard append(field, own, bytes, to: &json) else { return false }
    }
    json.append("}")
    return true
  }

  private func append(
    _ field: Field, _ parts: [Part], _ bytes: RawSpan, to json: inout ByteWriter
  ) -> Bool {
    switch field.label {
    case .repeated, .map:
      json.append("[")
      var isFirst = true
      for part in parts {
        guard appendElements(field.kind, part, bytes, &isFirst, to: &json) else { return false }
      }
      json.append("]")
      return true
    case .optional, .single:
      // The last one counts.
      if let part = parts.last { return append(field.kind, part, bytes, to: &json) }
      if field.label == .optional {
        json.append("null")
        return true
      }
      return append(field.kind, Part(number: 0, wire: Self.wire(field.kind)), bytes, to: &json)
    }
  }

  /// How a value is written that is not packed.
  private static func wire(_ kind: Kind) -> UInt8 {
    switch kind {
    case .integer, .zigzag, .boolean: ProtobufWire.varint
    case .fixed(let count, _): count == 8 ? ProtobufWire.eightBytes : ProtobufWire.fourBytes
    case .double: ProtobufWire.eightBytes
    case .float: ProtobufWire.fourBytes
    case .string, .bytes, .message: ProtobufWire.bytes
    }
  }

  /// Appends what a part of a list has: numbers lie packed in it, all in one.
  private func appendElements(
    _ kind: Kind, _ part: Part, _ bytes: RawSpan, _ isFirst: inout Bool, to json: inout ByteWriter
  ) -> Bool {
    let wire = Self.wire(kind)
    guard part.wire == ProtobufWire.bytes, wire != ProtobufWire.bytes else {
      if !isFirst { json.append(",") }
      isFirst = false
      return append(kind, part, bytes, to: &json)
    }
    let packed = bytes.extracting(part.place)
    var at = 0
    while at < packed.byteCount {
      let value =
        wire == ProtobufWire.varint
        ? packed.varint(from: &at)
        : Self.fixed(packed, &at, wire == ProtobufWire.eightBytes ? 8 : 4)
      guard let value else { return false }
      if !isFirst { json.append(",") }
      isFirst = false
      guard append(kind, Part(number: 0, wire: wire, value: value), packed, to: &json) else {
        return false
      }
    }
    return true
  }

  private func append(
    _ kind: Kind, _ part: Part, _ bytes: RawSpan, to json: inout ByteWriter
  ) -> Bool {
    guard part.wire == Self.wire(kind) else { return false }
    let value = part.value
    switch kind {
    case .integer(let isSigned):
      json.append(string: isSigned ? "\(Int64(bitPattern: value))" : "\(value)")
    case .zigzag:
      json.append(string: "\(Int64(bitPattern: value >> 1) ^ -Int64(bitPattern: value & 1))")
    case .boolean: json.append(string: value == 0 ? "false" : "true")
    case .fixed(let count, let isSigned):
      let signed =
        count == 8
        ? Int64(bitPattern: value) : Int64(Int32(bitPattern: UInt32(truncatingIfNeeded: value)))
      json.append(string: isSigned ? "\(signed)" : "\(value)")
    case .float:
      JavaNumber.append(Float(bitPattern: UInt32(truncatingIfNeeded: value)), to: &json)
    case .double: JavaNumber.append(Double(bitPattern: value), to: &json)
    case .string: ConnectText.append(bytes.extracting(part.place), to: &json)
    case .bytes: Base64.append(bytes.extracting(part.place), to: &json)
    case .message(let place):
      return append(messages[place], bytes.extracting(part.place), to: &json)
    }
    return true
  }
}
