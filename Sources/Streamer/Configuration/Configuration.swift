/// What one configuration file says, checked and complete.
struct Configuration: Hashable, Sendable {
  /// How log lines are written.
  enum LogFormat: String, CaseIterable, Sendable {
    /// key=value.
    case logfmt
    /// One JSON object a line.
    case json
  }

  /// Which log lines are written.
  enum LogLevel: String, CaseIterable, Sendable {
    /// Everything, also what is of use to developers only.
    case trace
    /// What explains decisions.
    case debug
    /// What an operator wants to see.
    case info
    /// What went wrong and is being repaired.
    case warn
    /// What needs somebody.
    case error
  }

  /// What becomes of the other sources when one has failed for good.
  enum SourceFailure: String, CaseIterable, Sendable {
    /// They go on.
    case isolate
    /// They stop too.
    case stop
  }

  /// The file of the position store; `nil` when no source needs one.
  let store: String?
  /// Whether `store = "kafka"`: every position is kept by an exactly-once sink, and nothing on disk.
  let keepsPositionsInKafka: Bool
  /// Where the HTTP server listens (127.0.0.1:12080).
  let http: HTTPAddress
  /// The bearer token of requests that change something; `nil` refuses them.
  var httpToken: Secret?
  /// How often a line of statistics is logged for each source and sink; `nil` for never (10s).
  var tickerInterval: Duration?
  /// How log lines are written (logfmt).
  let logFormat: LogFormat
  /// Which log lines are written (info).
  var logLevel: LogLevel
  /// How long unreachable servers are retried at the start; `nil` for ever (10s).
  let startTimeout: Duration?
  /// What becomes of the other sources when one has failed for good (isolate).
  let onSourceFailure: SourceFailure
  /// How long a stop may take (30s).
  let shutdownTimeout: Duration
  /// How many bytes of undelivered events a pipeline may hold (16MiB).
  let inFlight: ByteSize
  /// How many tables of a source have metrics of their own (1000).
  let metricsTables: Int
  /// Whether `/ready` answers 200 while another instance has the slot (false).
  let readyWhenStandby: Bool
  /// The sources in the order of the file, at least one.
  var sources: [SourceConfiguration]
  /// The sinks in the order of the file, at least one.
  var sinks: [SinkConfiguration]
  /// What is worth logging once at the start.
  var notes: [ConfigurationNote]

  /// Whether a source or a sink is a Kafka.
  var usesKafka: Bool {
    sinks.contains { if case .kafka = $0.kind { true } else { false } }
      || sources.contains { if case .kafka = $0.kind { true } else { false } }
  }

  /// Whether standard output gets events.
  var printsRows: Bool {
    sinks.contains { if case .stdout = $0.kind { true } else { false } }
  }

  /// The sinks that get the changes of a source, in the order of the file.
  func sinks(of source: String) -> [SinkConfiguration] {
    let heartbeats: TablePattern? =
      if case .postgres(let postgres)? = sources.first(where: { $0.name == source })?.kind {
        postgres.heartbeat.table
      } else { nil }
    return sinks.filter { $0.sources.contains(source) }.map { sink in
      var sink = sink
      sink.heartbeatTable = heartbeats
      return sink
    }
  }
}

extension Configuration {
  /// How large a configuration file may be, in bytes.
  static let fileLimit = 4 << 20

  /// Keys of a later version at the top of the file.
  static let later = ["httpTLS", "cluster"]

  /// Reads and checks the file at `path` with this process' environment.
  static func load(path: String) throws(ConfigurationErrors) -> Configuration {
    try parse(
      text: try text(of: path), file: path, environment: ProcessEnvironment.value(of:),
      readFile: FileReading.read(_:limit:))
  }

  /// Reads and checks the file at `path` for a command that connects to nothing: a reference that
  /// stands for nothing here stands for itself.
  static func loadUnconnected(path: String) throws(ConfigurationErrors) -> Configuration {
    try parse(
      text: try text(of: path), file: path,
      environment: { ProcessEnvironment.value(of: $0) ?? "${\($0)}" },
      readFile: { (path: String, limit: Int) throws(FileReadError) -> [UInt8] in
        (try? FileReading.read(path, limit: limit)) ?? Array("${file:\(path)}".utf8)
      }, connects: false)
  }

