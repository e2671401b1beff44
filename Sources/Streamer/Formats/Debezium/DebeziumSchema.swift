import PGWire

/// The schemas of Connect that go with Debezium's values: the one description of them, which JSON,
/// Avro and JSON Schema are written from.
///
/// Prepared once for a table.
struct DebeziumSchema {
  private let options: DebeziumOptions

  init(_ options: DebeziumOptions) { self.options = options }

  /// The schema of a record's source.
  static let source: ConnectSchema = {
    var snapshot = ConnectSchema(.string, "io.debezium.data.Enum").optional()
    snapshot.parameters = [
      (
        "allowed",
        "true,first,first_in_data_collection,last_in_data_collection,last,false,incremental"
      )
    ]
    snapshot.standard = "false"
    let text = ConnectSchema(.string)
    let number = ConnectSchema(.int64)
    return ConnectSchema(
      .structure([
        .init("version", text), .init("connector", text), .init("name", text),
        .init("ts_ms", number), .init("snapshot", snapshot), .init("db", text),
        .init("sequence", text.optional()), .init("ts_us", number.optional()),
        .init("ts_ns", number.optional()), .init("schema", text), .init("table", text),
        .init("txId", number.optional()), .init("lsn", number.optional()),
        .init("xmin", number.optional()), .init("origin", text.optional()),
        .init("origin_lsn", number.optional()),
      ]), "io.debezium.connector.postgresql.Source")
  }()

  /// The schema of what a record says of its transaction.
  private static let transaction = ConnectSchema(
    .structure([
      .init("id", ConnectSchema(.string)), .init("total_order", ConnectSchema(.int64)),
      .init("data_collection_order", ConnectSchema(.int64)),
    ]), "event.block"
  ).optional()

  /// A column with its rule; nil where it is left out.
  struct Field {
    let name: String
    let type: UInt32
    let modifier: Int32
    let encoder: DebeziumEncoder
    let isOptional: Bool
  }

  // MARK: - Keys and values

  /// The schema of the keys of a table.
  func key(of table: String, _ fields: [Field], _ types: TypeCatalog) -> ConnectSchema {
    var schema = ConnectSchema(.structure(members(fields, types)))
    schema.name = name(table, "Key")
    return schema
  }

  /// The schema of the values of a table.
  func envelope(of table: String, _ fields: [Field], _ types: TypeCatalog) -> ConnectSchema {
    var row = ConnectSchema(.structure(members(fields, types))).optional()
    row.name = name(table, "Value")
    let time = ConnectSchema(.int64).optional()
    var schema = ConnectSchema(
      .structure([
        .init("before", row), .init("after", row), .init("source", Self.source),
        .init("transaction", Self.transaction), .init("op", ConnectSchema(.string)),
        .init("ts_ms", time), .init("ts_us", time), .init("ts_ns", time),
      ]))
    schema.name = name(table, "Envelope")
    schema.version = 2
    return schema
  }

  /// The same for the values of a table that are rows, with members behind the columns.
  ///
  /// Connect's transforms lose that the row may be null where they add a member.
  func row(
    of table: String, _ fields: [Field], _ more: [(name: String, type: ConnectSchema.Kind)],
    _ types: TypeCatalog
  ) -> ConnectSchema {
    let added = more.map { ConnectSchema.Member($0.name, ConnectSchema($0.type).optional()) }
    var schema = ConnectSchema(.structure(members(fields, types) + added)).optional(more.isEmpty)
    schema.name = name(table, "Value")
    return schema
  }

  /// The same for the keys of logical messages.
  static let messageKey = ConnectSchema(
    .structure([.init("prefix", ConnectSchema(.string).optional())]),
    "io.debezium.connector.postgresql.MessageKey")

