import PGWire

/// Writes schemas of Connect as JSON Schema, with the marks by which Confluent's converter knows them
/// again; plain ones have none.
struct JSONSchema: ~Copyable {
  private let style: SchemaStyle
  private var json = ByteWriter()

  private init(_ style: SchemaStyle) { self.style = style }

  /// The text of a schema.
  static func text(of schema: ConnectSchema, _ style: SchemaStyle) -> String {
    var writer = JSONSchema(style)
    writer.append(schema)
    return writer.json.bytes.text
  }

  /// Appends a schema, or one of it and null; `index` is its place in a struct.
  private mutating func append(_ schema: ConnectSchema, index: Int? = nil) {
    guard schema.isOptional else { return appendType(schema, index: index) }
    json.append("{\"oneOf\":[{\"type\":\"null\"},")
    appendType(schema, index: nil)
    json.append("]")
    appendIndex(index)
    json.append("}")
  }

  private mutating func appendType(_ schema: ConnectSchema, index: Int?) {
    json.append(string: "{\"type\":\"\(schema.kind.jsonName)\"")
    appendTexts(of: schema)
    switch schema.kind {
    case .structure(let members):
      json.append(",\"properties\":{")
      for (number, member) in members.enumerated() {
        if number > 0 { json.append(0x2C as UInt8) }
        ConnectText.append(string: member.name, to: &json)
        json.append(0x3A as UInt8)
        append(member.schema, index: number)
      }
      json.append("}")
    case .array(let element):
      json.append(",\"items\":")
      append(element)
    case .map(let key, let value) where schema.kind.hasTextKeys:
      _ = key
      json.append(",\"additionalProperties\":")
      append(value)
    case .map(let key, let value):
      // Pairs, as the JSON has them.
      json.append(",\"items\":{\"type\":\"array\",\"items\":[")
      append(key)
      json.append(0x2C as UInt8)
      append(value)
      json.append("]}")
    default: break
    }
    if style == .debezium { appendMarks(of: schema) }
    appendIndex(index)
    json.append("}")
  }

  private mutating func appendTexts(of schema: ConnectSchema) {
    guard style == .debezium else {
      let format: String? =
        switch schema.name {
        case "io.debezium.time.ZonedTimestamp": "date-time"
        case "io.debezium.data.Uuid": "uuid"
        default: nil
        }
      if let format { append("format", format) }
      return
    }
    for (name, text) in [
      ("title", schema.name), ("description", schema.documentation), ("default", schema.standard),
    ] {
      if let text { append(name, text) }
    }
  }

  private mutating func appendMarks(of schema: ConnectSchema) {
    if let version = schema.version { json.append(string: ",\"connect.version\":\(version)") }
    if !schema.parameters.isEmpty {
      json.append(",\"connect.parameters\":")
      schema.appendParameters(to: &json)
    }
    if let type = schema.kind.connectMark { append("connect.type", type) }
  }

  private mutating func appendIndex(_ index: Int?) {
    if style == .debezium, let index { json.append(string: ",\"connect.index\":\(index)") }
  }

  private mutating func append(_ name: String, _ text: String) {
    json.append(string: ",\"\(name)\":")
    ConnectText.append(string: text, to: &json)
  }
}

extension ConnectSchema.Kind {
  /// Whether it is a map that JSON has as an object.
  fileprivate var hasTextKeys: Bool {
    if case .map(let key, _) = self, case .string = key.kind { true } else { false }
  }

  /// What JSON Schema calls it; bytes are text in base 64.
  fileprivate var jsonName: String {
    switch self {
    case .boolean: "boolean"
    case .int8, .int16, .int32, .int64: "integer"
    case .float, .double: "number"
    case .string, .bytes: "string"
    case .array: "array"
    case .map: hasTextKeys ? "object" : "array"
    case .structure: "object"
    }
  }

  /// What tells it from others that JSON Schema calls the same.
  fileprivate var connectMark: String? {
    switch self {
    case .int8: "int8"
    case .int16: "int16"
    case .int32: "int32"
    case .int64: "int64"
    case .float: "float32"
    case .double: "float64"
    case .bytes: "bytes"
    case .map: "map"
    default: nil
    }
  }
}
