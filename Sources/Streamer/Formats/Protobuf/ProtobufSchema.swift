import PGWire

/// Writes schemas of Connect as Protobuf's, in the third syntax, as Confluent's converter
/// (ProtobufData) has them where it says what a value is.
///
/// The same table gives the same bytes, always.
struct ProtobufSchema {
  private let style: SchemaStyle
  /// The message whose fields have numbers of their own, and these.
  private let numbered: String
  private let fields: FieldNumbers
  private var imports: Set<Import> = []

  /// What other files have, in the order in which they are named.
  private enum Import: String, CaseIterable {
    case meta = "confluent/meta.proto"
    case decimal = "confluent/type/decimal.proto"
    case timestamp = "google/protobuf/timestamp.proto"
    case date = "google/type/date.proto"
    case time = "google/type/timeofday.proto"
  }

  /// A message that is being written: its lines, and what is nested in it.
  private struct Message {
    var lines: [String] = []
    var nested: [[String]] = []
    /// The names of nested messages, by what they are.
    var names: [String: String] = [:]
    /// What is taken: no message is called like a field beside it.
    var taken: Set<String>
  }

  /// The text of a schema; `numbered` is the full name of the message that `fields` are of.
  static func text(
    of schema: ConnectSchema, _ style: SchemaStyle, _ fields: FieldNumbers, of numbered: String
  ) -> String {
    var writer = ProtobufSchema(style: style, numbered: numbered, fields: fields)
    let parts = (schema.name ?? "").split(separator: ".", omittingEmptySubsequences: false)
    guard case .structure(let members) = schema.kind, let name = parts.last else { return "" }
    let message = writer.message(String(name), schema.name ?? "", members)
    var text = "syntax = \"proto3\";\n"
    if parts.count > 1 { text += "package \(parts.dropLast().joined(separator: "."));\n" }
    text += "\n"
    for file in Import.allCases where writer.imports.contains(file) {
      text += "import \"\(file.rawValue)\";\n"
    }
    if !writer.imports.isEmpty { text += "\n" }
    return text + message.joined(separator: "\n") + "\n"
  }

  private init(style: SchemaStyle, numbered: String, fields: FieldNumbers) {
    self.style = style
    self.numbered = numbered
    self.fields = fields
  }

  // MARK: - Messages

  private mutating func message(
    _ name: String, _ fullName: String, _ members: [ConnectSchema.Member]
  ) -> [String] {
    var message = Message(taken: Set(members.map(\.name)))
    let isNumbered = fullName == numbered
    if isNumbered, !fields.reserved.isEmpty {
      let numbers = fields.reserved.map(String.init).joined(separator: ", ")
      message.lines.append("reserved \(numbers);")
    }
    for (place, member) in members.enumerated() {
      let number = FieldNumbers.number(place, isNumbered ? fields.numbers : [])
      append(member, number, to: &message)
    }
    var lines = ["message \(name) {"]
    lines += message.lines.map { "  \($0)" }
    for nested in message.nested { lines += [""] + nested.map { $0.isEmpty ? "" : "  \($0)" } }
    return lines + ["}"]
  }

  private mutating func append(
    _ member: ConnectSchema.Member, _ number: Int32, to message: inout Message
  ) {
    var schema = member.schema
    var label = ""
    switch schema.kind {
    // What cannot be null in it is a list in both styles.
    case .array(let element) where style == .debezium || !element.isOptional:
      label = "repeated "
      schema = element
    case .map where style == .debezium || schema.kind.hasNumbersAsKeys: label = "repeated "
    case .array, .map, .structure: break
    default: if schema.isOptional, logical(schema) == nil { label = "optional " }
    }
    let type = type(of: schema, isElement: label == "repeated ", in: &message)
    let options = style == .debezium ? marks(of: schema) : ""
    if !options.isEmpty { imports.insert(.meta) }
    message.lines.append("\(label)\(type) \(member.name) = \(number)\(options);")
  }

  // MARK: - Types

