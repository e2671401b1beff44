/// Makes pipelines and sinks from the configuration: the one place where their kinds are listed.
enum PipelineFactory {
  /// Makes the pipeline of one source.
  static func make(
    _ source: SourceConfiguration, sinks: [SinkConfiguration], _ configuration: Configuration,
    store: any SourceStore, observer: PipelineObserver, log: Log, reconnects: Bool = true
  ) throws(StreamerError) -> any Service.Pipeline {
    let log = source.debug ? log.lowered(to: .debug) : log
    switch source.kind {
    case .postgres(let postgres):
      return try PostgresPipeline(
        plan(source.name, postgres, sinks: sinks, configuration, reconnects: reconnects),
        store: store,
        observer: observer, log: log.with(["source": source.name]))
    case .kafka(let kafka):
      let sourcePlan = KafkaSourcePlan(
        name: source.name, source: kafka, longestRetry: Limits.kafkaLongestRetry,
        sinks: sinks.map { plan($0, source: source.name, configuration) },
        inFlight: configuration.inFlight.bytes,
        startTimeout: configuration.startTimeout ?? .zero,
        shutdownTimeout: configuration.shutdownTimeout)
      return try KafkaPipeline(
        sourcePlan, observer: observer, log: log.with(["source": source.name]))
    case .recording(let recording):
      let recordingPlan = RecordingPlan(
        name: source.name, source: recording,
        sinks: sinks.map { plan($0, source: source.name, configuration) },
        spool: SpoolConfiguration().settings(store: configuration.store),
        inFlight: configuration.inFlight.bytes,
        startTimeout: configuration.startTimeout ?? .zero,
        shutdownTimeout: configuration.shutdownTimeout, reconnects: reconnects)
      return try RecordingPipeline(
        recordingPlan, observer: observer, log: log.with(["source": source.name]))
    }
  }

  /// What the pipeline of a PostgreSQL source needs to know.
  static func plan(
    _ name: String, _ source: PostgresSourceConfiguration, sinks: [SinkConfiguration],
    _ configuration: Configuration, reconnects: Bool = true
  ) -> PipelinePlan {
    PipelinePlan(
      name: name, source: source, sinks: sinks.map { plan($0, source: name, configuration) },
      spool: source.spool.settings(store: configuration.store),
      inFlight: configuration.inFlight.bytes, startTimeout: configuration.startTimeout ?? .zero,
      shutdownTimeout: configuration.shutdownTimeout, reconnects: reconnects)
  }

  /// What a pipeline needs to know of one of its sinks.
  static func plan(
    _ sink: SinkConfiguration, source: String, _ configuration: Configuration
  ) -> PipelinePlan.Sink {
    var routing = TopicRouting(fallback: "")
    var messageTopic: String? = ""
    var headers = false
    let start = configuration.startTimeout ?? Limits.kafkaStart
    if case .kafka(let kafka) = sink.kind {
      routing = kafka.topics
      messageTopic = kafka.messageTopic
      headers = kafka.headers
    }
    return PipelinePlan.Sink(
      name: sink.name, routing: routing, messageTopic: messageTopic, headers: headers,
      values: sink.format.values
    ) { (log) throws(StreamerError) in
      let log = log.with(["sink": sink.name])
      return switch sink.kind {
      case .kafka(let kafka):
        KafkaSink(
          name: sink.name, kafka, startTimeout: min(start, Limits.kafkaStart), log: log)
      case .stdout: try LineSink(path: nil, rotateSize: nil)
      case .file(let file):
        try LineSink(path: file.path(for: source), rotateSize: file.rotateSize?.bytes)
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
