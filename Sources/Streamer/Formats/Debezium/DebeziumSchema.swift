import PGWire

/// The schemas of Connect that go with Debezium's values, as its JSON converter writes them.
///
/// Prepared once for a table: each is a few kilobytes that stand in every record.
struct DebeziumSchema {
  private let options: DebeziumOptions

  init(_ options: DebeziumOptions) { self.options = options }

  /// The schema of a record's source.
  private static let source: StaticString = """
    {"type":"struct","fields":[{"type":"string","optional":false,"field":"version"},\
    {"type":"string","optional":false,"field":"connector"},\
    {"type":"string","optional":false,"field":"name"},\
    {"type":"int64","optional":false,"field":"ts_ms"},\
    {"type":"string","optional":true,"name":"io.debezium.data.Enum","version":1,"parameters":\
    {"allowed":"true,first,first_in_data_collection,last_in_data_collection,last,false,incremental"},\
    "default":"false","field":"snapshot"},{"type":"string","optional":false,"field":"db"},\
    {"type":"string","optional":true,"field":"sequence"},\
    {"type":"int64","optional":true,"field":"ts_us"},\
    {"type":"int64","optional":true,"field":"ts_ns"},\
    {"type":"string","optional":false,"field":"schema"},\
    {"type":"string","optional":false,"field":"table"},\
    {"type":"int64","optional":true,"field":"txId"},{"type":"int64","optional":true,"field":"lsn"},\
    {"type":"int64","optional":true,"field":"xmin"},\
    {"type":"string","optional":true,"field":"origin"},\
    {"type":"int64","optional":true,"field":"origin_lsn"}],"optional":false,\
    "name":"io.debezium.connector.postgresql.Source","version":1,"field":"source"},\
    {"type":"struct","fields":[{"type":"string","optional":false,"field":"id"},\
    {"type":"int64","optional":false,"field":"total_order"},\
    {"type":"int64","optional":false,"field":"data_collection_order"}],"optional":true,\
    "name":"event.block","version":1,"field":"transaction"}
    """

  /// A column with its rule; nil where it is left out.
  struct Field {
    let name: String
    let type: UInt32
    let modifier: Int32
    let encoder: DebeziumEncoder
    let isOptional: Bool
  }

  // MARK: - Keys and values

  /// Appends `{"schema":…,"payload":` for the keys of a table.
  func append(
    keyOf table: String, _ fields: [Field], _ types: TypeCatalog, to json: inout ByteWriter
  ) {
    json.append("{\"schema\":{\"type\":\"struct\",\"fields\":[")
    append(fields, types, to: &json)
    json.append("],\"optional\":false,\"name\":")
    ConnectText.append(string: name(table, "Key"), to: &json)
    json.append("},\"payload\":")
  }

  /// Appends `{"schema":…,"payload":` for the values of a table.
  func append(
    envelopeOf table: String, _ fields: [Field], _ types: TypeCatalog, to json: inout ByteWriter
  ) {
    json.append("{\"schema\":{\"type\":\"struct\",\"fields\":[")
    for part in ["before", "after"] {
      json.append("{\"type\":\"struct\",\"fields\":[")
      append(fields, types, to: &json)
      json.append("],\"optional\":true,\"name\":")
      ConnectText.append(string: name(table, "Value"), to: &json)
      json.append(",\"field\":\"")
      json.append(string: part)
      json.append("\"},")
    }
    json.append(Self.source)
    json.append(",{\"type\":\"string\",\"optional\":false,\"field\":\"op\"}")
    for unit in ["ts_ms", "ts_us", "ts_ns"] {
      json.append(",{\"type\":\"int64\",\"optional\":true,\"field\":\"")
      json.append(string: unit)
      json.append("\"}")
    }
    json.append("],\"optional\":false,\"name\":")
    ConnectText.append(string: name(table, "Envelope"), to: &json)
    json.append(",\"version\":2},\"payload\":")
  }

  /// Appends the same for the values of a table that are rows, with members behind the columns.
  ///
  /// Connect's transforms lose that the row may be null where they add a member.
  func append(
    rowOf table: String, _ fields: [Field], _ more: [(name: String, type: String)],
    _ types: TypeCatalog, to json: inout ByteWriter
  ) {
    json.append("{\"schema\":{\"type\":\"struct\",\"fields\":[")
    append(fields, types, to: &json)
    for (number, member) in more.enumerated() {
      json.append(string: number == 0 && fields.isEmpty ? "{" : ",{")
      json.append(string: "\"type\":\"\(member.type)\",\"optional\":true,\"field\":")
      ConnectText.append(string: member.name, to: &json)
      json.append("}")
    }
    json.append(string: "],\"optional\":\(more.isEmpty),\"name\":")
    ConnectText.append(string: name(table, "Value"), to: &json)
    json.append("},\"payload\":")
  }

