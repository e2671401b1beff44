import PGWire

/// Writes the schemas of tables for one lane; what it says of a column, a ``RecordWriter``
/// writes.
///
/// A value, so that it goes with a table to the worker that asks the registry.
struct SchemaWriter: Hashable, Sendable {
  /// What schemas are written in.
  let kind: RegisteredSchema.Kind
  /// The registry that gives numbers.
  let registry: RegistryConfiguration
  /// What becomes of a table whose schema the registry refuses.
  let onSchemaError: SchemaErrorAction
  /// What is different for single tables.
  let rules: TableRules
  /// How values are written.
  let options: DebeziumOptions
  /// What rows without an envelope carry.
  let flat: FlatOptions
  /// How keys are written.
  let key: KeyFormat
  /// What schemas say.
  let style: SchemaStyle
  /// Whether values are rows without an envelope.
  let isRow: Bool
  /// The first part of the schemas' names.
  let source: String
  /// The database's name.
  let database: String

  /// Takes what a lane's setup says.
  init(_ setup: LaneSetup, _ origin: StreamOrigin) {
    registry = setup.schemas.registry ?? RegistryConfiguration()
    onSchemaError = setup.schemas.onError
    rules = setup.rules
    kind =
      switch setup.format {
      case .avro: .avro
      case .protobuf: .protobuf
      default: .json
      }
    options =
      kind == .json ? setup.debezium.unwrapped : setup.debezium.named(setup.schemas.style)
    flat = setup.flat
    key = setup.keyFormat
    style = setup.schemas.style
    isRow = setup.schemas.isRowAlone || style == .plain
    source = setup.debezium.name ?? origin.database
    database = origin.database
  }

  // MARK: - Columns

  /// How a column is written; nil where it is left out.
  func encoder(_ column: Relation.Column, _ types: TypeCatalog) -> DebeziumEncoder? {
    guard
      let encoder = DebeziumEncoder(column.type, column.typeModifier, types, options)
    else { return nil }
    guard kind != .protobuf else { return protobuf(encoder) }
    guard style == .plain, kind == .avro else { return encoder }
    switch encoder.rule {
    case .zonedTimestamp: return encoder.changed(to: .timestamp, scale: 1_000_000)
    case .variableDecimal: return encoder.changed(to: .decimalString)
    // Avro has no decimals of fewer digits than stand behind their point, or of negative scale.
    case .decimal:
      let precision = (column.typeModifier &- 4) >> 16 & 0xFFFF
      return encoder.scale < 0 || encoder.scale > precision
        ? encoder.changed(to: .decimalString) : encoder
    default: return encoder
    }
  }

  /// The same in Protobuf, which has messages for moments, and no lists of lists.
  private func protobuf(_ encoder: DebeziumEncoder) -> DebeziumEncoder {
    switch (encoder.rule, style) {
    case (.vector, _) where encoder.isArray, (.embedding, _) where encoder.isArray,
      (.hstoreMap, _) where encoder.isArray:
      encoder.changed(to: .string)
    case (.zonedTimestamp, .plain): encoder.changed(to: .instant, scale: 1_000_000)
    case (.decimal, .plain), (.variableDecimal, .plain): encoder.changed(to: .decimalString)
    case (.money, .plain): encoder.changed(to: .moneyString)
    case (.days, .debezium) where options.time == .connect: encoder.changed(to: .calendarDate)
    case (.timestamp, .debezium) where options.time == .connect:
      encoder.changed(to: .instant, scale: 1_000)
    case (.time, .debezium) where options.time == .connect: encoder.changed(to: .timeOfDay)
    default: encoder
    }
  }

  /// Whether a list is a message of its own, so that it, and each element, may be null.
  var wrapsLists: Bool { kind == .protobuf && style == .plain }

  /// The columns that values have.
  ///
  /// Where an old row may lack columns of the key, they may be null.
  func fields(_ table: Table, _ types: TypeCatalog) -> [DebeziumSchema.Field] {
    table.relation.columns.enumerated().compactMap { index, column in
      encoder(column, types).map {
        DebeziumSchema.Field(
          name: column.name, type: column.type, modifier: column.typeModifier, encoder: $0,
          isOptional: isOptional(index, of: table))
      }
    }
  }

  /// Whether a column of a value may be null.
  func isOptional(_ column: Int, of table: Table) -> Bool {
    !table.key.contains(column) || table.hasPartialOldRows || table.isKeyNullable
  }

  /// The columns that keys have: none of them is left out.
  func keyFields(_ table: Table, _ types: TypeCatalog) -> [DebeziumSchema.Field] {
    table.keyOrder.map { place in
      let column = table.relation.columns[place]
      return DebeziumSchema.Field(
        name: column.name, type: column.type, modifier: column.typeModifier,
        encoder: encoder(column, types) ?? DebeziumEncoder(.string),
        isOptional: table.isKeyNullable)
    }
  }

