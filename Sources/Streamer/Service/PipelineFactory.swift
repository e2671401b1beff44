/// Makes drivers and sinks from the configuration: the one place where their kinds are listed.
enum PipelineFactory {
  /// Makes the driver of one source; one that is isolated is tried for ever, as the others go on, and
  /// `list` counts the schemas of records in place of its sinks' registries.
  static func make(
    _ source: SourceConfiguration, sinks: [SinkConfiguration], _ configuration: Configuration,
    store: any SourceStore, observer: PipelineObserver, log: Log, reconnects: Bool = true,
    isIsolated: Bool = false, list: SchemaList? = nil
  ) throws(StreamerError) -> any Service.Pipeline {
    let log = (source.debug ? log.lowered(to: .debug) : log).with(["source": source.name])
    var plan = plan(source, sinks: sinks, configuration)
    plan.rules.reconnects = reconnects
    if let list { for index in plan.sinks.indices { plan.sinks[index].list = list } }
    // How long a start may take is judged over all sources.
    if isIsolated { plan.rules.startTimeout = .zero }
    switch source.kind {
    case .postgres(let postgres):
      let session = PostgresSession(
        name: source.name, postgres, sinks: sinks.map(\.name), store: store, log: log,
        note: observer.noteGap, announce: announcement(to: sinks, log))
      return try Driver(
        PostgresSource(plan, postgres, server: session, observer: observer, log: log), plan,
        observer: observer, log: log)
    case .kafka(let kafka):
      return try Driver(
        KafkaSource(plan, kafka, observer: observer, log: log), plan, observer: observer, log: log)
    case .recording(let recording):
      return try Driver(
        RecordingSource(plan, recording, observer: observer, log: log), plan, observer: observer,
        log: log)
    }
  }

  /// What the driver of a source needs to know.
  static func plan(
    _ source: SourceConfiguration, sinks: [SinkConfiguration], _ configuration: Configuration
  ) -> DriverPlan {
    var spool = SpoolConfiguration()
    var rules = PipelineMachine.Rules(
      startTimeout: configuration.startTimeout ?? .zero,
      shutdownTimeout: configuration.shutdownTimeout)
    if case .postgres(let postgres) = source.kind {
      spool = postgres.spool
      rules.longestPause = postgres.startRetryInterval
    }
    let pool = ProducerPool()
    var result = DriverPlan(
      name: source.name,
      sinks: sinks.map { plan($0, source: source.name, pool: pool, configuration) },
      inFlight: configuration.inFlight.bytes, spool: spool.settings(store: configuration.store),
      rules: rules)
    result.schemaCache = configuration.store.map {
      "\(FileAccess.directory(of: $0))/schemas-\(FileAccess.part(named: source.name)).json"
    }
    if let limit = configuration.startTimeout {
      result.firstAttempt = max(limit, Limits.shortestAttempt)
    }
    return result
  }

  /// What a driver needs to know of one of its sinks.
  static func plan(
    _ sink: SinkConfiguration, source: String, pool: ProducerPool = ProducerPool(),
    _ configuration: Configuration
  ) -> SinkPlan {
    let start = configuration.startTimeout ?? Limits.kafkaStart
    let rivalry = Rivalry()
    let quarantine = sink.quarantine(of: source, store: configuration.store)
    let list = sink.list
    return SinkPlan(
      name: sink.name, setup: sink.setup(for: source), quarantine: quarantine?.file, list: list
    ) {
      (topics, log) throws(StreamerError) in
      let topics = topics + sink.fixedTopics
      let log = log.with(["sink": sink.name])
      if quarantine == nil {
        try sink.checkNothingIsHeld(of: source, store: configuration.store)
      }
      return switch sink.kind {
      case .kafka(let kafka) where kafka.delivery == .exactlyOnce:
        TransactionalKafkaSink(
          name: sink.name, source: source, kafka, topics: topics,
          startTimeout: min(start, Limits.kafkaStart), rivalry: rivalry, log: log)
      case .kafka(let kafka):
        quarantined(
          KafkaSink(
            name: sink.name, kafka, topics: topics, pool: pool,
            startTimeout: min(start, Limits.kafkaStart), log: log),
          quarantine, name: sink.name, log)
      case .stdout: try LineSink(path: nil, rotateSize: nil, list: list)
      case .file(let file):
        try LineSink(
          path: file.path(for: source), rotateSize: file.rotateSize?.bytes, mode: file.mode)
      case .stubLog: StubSink(log: log)
      case .stubDiscard: StubSink(log: sink.verbose ? log : nil)
      }
    }
  }
}

extension PipelineFactory {
  /// Tells the topics of gaps that sinks have.
  private static func announcement(
    to sinks: [SinkConfiguration], _ log: Log
  ) -> @Sendable (Gap) throws(StreamerError) -> Void {
    let topics = sinks.compactMap { GapTopic($0, log: log) }
    return { (gap) throws(StreamerError) in for topic in topics { try topic.write(gap) } }
  }

