import PGWire

/// The topic in which a Kafka sink is told of the gaps of its sources, before anything that lies behind
/// them.
///
/// Each gap has a producer of its own: there are few, and those of rows may stand in a transaction.
struct GapTopic: Sendable {
  /// The sink's name.
  let sink: String
  /// The topic's name.
  let name: String
  let configuration: KafkaSinkConfiguration
  let log: Log

  /// Makes that of a sink; nil where it has none.
  init?(_ sink: SinkConfiguration, log: Log) {
    guard case .kafka(let configuration) = sink.kind, let name = configuration.gapTopic else {
      return nil
    }
    self.sink = sink.name
    self.name = name
    self.configuration = configuration
    self.log = log.with(["sink": sink.name])
  }

  /// Writes a gap as `/gaps` has it, by the source's name; it is there when this returns.
  func write(_ gap: Gap) throws(StreamerError) {
    let creates = configuration.createTopics == .create
    let writer = KafkaWriter(
      name: sink, properties: KafkaProperties.producer(configuration, log: log),
      creating: creates ? configuration.newTopics : nil, startTimeout: Limits.kafkaStart, log: log
    ) { [sink] error, isDelivery in
      StreamerError(error, sink: sink, isDelivery: isDelivery, createsTopics: creates)
    }
    defer { writer.close(within: Limits.release) }
    try writer.open(topics: [])
    let topic = try writer.prepare(topics: [name])[0].get()
    writer.send(
      key: Array(gap.source.utf8), value: GapsDocument.json(gap), to: topic, partition: 0,
      ticket: 0)
    try writer.deliver(within: Limits.kafkaRequest)
  }
}