  /// The same for logical messages, whose content may be text by the options.
  var message: ConnectSchema {
    let content = ConnectSchema(options.binary == .bytes ? .bytes : .string).optional()
    let message = ConnectSchema(
      .structure([
        .init("prefix", ConnectSchema(.string).optional()), .init("content", content),
      ]), "io.debezium.connector.postgresql.Message")
    return ConnectSchema(
      .structure([
        .init("op", ConnectSchema(.string)), .init("ts_ms", ConnectSchema(.int64).optional()),
        .init("source", Self.source), .init("transaction", Self.transaction),
        .init("message", message),
      ]), "io.debezium.connector.postgresql.MessageValue")
  }

  /// Appends `{"schema":…,"payload":`, what stands before a value.
  static func append(_ schema: ConnectSchema, to json: inout ByteWriter) {
    json.append("{\"schema\":")
    schema.append(to: &json)
    json.append(",\"payload\":")
  }

  /// A schema's name below the source's, adjusted as the options say; characters that no topic has
  /// are replaced as in a topic's name.
  private func name(_ table: String, _ kind: String) -> String {
    let whole = TopicRouting.legalName(table) + "." + kind
    return whole.split(separator: ".", omittingEmptySubsequences: false)
      .map { options.names.adjusted(String($0)) }.joined(separator: ".")
  }

  // MARK: - Fields

  private func members(_ fields: [Field], _ types: TypeCatalog) -> [ConnectSchema.Member] {
    fields.map { field in
      let element = type(of: field, types)
      let schema = field.encoder.isArray ? ConnectSchema(.array(element.optional())) : element
      return ConnectSchema.Member(
        options.fieldNames.adjusted(field.name), schema.optional(field.isOptional))
    }
  }

  static let decimal = "org.apache.kafka.connect.data.Decimal"
  /// Microseconds of a moment with a zone, which Debezium writes as a text: only plain schemas have it.
  static let instant = "instant-micros"

  private func type(of field: Field, _ types: TypeCatalog) -> ConnectSchema {
    switch field.encoder.rule {
    case .boolean, .bit: return ConnectSchema(.boolean)
    case .integer: return ConnectSchema(integer(field, types))
    case .double: return ConnectSchema(element(field, types) == 700 ? .float : .double)
    case .decimalDouble, .moneyDouble: return ConnectSchema(.double)
    case .decimalString, .moneyString: return ConnectSchema(.string)
    case .string: return text(field, types)
    case .decimal, .money: return decimal(field)
    case .variableDecimal:
      var schema = ConnectSchema(
        .structure([
          .init("scale", ConnectSchema(.int32)), .init("value", ConnectSchema(.bytes)),
        ]), "io.debezium.data.VariableScaleDecimal")
      schema.documentation = "Variable scaled decimal"
      return schema
    case .bytes: return ConnectSchema(.bytes)
    case .base64, .base64URL, .hex, .textBase64URL, .textHex: return ConnectSchema(.string)
    case .textBytes: return ConnectSchema(options.binary == .bytes ? .bytes : .string)
    case .bits:
      var schema = ConnectSchema(.bytes, "io.debezium.data.Bits")
      schema.parameters = [("length", "\(field.modifier > 0 ? field.modifier : .max)")]
      return schema
    case .interval: return ConnectSchema(.int64, "io.debezium.time.MicroDuration")
    case .intervalISO: return ConnectSchema(.string, "io.debezium.time.Interval")
    case .structured(let type): return type.schema
    default: return moment(field, types) ?? nested(field, types)
    }
  }

  private func decimal(_ field: Field) -> ConnectSchema {
    var schema = ConnectSchema(.bytes, Self.decimal)
    schema.parameters = [("scale", "\(field.encoder.scale)")]
    if field.encoder.rule == .decimal {
      let precision = (field.modifier &- 4) >> 16 & 0xFFFF
      schema.parameters.append(("connect.decimal.precision", "\(precision)"))
    }
    return schema
  }