  /// The members behind the columns of a row, in their order.
  func members(_ table: Table) -> [FlatOptions.Field] {
    let names = Set(table.relation.columns.map { options.fieldNames.adjusted($0.name) })
    return flat.fields.filter { !names.contains($0.name) }
  }

  /// Whether a row says whether it was deleted.
  func saysDeleted(_ table: Table) -> Bool {
    isRow && flat.deletes.isRow
      && !table.relation.columns.contains { $0.name == FlatTablePlan.deleted }
  }

  // MARK: - Schemas

  /// A schema that has no number yet.
  struct Draft {
    /// What it says.
    let schema: ConnectSchema
    /// Whether it is that of keys.
    let isKey: Bool
    /// The full name of the message with the table's columns, within the schema.
    let record: String
    /// The names of that message's fields.
    let fields: [String]
  }

  /// The schemas of a table, that of its keys first, before their fields have numbers.
  func drafts(of table: Table, _ types: TypeCatalog) -> [Draft] {
    let schema = DebeziumSchema(options)
    let name = "\(source).\(table.qualifiedName)"
    var drafts: [Draft] = []
    if key == kind.keyFormat, !table.keyOrder.isEmpty {
      drafts.append(
        draft(schema.key(of: name, keyFields(table, types), types), isKey: true))
    }
    var value = schema.envelope(of: name, fields(table, types), types)
    if isRow {
      var more: [(name: String, type: ConnectSchema.Kind)] =
        saysDeleted(table) ? [(FlatTablePlan.deleted, .string)] : []
      more += members(table).map { ($0.name, $0.member.connectType) }
      value = schema.row(of: name, fields(table, types), more, types)
      // A record at the top is what most readers expect.
      if style == .plain { value.isOptional = false }
    }
    return drafts + [draft(value, isKey: false)]
  }

  private func draft(_ schema: ConnectSchema, isKey: Bool) -> Draft {
    guard case .structure(let members) = schema.kind else {
      return Draft(schema: schema, isKey: isKey, record: "", fields: [])
    }
    // An envelope's row is its first member, nested in it.
    if !isKey, !isRow, let row = members.first?.schema, case .structure(let columns) = row.kind {
      return Draft(
        schema: schema, isKey: isKey, record: row.name ?? "", fields: columns.map(\.name))
    }
    return Draft(
      schema: schema, isKey: isKey, record: schema.name ?? "", fields: members.map(\.name))
  }

  /// The schemas of a table, that of its keys first; fields are counted from 1 on.
  func schemas(of table: Table, _ types: TypeCatalog) -> [RegisteredSchema] {
    drafts(of: table, types).map { registered($0, FieldNumbers()) }
  }

  /// Whether values stand in a union with null, as rows alone do in Debezium's style.
  func isUnion(_ table: Table) -> Bool {
    isRow && kind == .avro && style == .debezium && !saysDeleted(table) && members(table).isEmpty
  }

  /// A draft's text, with these numbers of its fields.
  func registered(_ draft: Draft, _ numbers: FieldNumbers) -> RegisteredSchema {
    let text =
      switch kind {
      case .avro: AvroSchema.text(of: draft.schema, style)
      case .json: JSONSchema.text(of: draft.schema, style)
      case .protobuf:
        ProtobufSchema.text(of: draft.schema, style, numbers, of: draft.record)
      }
    return RegisteredSchema(
      kind: kind, text: text, name: draft.schema.name ?? "", isKey: draft.isKey)
  }
}

extension SchemaWriter.Draft {
  /// The path of ``record`` from the schema's package on: a message that is nested has the other's
  /// name before its own.
  var path: String {
    guard let top = schema.name, top != record else { return record }
    return "\(top).\(record.split(separator: ".").last ?? "")"
  }
}

extension RegisteredSchema.Kind {
  /// How keys are written whose schema is of this kind.
  fileprivate var keyFormat: KeyFormat {
    switch self {
    case .avro: .avro
    case .json: .jsonSchema
    case .protobuf: .protobuf
    }
  }
}

extension DebeziumOptions {
  /// The same for records that name their schema and do not carry it.
  fileprivate var unwrapped: DebeziumOptions {
    var options = self
    options.schemas = false
    return options
  }

  /// The same with names that Avro takes, and for plain schemas with units that it has names for.
  fileprivate func named(_ style: SchemaStyle) -> DebeziumOptions {
    var options = self
    if options.names == .none { options.names = .avro }
    if options.fieldNames == .none { options.fieldNames = .avro }
    guard style == .plain else { return options }
    switch options.time {
    case .adaptive, .adaptiveTimeMicroseconds: options.time = .microseconds
    default: break
    }
    return options
  }
}
