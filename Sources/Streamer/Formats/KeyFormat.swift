/// How a record's key is written: consumers and compaction compare its bytes, and they decide the
/// partition.
enum KeyFormat: String, Hashable, Sendable, CaseIterable {
  /// A JSON object with the key's columns.
  case json
  /// The same as Connect's JSON converter writes it with schemas: `{"schema":…,"payload":…}`.
  case jsonSchema = "json-schema"
  /// The value of the key's one column as plain text; several columns stay an object.
  case scalar
  /// A record of Avro behind the number of its schema.
  case avro
  /// A message of Protobuf behind the number of its schema.
  case protobuf
}