  private func moment(_ field: Field, _ types: TypeCatalog) -> ConnectSchema? {
    let unit =
      switch field.encoder.scale {
      case 1_000: ""
      case 1_000_000: "Micro"
      default: "Nano"
      }
    let isConnect = options.time == .connect
    let connect = "org.apache.kafka.connect.data."
    switch field.encoder.rule {
    case .days:
      return ConnectSchema(.int32, isConnect ? connect + "Date" : "io.debezium.time.Date")
    case .timestamp where element(field, types) == 1184,
      .instant where element(field, types) == 1184:
      return ConnectSchema(.int64, Self.instant)
    case .instant: return ConnectSchema(.int64, connect + "Timestamp")
    case .calendarDate: return ConnectSchema(.int32, connect + "Date")
    case .timeOfDay: return ConnectSchema(.int32, connect + "Time")
    case .timestamp:
      return ConnectSchema(
        .int64, isConnect ? connect + "Timestamp" : "io.debezium.time.\(unit)Timestamp")
    case .time:
      return ConnectSchema(
        unit.isEmpty ? .int32 : .int64,
        isConnect ? connect + "Time" : "io.debezium.time.\(unit)Time")
    case .dateISO: return ConnectSchema(.string, "io.debezium.time.IsoDate")
    case .timestampISO: return ConnectSchema(.string, "io.debezium.time.IsoTimestamp")
    case .timeISO: return ConnectSchema(.string, "io.debezium.time.IsoTime")
    case .zonedTimestamp: return ConnectSchema(.string, "io.debezium.time.ZonedTimestamp")
    case .zonedTime: return ConnectSchema(.string, "io.debezium.time.ZonedTime")
    default: return nil
    }
  }

  private func nested(_ field: Field, _ types: TypeCatalog) -> ConnectSchema {
    switch field.encoder.rule {
    case .hstoreJSON: return ConnectSchema(.string, "io.debezium.data.Json")
    case .hstoreMap:
      return ConnectSchema(
        .map(key: ConnectSchema(.string), value: ConnectSchema(.string).optional()))
    case .vector:
      return ConnectSchema(
        .array(ConnectSchema(element(field, types) == 22 ? .int16 : .int64)))
    case .embedding:
      let isHalf = types.description(of: element(field, types))?.name == "halfvec"
      return ConnectSchema(
        .array(ConnectSchema(isHalf ? .float : .double)),
        "io.debezium.data.\(isHalf ? "Float" : "Double")Vector")
    case .sparse:
      let pairs = ConnectSchema(
        .map(key: ConnectSchema(.int16), value: ConnectSchema(.double)))
      return ConnectSchema(
        .structure([.init("dimensions", ConnectSchema(.int16)), .init("vector", pairs)]),
        "io.debezium.data.SparseVector")
    default:
      let isPoint = field.encoder.rule == .point
      let number = ConnectSchema(.double)
      var schema = ConnectSchema(
        .structure(
          (isPoint ? [.init("x", number), .init("y", number)] : [])
            + [
              .init("wkb", ConnectSchema(.bytes).optional(isPoint)),
              .init("srid", ConnectSchema(.int32).optional()),
            ]), "io.debezium.data.geometry.\(isPoint ? "Point" : "Geometry")")
      schema.documentation = isPoint ? "Geometry (POINT)" : "Geometry"
      return schema
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

  private func integer(_ field: Field, _ types: TypeCatalog) -> ConnectSchema.Kind {
    switch element(field, types) {
    case 21: .int16
    case 23: .int32
    default: .int64
    }
  }

  private func text(_ field: Field, _ types: TypeCatalog) -> ConnectSchema {
    let type = element(field, types)
    switch type {
    case 2950: return ConnectSchema(.string, "io.debezium.data.Uuid")
    case 114, 3802: return ConnectSchema(.string, "io.debezium.data.Json")
    case 142: return ConnectSchema(.string, "io.debezium.data.Xml")
    case 3614: return ConnectSchema(.string, "io.debezium.data.Tsvector")
    default:
      let isTree = types.description(of: type)?.name == "ltree"
      return isTree ? ConnectSchema(.string, "io.debezium.data.Ltree") : ConnectSchema(.string)
    }
  }
}
