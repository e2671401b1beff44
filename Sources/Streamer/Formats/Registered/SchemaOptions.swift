/// What a sink says of the schemas of its records.
struct SchemaOptions: Hashable, Sendable {
  /// The registry that gives them numbers; nil for formats without.
  var registry: RegistryConfiguration?
  /// What they say.
  var style = SchemaStyle.debezium
  /// Whether values are rows without an envelope.
  var isRowAlone = false
  /// What becomes of a table whose schema the registry refuses.
  var onError = SchemaErrorAction.stop
}

/// What the schemas of a registry say.
enum SchemaStyle: String, Hashable, Sendable, CaseIterable {
  /// What Debezium's connector and Connect's converter register: their names and marks.
  case debezium
  /// Columns alone, with Avro's own logical types.
  case plain
}

/// What a refused schema does to the tables that have none.
enum SchemaErrorAction: String, Hashable, Sendable, CaseIterable {
  /// The source stops.
  case stop
  /// The table's events are left out, and counted.
  case exclude
  /// The records of its topic are held on disk until the registry takes it.
  case quarantine
}

extension SchemaOptions {
  /// Reads the keys of a sink, which asks a registry or counts schemas itself.
  init(in reader: inout ConfigurationReader, isUsed: Bool, asks: Bool) {
    registry = RegistryConfiguration(in: &reader, isUsed: isUsed && asks)
    style = reader.choice("schemaStyle", default: SchemaStyle.debezium)
    onError = reader.choice("onSchemaError", default: SchemaErrorAction.stop)
    isRowAlone = style == .plain || reader.has("flat")
    guard !isUsed else { return }
    for key in ["schemaStyle", "onSchemaError"] {
      reader.note(key, "has no effect without format = \"avro\", \"protobuf\" or \"json-schema\"")
    }
  }
}
