import PGWire

/// Writes schemas of Connect as Avro's, byte for byte as Confluent's converter (AvroData) does in
/// Debezium's style, so that a registry finds them to be the same.
struct AvroSchema: ~Copyable {
  /// The record that the pairs of a map are whose keys are no strings.
  private static let pair = "io.confluent.connect.avro.MapEntry"

  private let style: SchemaStyle
  private var json = ByteWriter()
  /// The records that stand in the text: they are named from then on.
  private var written: Set<String> = []

  private init(_ style: SchemaStyle) { self.style = style }

  /// The text of a schema.
  static func text(of schema: ConnectSchema, _ style: SchemaStyle) -> String {
    var writer = AvroSchema(style)
    writer.append(schema, in: "")
    return writer.json.bytes.text
  }

  /// Appends a schema, or its union with null; `space` is the namespace around it.
  private mutating func append(_ schema: ConnectSchema, in space: String) {
    guard schema.isOptional else { return appendType(schema, in: space) }
    // The default's type comes first.
    json.append(schema.standard == nil ? "[\"null\"," : "[")
    appendType(schema, in: space)
    json.append(schema.standard == nil ? "]" : ",\"null\"]")
  }

  private mutating func appendType(_ schema: ConnectSchema, in space: String) {
    switch schema.kind {
    case .structure(let members):
      appendRecord(schema.name ?? "ConnectDefault", members, schema, in: space)
    case .array(let element):
      json.append("{\"type\":\"array\",\"items\":")
      append(element, in: space)
      appendMarks(of: schema)
      json.append("}")
    case .map(let key, let value):
      if case .string = key.kind, !key.isOptional {
        json.append("{\"type\":\"map\",\"values\":")
        append(value, in: space)
      } else {
        json.append("{\"type\":\"array\",\"items\":")
        appendRecord(Self.pair, [.init("key", key), .init("value", value)], nil, in: space)
      }
      appendMarks(of: schema)
      json.append("}")
    default:
      let start = json.count
      json.append(string: "{\"type\":\"\(schema.kind.avroName)\"")
      let end = json.count
      appendMarks(of: schema)
      if json.count == end {
        json.truncate(to: start)
        json.append(string: "\"\(schema.kind.avroName)\"")
      } else {
        json.append("}")
      }
    }
  }

  private mutating func appendRecord(
    _ name: String, _ members: [ConnectSchema.Member], _ schema: ConnectSchema?, in space: String
  ) {
    let parts = name.split(separator: ".", omittingEmptySubsequences: false)
    let own = parts.dropLast().joined(separator: ".")
    let last = String(parts.last ?? "")
    guard written.insert(name).inserted else {
      return ConnectText.append(string: own == space ? last : name, to: &json)
    }
    json.append("{\"type\":\"record\",\"name\":")
    ConnectText.append(string: last, to: &json)
    if own != space {
      json.append(",\"namespace\":")
      ConnectText.append(string: own, to: &json)
    }
    json.append(",\"fields\":[")
    for (number, member) in members.enumerated() {
      json.append(string: number == 0 ? "{\"name\":" : ",{\"name\":")
      ConnectText.append(string: member.name, to: &json)
      json.append(",\"type\":")
      append(member.schema, in: own)
      if let standard = member.schema.standard {
        json.append(",\"default\":")
        ConnectText.append(string: standard, to: &json)
      } else if member.schema.isOptional {
        json.append(",\"default\":null")
      }
      json.append("}")
    }
    json.append("]")
    if let schema { appendMarks(of: schema) }
    json.append("}")
  }

  // MARK: - Marks

  private mutating func appendMarks(of schema: ConnectSchema) {
    if style == .debezium { appendDebeziumMarks(of: schema) } else { appendPlainMarks(of: schema) }
  }

  private mutating func appendDebeziumMarks(of schema: ConnectSchema) {
    let isDecimal = schema.name == "org.apache.kafka.connect.data.Decimal"
    if isDecimal {
      let decimal = Self.decimal(schema)
      json.append(string: ",\"scale\":\(decimal.scale),\"precision\":\(decimal.precision)")
    }
    if let text = schema.documentation { append(mark: "connect.doc", text) }
    if let version = schema.version { json.append(string: ",\"connect.version\":\(version)") }
    if !schema.parameters.isEmpty {
      json.append(",\"connect.parameters\":")
      schema.appendParameters(to: &json)
    }
    if let standard = schema.standard { append(mark: "connect.default", standard) }
    if let name = schema.name { append(mark: "connect.name", name) }
    if let type = schema.kind.connectType { append(mark: "connect.type", type) }
    switch schema.name {
    case "org.apache.kafka.connect.data.Decimal": append(mark: "logicalType", "decimal")
    case "org.apache.kafka.connect.data.Date": append(mark: "logicalType", "date")
    case "org.apache.kafka.connect.data.Time": append(mark: "logicalType", "time-millis")
    case "org.apache.kafka.connect.data.Timestamp": append(mark: "logicalType", "timestamp-millis")
    default: break
    }
  }

  private mutating func appendPlainMarks(of schema: ConnectSchema) {
    let type: String? =
      switch schema.name {
      case "org.apache.kafka.connect.data.Decimal": "decimal"
      case "org.apache.kafka.connect.data.Date", "io.debezium.time.Date": "date"
      case "org.apache.kafka.connect.data.Time", "io.debezium.time.Time": "time-millis"
      case "io.debezium.time.MicroTime": "time-micros"
      case "org.apache.kafka.connect.data.Timestamp", "io.debezium.time.Timestamp":
        "local-timestamp-millis"
      case "io.debezium.time.MicroTimestamp": "local-timestamp-micros"
      case DebeziumSchema.instant: "timestamp-micros"
      case "io.debezium.data.Uuid": "uuid"
      default: nil
      }
    guard let type else { return }
    append(mark: "logicalType", type)
    guard type == "decimal" else { return }
    let decimal = Self.decimal(schema)
    json.append(string: ",\"precision\":\(decimal.precision),\"scale\":\(decimal.scale)")
  }

  private mutating func append(mark name: String, _ text: String) {
    json.append(string: ",\"\(name)\":")
    ConnectText.append(string: text, to: &json)
  }

  /// The scale of a decimal, and how many digits it has: as many as the converter assumes, where
  /// nobody says.
  private static func decimal(_ schema: ConnectSchema) -> (scale: String, precision: String) {
    func parameter(_ name: String) -> String? {
      schema.parameters.first { $0.name == name }?.value
    }
    return (parameter("scale") ?? "0", parameter("connect.decimal.precision") ?? "64")
  }
}

extension ConnectSchema.Kind {
  /// What Avro calls it; of what has no parts.
  fileprivate var avroName: String {
    switch self {
    case .boolean: "boolean"
    case .int8, .int16, .int32: "int"
    case .int64: "long"
    case .float: "float"
    case .double: "double"
    case .string: "string"
    default: "bytes"
    }
  }
}
