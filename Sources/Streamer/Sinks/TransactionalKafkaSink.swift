import KafkaBridge
import PGWire

/// Produces to Kafka exactly once, for who reads only what is committed: records and the position that
/// they lead to go into one Kafka transaction.
///
/// Whatever fails ends the sink. A fresh one shuts the old one out, aborts what it left open, and begins
/// at the position that was really committed; so after an outcome that nobody knows no transaction
/// follows on the same producer.
final class TransactionalKafkaSink: TransactionalSink {
  /// The number that delivery reports of positions bring back.
  private static let positionTicket = StrandTicket.make(strand: StrandTicket.strands - 1, number: 0)

  private let name: String
  private let writer: any TransactionWriter
  private let positions: any PositionKeeper
  private let topics: Topics
  private let rivalry: Rivalry
  /// Aborts what is open under the same transactional.id, group by group, on a producer of its own.
  private let abortForgotten: @Sendable ([[TopicPartition]]) throws(StreamerError) -> Void
  private let now: @Sendable () -> ContinuousClock.Instant
  private var transaction: KafkaTransaction
  private var topicNumber: TopicID = 0
  private(set) var isClaimed = false
  /// What the claim has found.
  private var found: PositionRecord?
  /// What was delivered and is not committed, by the source's transactions.
  private var delivered: [DeliveryReceipt] = []
  private var identity: PositionIdentity?
  private var options = ""
  private var committedLSN: LSN?
  private var isCommitting = false
  private var mustCommit = false
  private var lastLook: ContinuousClock.Instant
  private var failure: StreamerError?

  /// What the configuration says of topics.
  struct Topics {
    /// Those that must be there.
    var named: [String] = []
    /// How many replicas the position's topic gets; -1 leaves it to the broker.
    var replication = -1
    /// Whether partitions that are added get records at once.
    var usesNewPartitions = false
  }

  /// Makes a sink over a writer that is not connected.
  init(
    name: String, writer: any TransactionWriter, positions: any PositionKeeper, topics: Topics,
    rules: KafkaTransaction.Rules, rivalry: Rivalry,
    abortForgotten: @escaping @Sendable ([[TopicPartition]]) throws(StreamerError) -> Void = { _ in
    },
    now: @escaping @Sendable () -> ContinuousClock.Instant = { .now }
  ) {
    self.name = name
    self.writer = writer
    self.positions = positions
    self.topics = topics
    self.rivalry = rivalry
    self.abortForgotten = abortForgotten
    self.now = now
    transaction = KafkaTransaction(rules: rules, now: now())
    lastLook = now()
  }

  /// The writer and the position's topic of one source and sink.
  static func parts(
    name: String, source: String, _ configuration: KafkaSinkConfiguration, startTimeout: Duration,
    log: Log
  ) -> (KafkaWriter, PositionTopic) {
    let id = configuration.transactionalID(source: source, sink: name)
    let creates = configuration.createTopics == .create
    let writer = KafkaWriter(
      name: name,
      properties: KafkaProperties.producer(configuration, transactionalID: id, log: log),
      creating: creates ? configuration.newTopics : nil, startTimeout: startTimeout, log: log
    ) { error, isDelivery in
      StreamerError(error, sink: name, isDelivery: isDelivery, createsTopics: creates)
    }
    let positions = PositionTopic(
      name: configuration.positionTopic ?? "\(id).position", sink: name,
      key: PositionRecord.key(source: source, sink: name),
      properties: KafkaProperties.reader(configuration, log: log), log: log)
    return (writer, positions)
  }

  /// Makes a sink of one source that is not connected.
  convenience init(
    name: String, source: String, _ configuration: KafkaSinkConfiguration, topics: [String],
    startTimeout: Duration, rivalry: Rivalry, log: Log
  ) {
    let (writer, positions) = Self.parts(
      name: name, source: source, configuration, startTimeout: startTimeout, log: log)
    self.init(
      name: name, writer: writer, positions: positions.ofClaims { writer.isAbandoned },
      topics: Topics(
        named: topics, replication: configuration.newTopics.replication,
        usesNewPartitions: configuration.onPartitionsChanged == .use),
      rules: configuration.transactionRules, rivalry: rivalry,
      abortForgotten: { places throws(StreamerError) in
        log.error(
          "the cluster has forgotten to end a transaction: it is aborted, and what was in it is read again",
          ["partitions": places.joined().map { "\($0)" }.joined(separator: ", ")])
        let (aborter, _) = Self.parts(
          name: name, source: source, configuration, startTimeout: startTimeout, log: log)
        defer { aborter.close(within: Limits.release) }
        try aborter.open(topics: [])
        try aborter.claim()
        try aborter.abort(in: places)
      })
  }

  var eventDescriptor: CInt? { writer.eventDescriptor }
  var trouble: StreamerError? { writer.trouble }
  var maximumRecordBytes: Int { writer.maximumRecordBytes }
  var queueLength: Int { writer.queueLength }
  func topic(_ number: TopicID) -> SinkTopic { writer.description(of: number) }
  var takesMore: Bool { transaction.takesRecords && writer.takesMore }
  var isClosedToRecords: Bool { !transaction.takesRecords }
  var awaitsBoundary: Bool { transaction.awaitsBoundary }
  var isUncommitted: Bool { transaction.isUncommitted }
  var deadline: ContinuousClock.Instant? { failure == nil ? transaction.deadline : nil }

  // MARK: - On the I/O worker

  func open() throws(StreamerError) {
    try writer.open(topics: topics.named)
    topicNumber = try writer.make(positions.new(replication: topics.replication))
  }