  /// Appends the same for the keys of logical messages.
  static func append(messageKey json: inout ByteWriter) {
    json.append(
      """
      {"schema":{"type":"struct","fields":[{"type":"string","optional":true,"field":"prefix"}],\
      "optional":false,"name":"io.debezium.connector.postgresql.MessageKey","version":1},"payload":
      """)
  }

  /// Appends the same for logical messages, whose content may be text by the options.
  func append(message json: inout ByteWriter) {
    json.append(
      """
      {"schema":{"type":"struct","fields":[{"type":"string","optional":false,"field":"op"},\
      {"type":"int64","optional":true,"field":"ts_ms"},
      """)
    json.append(Self.source)
    json.append(
      """
      ,{"type":"struct","fields":[{"type":"string","optional":true,"field":"prefix"},{"type":"
      """)
    json.append(options.binary == .bytes ? "bytes" : "string")
    json.append(
      """
      ","optional":true,"field":"content"}],"optional":false,\
      "name":"io.debezium.connector.postgresql.Message","version":1,"field":"message"}],\
      "optional":false,"name":"io.debezium.connector.postgresql.MessageValue","version":1},"payload":
      """)
  }

  /// A schema's name below the source's, adjusted as the options say; characters that no topic has
  /// are replaced as in a topic's name.
  private func name(_ table: String, _ kind: String) -> String {
    let whole = TopicRouting.legalName(table) + "." + kind
    return whole.split(separator: ".", omittingEmptySubsequences: false)
      .map { options.names.adjusted(String($0)) }.joined(separator: ".")
  }

  // MARK: - Fields

  private func append(_ fields: [Field], _ types: TypeCatalog, to json: inout ByteWriter) {
    for (number, field) in fields.enumerated() {
      if number > 0 { json.append(0x2C as UInt8) }
      json.append("{")
      let optional = field.isOptional ? "true" : "false"
      if field.encoder.isArray {
        json.append("\"type\":\"array\",\"items\":{")
        append(type: field, types, optional: "true", to: &json)
        json.append("},\"optional\":")
        json.append(string: optional)
      } else {
        append(type: field, types, optional: optional, to: &json)
      }
      json.append(",\"field\":")
      ConnectText.append(string: options.fieldNames.adjusted(field.name), to: &json)
      json.append("}")
    }
  }

  private func append(
    type field: Field, _ types: TypeCatalog, optional: String, to json: inout ByteWriter
  ) {
    let shape = shape(field, types)
    json.append("\"type\":\"")
    json.append(string: shape.type)
    json.append("\"")
    if let fields = shape.fields {
      json.append(",\"fields\":[")
      json.append(string: fields)
      json.append("]")
    }
    if let keys = shape.keys {
      json.append(",")
      json.append(string: keys)
    }
    json.append(",\"optional\":")
    json.append(string: optional)
    guard let name = shape.name else { return }
    json.append(",\"name\":\"")
    json.append(string: name)
    json.append("\",\"version\":1")
    if let parameters = shape.parameters {
      json.append(",\"parameters\":{")
      json.append(string: parameters)
      json.append("}")
    }
    if let text = shape.text {
      json.append(",\"doc\":\"")
      json.append(string: text)
      json.append("\"")
    }
  }

  /// What Connect's schema of a type consists of.
  private struct Shape {
    var type: String
    var name: String?
    var parameters: String?
    var fields: String?
    var keys: String?
    var text: String?

    init(_ type: String, _ name: String? = nil, parameters: String? = nil) {
      self.type = type
      self.name = name
      self.parameters = parameters
    }
  }

  private static let decimal = "org.apache.kafka.connect.data.Decimal"

  private func shape(_ field: Field, _ types: TypeCatalog) -> Shape {
    let scale = field.encoder.scale
    switch field.encoder.rule {
    case .boolean, .bit: return Shape("boolean")
    case .integer: return Shape(integer(field, types))
    case .double: return Shape(element(field, types) == 700 ? "float" : "double")
    case .decimalDouble, .moneyDouble: return Shape("double")
    case .decimalString, .moneyString: return Shape("string")
    case .string: return text(field, types)
    case .decimal:
      let precision = (field.modifier &- 4) >> 16 & 0xFFFF
      return Shape(
        "bytes", Self.decimal,
        parameters: "\"scale\":\"\(scale)\",\"connect.decimal.precision\":\"\(precision)\"")
    case .money: return Shape("bytes", Self.decimal, parameters: "\"scale\":\"\(scale)\"")
    case .variableDecimal:
      var shape = Shape("struct", "io.debezium.data.VariableScaleDecimal")
      shape.fields = """
        {"type":"int32","optional":false,"field":"scale"},\
        {"type":"bytes","optional":false,"field":"value"}
        """
      shape.text = "Variable scaled decimal"
      return shape
    case .bytes: return Shape("bytes")
    case .base64, .base64URL, .hex, .textBase64URL, .textHex: return Shape("string")
    case .textBytes: return Shape(options.binary == .bytes ? "bytes" : "string")
    case .bits:
      let length = field.modifier > 0 ? field.modifier : .max
      return Shape("bytes", "io.debezium.data.Bits", parameters: "\"length\":\"\(length)\"")
    case .interval: return Shape("int64", "io.debezium.time.MicroDuration")
    case .intervalISO: return Shape("string", "io.debezium.time.Interval")
    default: return moment(field) ?? nested(field, types)
    }
  }

