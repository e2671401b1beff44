/// A `[source.NAME]` table: where changes come from.
struct SourceConfiguration: Hashable, Sendable {
  /// The kinds of source.
  enum Kind: Hashable, Sendable {
    /// `type = "postgres"`.
    case postgres(PostgresSourceConfiguration)
    /// `type = "kafka"`.
    case kafka(KafkaSourceConfiguration)
    /// `type = "recording"`.
    case recording(RecordingSourceConfiguration)
  }

  /// The name of the table.
  let name: String
  /// What it is.
  var kind: Kind
  /// After how many changes a batch is handed on (100).
  let batchSize: Int
  /// After how long a batch is handed on that is not full (1s).
  let batchFlushInterval: Duration
  /// How long to wait before a sink that failed is tried again (100ms).
  let sendRetryInterval: Duration
  /// How long an unreachable server is retried at the start, as the top of the file says.
  let startTimeout: Duration?
  /// Whether each event is logged in one line.
  let verbose: Bool
  /// Whether debug messages of this source are logged.
  let debug: Bool

  /// The kinds by the names that `type` takes.
  enum TypeName: String, CaseIterable {
    case postgres
    case kafka
    case recording
  }

  /// Reads the table, or records why it cannot; `nil` when its type is unknown.
  init?(name: String, startTimeout: Duration?, in reader: inout ConfigurationReader) {
    guard let type = reader.type(TypeName.self) else { return nil }
    self.name = name
    self.startTimeout = startTimeout
    batchSize = reader.integer("batchSize", default: 100, in: 1...Int.max)
    batchFlushInterval = reader.duration("batchFlushInterval", default: .seconds(1))
    sendRetryInterval = reader.duration("sendRetryInterval", default: .milliseconds(100))
    verbose = reader.boolean("verbose", default: false)
    debug = reader.boolean("debug", default: false)
    switch type {
    case .postgres: kind = .postgres(PostgresSourceConfiguration(in: &reader))
    case .kafka: kind = .kafka(KafkaSourceConfiguration(in: &reader))
    case .recording: kind = .recording(RecordingSourceConfiguration(in: &reader))
    }
  }

  /// The same source with a recording in the place of its server.
  init(_ source: SourceConfiguration, replacedBy recording: RecordingSourceConfiguration) {
    name = source.name
    kind = .recording(recording)
    batchSize = source.batchSize
    batchFlushInterval = source.batchFlushInterval
    sendRetryInterval = source.sendRetryInterval
    startTimeout = source.startTimeout
    verbose = source.verbose
    debug = source.debug
  }
}

extension ConfigurationReader {
  /// Reads `type`, or records that it is missing or unknown.
  mutating func type<Name: RawRepresentable<String> & CaseIterable>(
    _ names: Name.Type, later: [String] = []
  ) -> Name? {
    let list = Name.allCases.map { "\"\($0.rawValue)\"" }.joined(separator: ", ")
    guard has("type") else {
      missing("type", expected: "one of \(list)")
      return nil
    }
    guard let first = Name.allCases.first else { return nil }
    let hadErrors = errors.count
    let name = choice("type", default: first, later: later)
    return errors.count == hadErrors ? name : nil
  }
}