  func prepare(topics names: [String]) -> [Result<TopicID, StreamerError>] {
    writer.prepare(topics: names)
  }

  func claim() throws(StreamerError) -> KeptPosition? {
    isClaimed = true
    try writer.claim()
    rivalry.begun(now: now())
    found = try lastPosition()
    return found.map {
      KeptPosition(position: $0.position, cut: $0.cut, copied: $0.copied, options: $0.options)
    }
  }

  /// The position that was committed last.
  ///
  /// What is undecided although the writer is shut out belongs to a transaction that the cluster says is
  /// over: a broker was killed between the answer to its commit and the marks in its partitions, and has not
  /// written these since. Nobody was told of that commit, so it is undone.
  private func lastPosition() throws(StreamerError) -> PositionRecord? {
    do throws(StreamerError) { return try positions.last() } catch {
      guard error.cause == .undecided else { throw error }
      let places = try positions.forgotten()
      guard !places.isEmpty, !writer.isAbandoned else { throw error }
      try abortForgotten(places)
      throw StreamerError(
        what: "sink \(name)",
        why: "a transaction that the cluster had forgotten is ended; a fresh producer follows",
        retryable: true)
    }
  }

  // MARK: - On the pipeline's thread

  func begin(_ identity: PositionIdentity, options: String, at place: ReadPlace) {
    self.identity = identity
    self.options = options
    guard transaction.committed == nil else { return }
    // A place that was chosen (a slot that is new, a gap that was accepted) is to be found again.
    let position = identity.position(sink: name, lsn: place.lsn)
    let isWritten = found?.position == position && found?.cut == place.cut
    transaction.started(at: place, isWritten: isWritten)
  }

  func send(_ batch: borrowing RecordBatch) {
    guard failure == nil else { return }
    if transaction.send(bytes: batch.bytes.count, now: now()) { beginTransaction() }
    if failure == nil { writer.send(batch) }
  }

  func reached(_ place: ReadPlace) { transaction.reached(place) }

  func hurry() { transaction.hurry() }

  func poll(_ report: (DeliveryReceipt) -> Void) throws(StreamerError) {
    do throws(StreamerError) {
      try writer.poll { receipt in
        guard receipt.ticket != Self.positionTicket else { return }
        // librdkafka has let go of its memory; that it counts is said when it is committed.
        report(DeliveryReceipt(ticket: receipt.ticket, count: 0, bytes: receipt.bytes))
        note(receipt)
      }
    } catch { fail(error) }
    if committedLSN != nil, !delivered.isEmpty, !isCommitting {
      for receipt in delivered { report(receipt) }
      delivered.removeAll(keepingCapacity: delivered.capacity <= Limits.keptReceipts)
    }
    goOn()
    if let failure { throw failure }
  }

  func takeCommitted() -> LSN? {
    defer { committedLSN = nil }
    return committedLSN
  }

  /// The commit; and now and then a look at the topics, for which nothing that is written waits.
  func durabilityJob() -> (@Sendable () -> StreamerError?)? {
    if mustCommit {
      mustCommit = false
      isCommitting = true
      let place = writer.writtenPartitions.first { $0.partition.topic == positions.name }
      return { [writer] in
        writer.commit() ?? place.flatMap { writer.awaitMark(at: $0) }
      }
    }
    let now = now()
    guard !isCommitting, now >= lastLook + writer.pauseOfLooks else { return nil }
    lastLook = now
    return { [writer, topics] in writer.lookAtPartitions(usingNew: topics.usesNewPartitions) }
  }

  func durabilityJobEnded(_ error: StreamerError?) {
    if let error { return fail(error) }
    guard isCommitting else { return }
    isCommitting = false
    committedLSN = transaction.commitEnded(now: now())?.lsn
    // Nobody can say that none of its requests was repeated: a late one must not meet another
    // transaction (KIP-890).
    if writer.lastCommit >= Limits.certainCommit {
      fail(
        StreamerError(
          what: "sink \(name)",
          why: "a commit took so long that a request of it may still be under way: a fresh "
            + "producer follows", retryable: true))
    }
  }

  func abandon() { writer.abandonCommit() }

  func close(within timeout: Duration) { writer.close(within: timeout) }

  // MARK: - Transactions

  private func beginTransaction() {
    do throws(StreamerError) { try writer.begin() } catch { fail(error) }
  }

  private func goOn() {
    guard failure == nil else { return }
    while let step = transaction.next(outstanding: writer.outstanding, now: now()) {
      switch step {
      case .begin: beginTransaction()
      case .writePosition(let place, let from): write(place, from: from)
      case .commit: mustCommit = true
      }
      guard failure == nil else { return }
    }
  }

  private func write(_ place: ReadPlace, from: ReadPlace) {
    guard let identity else { preconditionFailure("a position is written before reading began") }
    let record = PositionRecord(
      position: identity.position(sink: name, lsn: place.lsn), cut: place.cut,
      copied: place.copied, from: from, options: options, written: writer.writtenPartitions)
    writer.send(
      key: positions.key, value: record.value, to: topicNumber, partition: 0,
      ticket: Self.positionTicket)
  }

  private func note(_ receipt: DeliveryReceipt) {
    if let last = delivered.indices.last, delivered[last].ticket == receipt.ticket {
      delivered[last].count += receipt.count
    } else {
      delivered.append(DeliveryReceipt(ticket: receipt.ticket, count: receipt.count, bytes: 0))
    }
  }

  private func fail(_ error: StreamerError) {
    guard failure == nil else { return }
    failure = error.cause == .fenced ? rivalry.judged(error, now: now()) : error
  }
}