  private func moment(_ field: Field) -> Shape? {
    let unit =
      switch field.encoder.scale {
      case 1_000: ""
      case 1_000_000: "Micro"
      default: "Nano"
      }
    let isConnect = options.time == .connect
    let connect = "org.apache.kafka.connect.data."
    switch field.encoder.rule {
    case .days: return Shape("int32", isConnect ? connect + "Date" : "io.debezium.time.Date")
    case .timestamp:
      return Shape(
        "int64", isConnect ? connect + "Timestamp" : "io.debezium.time.\(unit)Timestamp")
    case .time:
      return Shape(
        unit.isEmpty ? "int32" : "int64",
        isConnect ? connect + "Time" : "io.debezium.time.\(unit)Time")
    case .dateISO: return Shape("string", "io.debezium.time.IsoDate")
    case .timestampISO: return Shape("string", "io.debezium.time.IsoTimestamp")
    case .timeISO: return Shape("string", "io.debezium.time.IsoTime")
    case .zonedTimestamp: return Shape("string", "io.debezium.time.ZonedTimestamp")
    case .zonedTime: return Shape("string", "io.debezium.time.ZonedTime")
    default: return nil
    }
  }

  private func nested(_ field: Field, _ types: TypeCatalog) -> Shape {
    switch field.encoder.rule {
    case .hstoreJSON: return Shape("string", "io.debezium.data.Json")
    case .hstoreMap:
      var shape = Shape("map")
      shape.keys =
        "\"keys\":{\"type\":\"string\",\"optional\":false},"
        + "\"values\":{\"type\":\"string\",\"optional\":true}"
      return shape
    case .vector:
      var shape = Shape("array")
      shape.keys =
        "\"items\":{\"type\":\"\(element(field, types) == 22 ? "int16" : "int64")\",\"optional\":false}"
      return shape
    case .embedding:
      var shape = Shape("array", "io.debezium.data.DoubleVector")
      shape.keys = "\"items\":{\"type\":\"double\",\"optional\":false}"
      return shape
    default:
      let isPoint = field.encoder.rule == .point
      var shape = Shape("struct", "io.debezium.data.geometry.\(isPoint ? "Point" : "Geometry")")
      shape.fields =
        (isPoint
          ? "{\"type\":\"double\",\"optional\":false,\"field\":\"x\"},"
            + "{\"type\":\"double\",\"optional\":false,\"field\":\"y\"}," : "")
        + "{\"type\":\"bytes\",\"optional\":\(isPoint),\"field\":\"wkb\"},"
        + "{\"type\":\"int32\",\"optional\":true,\"field\":\"srid\"}"
      shape.text = isPoint ? "Geometry (POINT)" : "Geometry"
      return shape
    }
  }

  // MARK: - Types

  /// The type behind domains and arrays.
  private func element(_ field: Field, _ types: TypeCatalog) -> UInt32 {
    var type = field.type
    for _ in 0..<ValueEncoders.depthLimit {
      switch types.description(of: type)?.kind {
      case .domain(let base): type = base
      case .array(let element, _): type = element
      default: return type
      }
    }
    return type
  }

  private func integer(_ field: Field, _ types: TypeCatalog) -> String {
    switch element(field, types) {
    case 21: "int16"
    case 23: "int32"
    default: "int64"
    }
  }

  private func text(_ field: Field, _ types: TypeCatalog) -> Shape {
    let type = element(field, types)
    switch type {
    case 2950: return Shape("string", "io.debezium.data.Uuid")
    case 114, 3802: return Shape("string", "io.debezium.data.Json")
    case 142: return Shape("string", "io.debezium.data.Xml")
    case 3614: return Shape("string", "io.debezium.data.Tsvector")
    default:
      let isTree = types.description(of: type)?.name == "ltree"
      return isTree ? Shape("string", "io.debezium.data.Ltree") : Shape("string")
    }
  }
}
