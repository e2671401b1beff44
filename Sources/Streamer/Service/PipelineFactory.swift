/// Makes drivers and sinks from the configuration: the one place where their kinds are listed.
enum PipelineFactory {
  /// Makes the driver of one source; one that is isolated is tried for ever, as the others go on.
  static func make(
    _ source: SourceConfiguration, sinks: [SinkConfiguration], _ configuration: Configuration,
    store: any SourceStore, observer: PipelineObserver, log: Log, reconnects: Bool = true,
    isIsolated: Bool = false
  ) throws(StreamerError) -> any Service.Pipeline {
    let log = (source.debug ? log.lowered(to: .debug) : log).with(["source": source.name])
    var plan = plan(source, sinks: sinks, configuration)
    plan.rules.reconnects = reconnects
    // How long a start may take is judged over all sources.
    if isIsolated { plan.rules.startTimeout = .zero }
    switch source.kind {
    case .postgres(let postgres):
      let session = PostgresSession(
        name: source.name, postgres, sinks: sinks.map(\.name), store: store, log: log,
        note: observer.noteGap)
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
    return SinkPlan(name: sink.name, setup: sink.setup) { (topics, log) throws(StreamerError) in
      let log = log.with(["sink": sink.name])
      return switch sink.kind {
      case .kafka(let kafka) where kafka.delivery == .exactlyOnce:
        TransactionalKafkaSink(
          name: sink.name, source: source, kafka, topics: topics,
          startTimeout: min(start, Limits.kafkaStart), rivalry: rivalry, log: log)
      case .kafka(let kafka):
        KafkaSink(
          name: sink.name, kafka, topics: topics, pool: pool,
          startTimeout: min(start, Limits.kafkaStart), log: log)
      case .stdout: try LineSink(path: nil, rotateSize: nil)
      case .file(let file):
        try LineSink(
          path: file.path(for: source), rotateSize: file.rotateSize?.bytes, mode: file.mode)
      case .stubLog: StubSink(log: log)
      case .stubDiscard: StubSink(log: sink.verbose ? log : nil)
      }
    }
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
  /// How its events are routed and written.
  var setup: LaneSetup {
    var setup = ownSetup
    if let heartbeatTable { setup.routing.excluded.append(heartbeatTable) }
    return setup
  }

  private var ownSetup: LaneSetup {
    var setup = LaneSetup(routing: TopicRouting(fallback: ""), messageTopic: "")
    if case .kafka(let kafka) = kind {
      setup = LaneSetup(
        routing: kafka.topics, messageTopic: kafka.messageTopic,
        deadLetterTopic: kafka.oversized == .deadLetter ? kafka.deadLetterTopic : nil,
        headers: kafka.headers, onTableError: kafka.onTableError, routesTables: true)
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