  private mutating func type(
    of schema: ConnectSchema, isElement: Bool, in message: inout Message
  ) -> String {
    if let (type, file) = logical(schema) {
      imports.insert(file)
      return type
    }
    switch schema.kind {
    case .structure(let members):
      let full = schema.name ?? "Row"
      let last = String(full.split(separator: ".").last ?? "Row")
      return nested(full, called: last, in: &message) { $0.message($1, full, members) }
    case .map(let key, let value):
      let pair = [ConnectSchema.Member("key", key), ConnectSchema.Member("value", value)]
      let entry = nested("entry", called: "MapEntry", in: &message) { $0.message($1, "", pair) }
      guard !isElement else { return entry }
      return nested("map", called: "Map", in: &message) { _, name in
        ["message \(name) {", "  repeated \(entry) entries = 1;", "}"]
      }
    case .array(let element):
      // A list that is there or not, of elements that are null or not.
      let type = type(of: element, isElement: true, in: &message)
      let last = type.split(separator: ".").last.map { $0.prefix(1).uppercased() + $0.dropFirst() }
      return nested("list of \(type)", called: "\(last ?? "")List", in: &message) { writer, name in
        let isMessage = writer.logical(element) != nil || !element.kind.isScalar
        let label = isMessage ? "" : "optional "
        return [
          "message \(name) {", "  repeated Element elements = 1;", "",
          "  message Element {", "    \(label)\(type) value = 1;", "  }", "}",
        ]
      }
    default: return schema.kind.protobufName
    }
  }

  /// The name of a nested message, which is written where it is not yet there.
  private mutating func nested(
    _ identity: String, called name: String, in message: inout Message,
    _ write: (inout ProtobufSchema, String) -> [String]
  ) -> String {
    if let known = message.names[identity] { return known }
    var name = name
    while !message.taken.insert(name).inserted { name += "Message" }
    message.names[identity] = name
    message.nested.append(write(&self, name))
    return name
  }

  /// What others have a message for.
  private func logical(_ schema: ConnectSchema) -> (type: String, file: Import)? {
    switch schema.name {
    case DebeziumSchema.instant: ("google.protobuf.Timestamp", .timestamp)
    case _ where style == .plain: nil
    case DebeziumSchema.decimal: ("confluent.type.Decimal", .decimal)
    case "org.apache.kafka.connect.data.Timestamp": ("google.protobuf.Timestamp", .timestamp)
    case "org.apache.kafka.connect.data.Date": ("google.type.Date", .date)
    case "org.apache.kafka.connect.data.Time": ("google.type.TimeOfDay", .time)
    default: nil
    }
  }

  /// By what the converter knows a type again.
  private func marks(of schema: ConnectSchema) -> String {
    var pairs: [(String, String)] = []
    if schema.name == DebeziumSchema.decimal {
      for (name, key) in [("connect.decimal.precision", "precision"), ("scale", "scale")] {
        if let value = schema.parameters.first(where: { $0.name == name })?.value {
          pairs.append((key, value))
        }
      }
    } else if let type = schema.kind.connectType {
      pairs.append(("connect.type", type))
    }
    guard !pairs.isEmpty else { return "" }
    let params = pairs.map { "{ key: \"\($0.0)\", value: \"\($0.1)\" }" }
    return " [(confluent.field_meta) = { params: [\(params.joined(separator: ", "))] }]"
  }
}

extension ConnectSchema.Kind {
  /// What Protobuf calls it; of what has no parts.
  fileprivate var protobufName: String {
    switch self {
    case .boolean: "bool"
    case .int8, .int16, .int32: "int32"
    case .int64: "int64"
    case .float: "float"
    case .double: "double"
    case .string: "string"
    default: "bytes"
    }
  }

  fileprivate var isScalar: Bool {
    switch self {
    case .array, .map, .structure: false
    default: true
    }
  }

  /// Whether it is the map of a sparse vector.
  fileprivate var hasNumbersAsKeys: Bool {
    if case .map(let key, _) = self, case .int16 = key.kind { true } else { false }
  }
}