  /// Reads a configuration file's text.
  static func text(of path: String) throws(ConfigurationErrors) -> String {
    let bytes: [UInt8]
    do throws(FileReadError) {
      bytes = try FileReading.read(path, limit: fileLimit + 1)
    } catch {
      throw whole(path, found: "a file that cannot be read (\(error.reason))")
    }
    guard bytes.count <= fileLimit else {
      throw whole(path, found: "a file of more than \(ByteSize(fileLimit))")
    }
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw whole(path, found: "a file that is not UTF-8")
    }
    return text
  }

  private static func whole(_ path: String, found: String) -> ConfigurationErrors {
    ConfigurationErrors([
      ConfigurationError(
        file: path, line: 0, path: "", found: found, expected: "a configuration in TOML", hint: "")
    ])
  }

  /// Reads and checks a text; nothing but the two functions touches the outside.
  static func parse(
    text: String, file: String, environment: @escaping @Sendable (String) -> String?,
    readFile: @escaping FileReader, connects: Bool = true
  ) throws(ConfigurationErrors) -> Configuration {
    var reader = try topReader(
      text: text, file: file,
      secrets: SecretExpansion(environment: environment, readFile: readFile), connects: connects)
    let configuration = Configuration(in: &reader)
    guard reader.errors.isEmpty else { throw ConfigurationErrors(reader.errors) }
    return configuration
  }

  /// Makes the reader of a whole file, or throws why it is no TOML.
  static func topReader(
    text: String, file: String, secrets: SecretExpansion, connects: Bool = true
  ) throws(ConfigurationErrors) -> ConfigurationReader {
    let document: TOMLDocument
    do throws(TOMLSyntaxError) {
      document = try TOMLDocument(parsing: text)
    } catch {
      throw ConfigurationErrors([
        ConfigurationError(
          file: file, line: error.position.line, path: "",
          found: "what is no TOML at column \(error.position.column)",
          expected: "TOML 1.0", hint: error.text.hasSuffix(".") ? error.text : "\(error.text).")
      ])
    }
    return ConfigurationReader(
      path: "", subject: "the top of the file", table: document.root,
      position: TOMLPosition(line: 1, column: 1),
      context: ConfigurationReader.Context(file: file, secrets: secrets, connects: connects))
  }

  /// Reads the whole file and records what is wrong with it.
  init(in reader: inout ConfigurationReader) {
    let http = reader.httpAddress()
    let token = reader.text("httpToken").map { Secret($0.value) }
    self.http = http
    httpToken = token?.revealed.isEmpty == false ? token : nil
    let ticker = reader.duration("tickerInterval", default: .seconds(10), zero: true)
    tickerInterval = ticker > .zero ? ticker : nil
    logFormat = reader.choice("logFormat", default: LogFormat.logfmt)
    logLevel = reader.choice(
      "logLevel", default: LogLevel.info, spellings: ["warning": .warn])
    let start = reader.duration("startTimeout", default: .seconds(10), zero: true)
    startTimeout = start > .zero ? start : nil
    onSourceFailure = reader.choice("onSourceFailure", default: SourceFailure.isolate)
    shutdownTimeout = reader.duration("shutdownTimeout", default: .seconds(30))
    inFlight = reader.size("inFlight", default: .mebibytes(16), from: ByteSize(64 << 10))
    metricsTables = reader.integer(
      "metricsTables", default: Metrics.standardTables, in: 0...1_000_000)
    readyWhenStandby = reader.boolean("readyWhenStandby", default: false)
    sources = reader.readSources(startTimeout: startTimeout)
    sinks = reader.readSinks(sourceNames: reader.sourceNames())
    let place = reader.store(isNeeded: sources.contains(where: \.needsStore))
    keepsPositionsInKafka = place == "kafka"
    store = keepsPositionsInKafka ? nil : place
    if keepsPositionsInKafka { reader.checkKafkaStore(sources: sources, sinks: sinks) }
    reader.checkQuarantines(sinks, store: store)
    reader.checkPipelines(sources: sources, sinks: sinks)
    reader.finish(later: Self.later)
    notes = reader.notes.sorted { $0.line < $1.line }
  }
}

extension SinkConfiguration {
  /// Whether it keeps the positions of its sources itself.
  var keepsItsPosition: Bool {
    if case .kafka(let kafka) = kind { kafka.delivery == .exactlyOnce } else { false }
  }
}

extension SourceConfiguration {
  /// Whether its position is kept in the store: not for Kafka's offsets or a temporary slot.
  var needsStore: Bool {
    if case .postgres(let postgres) = kind { !postgres.temporary } else { false }
  }
}