  private static func quarantined(
    _ sink: KafkaSink, _ quarantine: Quarantine?, name: String, _ log: Log
  ) -> any Sink {
    guard let quarantine else { return sink }
    return QuarantineSink(sink, name: name, quarantine, log: log)
  }
}

extension SinkConfiguration {
  /// What counts the schemas of records that are shown; nil where none has a schema, or a registry
  /// counts them.
  fileprivate var list: SchemaList? {
    if case .stdout = kind, formats.contains(where: \.hasSchemas) { SchemaList() } else { nil }
  }

  /// Where it holds back what comes from one source; nil when it does not.
  fileprivate func quarantine(of source: String, store: String?) -> Quarantine? {
    guard case .kafka(let kafka) = kind, kafka.oversized == .quarantine,
      let path = kafka.quarantine.path(store: store, source: source, sink: name)
    else { return nil }
    return Quarantine(
      path: path, limit: kafka.quarantine.limit.bytes,
      registry: format.schemas.registry.map { SchemaRegistry($0) })
  }

  /// Throws when records of an earlier start are held and this sink, which does not hold any, would
  /// send later ones before them.
  func checkNothingIsHeld(of source: String, store: String?) throws(StreamerError) {
    guard case .kafka(let kafka) = kind, kafka.oversized != .quarantine,
      let path = kafka.quarantine.path(store: store, source: source, sink: name),
      FileAccess.exists(path)
    else { return }
    let file = QuarantineFile(path: path)
    defer { file.close() }
    let held = try file.open().filter { $0.records > 0 }
    guard !held.isEmpty else { return }
    let records = held.reduce(0) { $0 + $1.records }
    let names = held.map(\.topic).sorted().joined(separator: ", ")
    throw StreamerError(
      what: "sink \(name)",
      why:
        "\(records) records of \(names) are held in \(path), and nothing sends them with oversized "
        + "= \"\(kafka.oversized.rawValue)\"",
      hint:
        "Run with oversized = \"quarantine\" until all are sent, or delete the file, which gives "
        + "them up.",
      exit: .preflight)
  }
}

extension SourceConfiguration {
  /// The type as the configuration names it.
  var typeName: TypeName {
    switch kind {
    case .postgres: .postgres
    case .kafka: .kafka
    case .recording: .recording
    }
  }

  /// The status of a source that is starting.
  var status: SourceStatus {
    let slot: String? =
      if case .postgres(let postgres) = kind { postgres.replicationSlot } else { nil }
    return SourceStatus(name: name, type: typeName.rawValue, slot: slot)
  }
}

extension SinkConfiguration {
  /// The type as the configuration names it.
  var typeName: String {
    switch kind {
    case .kafka: TypeName.kafka.rawValue
    case .stdout: TypeName.stdout.rawValue
    case .file: TypeName.file.rawValue
    case .stubLog: TypeName.stubLog.rawValue
    case .stubDiscard: TypeName.stubDiscard.rawValue
    }
  }
}

extension SinkConfiguration {
  /// The topics of a Kafka sink that no reload changes and no event goes to.
  var fixedTopics: [String] {
    guard case .kafka(let kafka) = kind else { return [] }
    return [kafka.gapTopic].compactMap(\.self)
  }

  /// How the events of one of its sources are routed and written.
  func setup(for source: String) -> LaneSetup {
    var setup = ownSetup
    setup.routing.lane = TopicRouting.Lane(source: source, sink: name)
    if let heartbeatTable { setup.routing.excluded.append(heartbeatTable) }
    return setup
  }

  private var ownSetup: LaneSetup {
    var setup = LaneSetup(routing: TopicRouting(fallback: ""), messageTopic: "")
    if case .kafka(let kafka) = kind {
      setup = LaneSetup(
        routing: kafka.topics, messageTopic: kafka.messageTopic,
        deadLetterTopic: kafka.oversized == .fail ? nil : kafka.deadLetterTopic,
        notificationTopic: kafka.notificationTopic,
        transactionTopic: format.name == .debezium ? kafka.transactionTopic : nil,
        headers: kafka.headers, onTableError: kafka.onTableError, routesTables: true,
        outbox: kafka.outbox)
    }
    setup.values = format.values
    setup.format = format.name
    setup.key = format.key
    setup.debezium = format.debezium
    setup.flat = format.flat
    setup.cloudEvents = format.cloudEvents
    setup.schemas = format.schemas
    setup.rules = rules
    return setup
  }
}

extension FormatConfiguration {
  /// How values are written.
  var values: ValueOptions {
    var options = ValueOptions()
    options.numeric = ValueOptions.Numeric(rawValue: numeric.rawValue) ?? .string
    options.interval = ValueOptions.Interval(rawValue: interval.rawValue) ?? .postgres
    options.bytea = ValueOptions.Bytea(rawValue: bytea.rawValue) ?? .base64
    options.json = ValueOptions.JSON(rawValue: json.rawValue) ?? .embed
    options.geometry = ValueOptions.Geometry(rawValue: geometry.rawValue) ?? .ewkb
    return options
  }
}
