import KafkaBridge

/// The positions that exactly-once sinks keep in Kafka: for commands that look at them, and move them
/// while nothing runs.
struct KeptPositions {
  private struct Place {
    let source: String
    let sink: String
    let writer: KafkaWriter
    let topic: PositionTopic
    let replication: Int
  }

  private let places: [Place]

  /// Those of one source, or, with nil, of all.
  init(of configuration: Configuration, source: String?) {
    let log = Log(level: .error)
    let names = configuration.sources.map(\.name).filter { source == nil || $0 == source }
    places = names.flatMap { source in
      configuration.sinks(of: source).compactMap { sink in
        guard case .kafka(let kafka) = sink.kind, kafka.delivery == .exactlyOnce else { return nil }
        let start = configuration.startTimeout ?? Limits.kafkaStart
        let (writer, topic) = TransactionalKafkaSink.parts(
          name: sink.name, source: source, kafka, startTimeout: start, log: log)
        return Place(
          source: source, sink: sink.name, writer: writer, topic: topic,
          replication: kafka.newTopics.replication)
      }
    }
  }

  /// What counts of each sink: what it keeps itself where it does, else what the store has.
  func replacing(_ stored: [Position]) throws(StreamerError) -> [Position] {
    var positions = stored
    for place in places {
      guard let record = try place.topic.last() else { continue }
      positions.removeAll { $0.source == place.source && $0.sink == place.sink }
      positions.append(record.position)
    }
    return positions.sorted { ($0.source, $0.sink) < ($1.source, $1.sink) }
  }

  /// Moves those of these sinks that keep their position themselves; an instance that runs is shut out.
  func save(_ positions: [Position]) throws(StreamerError) {
    for position in positions {
      let record = PositionRecord(
        position: position, from: ReadPlace(lsn: position.lsn),
        options: try keptOptions(position), written: [])
      try write(record.value, source: position.source, sink: position.sink)
    }
  }

  /// Forgets them.
  func forget(_ positions: [Position]) throws(StreamerError) {
    for position in positions {
      // A commit behind what is undecided would end that too.
      _ = try keptOptions(position)
      try write(nil, source: position.source, sink: position.sink)
    }
  }

  private func keptOptions(_ position: Position) throws(StreamerError) -> String {
    let place = places.first { $0.source == position.source && $0.sink == position.sink }
    return try place?.topic.last()?.options ?? ""
  }

  private func write(_ value: [UInt8]?, source: String, sink: String) throws(StreamerError) {
    let place = places.first { $0.source == source && $0.sink == sink }
    guard let place else { return }
    let writer = place.writer
    try writer.open(topics: [])
    defer { writer.close(within: Limits.release) }
    let number = try writer.make(place.topic.new(replication: place.replication))
    try writer.claim()
    try writer.begin()
    writer.send(key: place.topic.key, value: value, to: number, partition: 0, ticket: 0)
    try writer.deliver(within: Limits.kafkaRequest)
    let written = writer.writtenPartitions.first
    if let error = writer.commit() ?? written.flatMap({ writer.awaitMark(at: $0) }) { throw error }
  }
}
