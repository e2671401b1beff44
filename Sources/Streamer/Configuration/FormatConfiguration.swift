/// How a sink writes events.
struct FormatConfiguration: Hashable, Sendable {
  /// The names that `format` takes.
  enum Name: String, CaseIterable, Sendable {
    /// One JSON object with the seed's fields first.
    case psqlStreamer = "psql-streamer"
    /// The envelope of Debezium's connector, as Connect's JSON converter writes it.
    case debezium
    /// The row alone, as Debezium's transform ExtractNewRecordState leaves it.
    case flat
    /// CloudEvents 1.0 whose data is the event of `psql-streamer`.
    case cloudEvents = "cloudevents"
    /// A line for people.
    case text
    /// Avro's binary encoding, with the schemas in a registry.
    case avro
    /// The JSON of Debezium's formats, with the schemas in a registry.
    case jsonSchema = "json-schema"
    /// Protobuf's binary encoding, with the schemas in a registry.
    case protobuf

    /// Whether keys and values are Debezium's.
    var isDebeziums: Bool { self == .debezium || self == .flat || hasSchemas }

    /// Whether records name schemas that a registry keeps.
    var hasSchemas: Bool { self == .avro || self == .jsonSchema || self == .protobuf }

    /// How keys are written unless something else is configured.
    var standardKey: KeyFormat {
      switch self {
      case .avro: .avro
      case .jsonSchema: .jsonSchema
      case .protobuf: .protobuf
      default: .json
      }
    }

    /// Whether keys may be written so.
    func takes(_ key: KeyFormat) -> Bool {
      switch key {
      case .json: true
      case .jsonSchema, .scalar: isDebeziums
      case .avro: self == .avro
      case .protobuf: self == .protobuf
      }
    }

    /// How keys are written where somebody wants them so; nil for nobody.
    func key(wanted: KeyFormat?) -> KeyFormat {
      wanted.flatMap { takes($0) ? $0 : nil } ?? standardKey
    }
  }

  /// How a numeric is written.
  enum Numeric: String, CaseIterable, Sendable {
    /// As a string with its scale: nothing is lost.
    case string
    /// As a JSON number with all its digits.
    case number
    /// As a JSON number of double precision.
    case double
  }

  /// How an interval is written.
  enum Interval: String, CaseIterable, Sendable {
    /// As PostgreSQL prints it.
    case postgres
    /// As ISO 8601 has it: "P1DT2H".
    case iso8601
  }

  /// How bytea is written.
  enum Bytea: String, CaseIterable, Sendable {
    /// Base 64 with padding.
    case base64
    /// Hexadecimal digits.
    case hex
  }

  /// How json and jsonb are written.
  enum JSON: String, CaseIterable, Sendable {
    /// As JSON within the event.
    case embed
    /// As a string that holds JSON.
    case string
  }

  /// How PostGIS's geometry and geography are written.
  enum Geometry: String, CaseIterable, Sendable {
    /// As PostGIS prints them: EWKB in hexadecimal digits.
    case ewkb
    /// As GeoJSON objects.
    case geojson
  }

  /// The format.
  var name = Name.psqlStreamer
  /// How a numeric is written.
  var numeric = Numeric.string
  /// How an interval is written.
  var interval = Interval.postgres
  /// How bytea is written.
  var bytea = Bytea.base64
  /// How json and jsonb are written.
  var json = JSON.embed
  /// How geometry and geography are written.
  var geometry = Geometry.ewkb
  /// How a record's key is written where its format takes it; nil for each format's standard.
  var key: KeyFormat?
  /// How Debezium's formats are written.
  var debezium = DebeziumOptions()
  /// How rows without an envelope are written.
  var flat = FlatOptions()
  /// Where the attributes of CloudEvents stand.
  var cloudEvents = CloudEventsMode.structured

  /// What records have that name schemas.
  var schemas = SchemaOptions()

  /// The format when nothing is configured.
  init() {}

  /// Reads the keys that every sink has for its format, and for those of its tables' rules; a sink that
  /// shows records has no registry.
  init(
    _ name: Name, and others: Set<Name>, shows: Bool = false, in reader: inout ConfigurationReader
  ) {
    self.name = name
    let used = others.union([name])
    key = reader.keyFormat(name, used)
    debezium = DebeziumOptions(in: &reader, isUsed: used.contains(where: \.isDebeziums))
    let hasSchemas = used.contains(where: \.hasSchemas)
    schemas = SchemaOptions(in: &reader, isUsed: hasSchemas, asks: !shows)
    flat = FlatOptions(in: &reader, isUsed: used.contains(.flat) || hasSchemas)
    cloudEvents = reader.choice("cloudevents", default: CloudEventsMode.structured)
    if !used.contains(.cloudEvents) {
      reader.note("cloudevents", "has no effect without format = \"cloudevents\"")
    }
    numeric = reader.choice("numeric", default: Numeric.string)
    interval = reader.choice("interval", default: Interval.postgres)
    bytea = reader.choice("bytea", default: Bytea.base64)
    json = reader.choice("json", default: JSON.embed)
    geometry = reader.choice("geometry", default: Geometry.ewkb)
  }
}

extension ConfigurationReader {
  /// Reads `keyFormat`, which one of the formats in use must take; nil when it is not set.
  fileprivate mutating func keyFormat(
    _ name: FormatConfiguration.Name, _ used: Set<FormatConfiguration.Name>
  ) -> KeyFormat? {
    guard let entry = entry("keyFormat") else { return nil }
    let key = choice("keyFormat", default: name.standardKey)
    guard !used.contains(where: { $0.takes(key) }) else { return key }
    fail(
      "keyFormat", at: entry.position, found: "\"\(key.rawValue)\"",
      expected: key.neededFormat.map { "format = \"\($0.rawValue)\" beside it" }
        ?? "\"json\", the only one of format = \"\(name.rawValue)\"")
    return nil
  }
}

extension KeyFormat {
  /// The format that alone has such keys; nil for those that others have too.
  fileprivate var neededFormat: FormatConfiguration.Name? {
    switch self {
    case .avro: .avro
    case .protobuf: .protobuf
    case .json, .jsonSchema, .scalar: nil
    }
  }
}
