import KafkaBridge
import PGWire
import Synchronization

// SAFETY: `open`, `prepare` and `close` run on the I/O worker, `send` and `poll` on the pipeline's
// thread; they share the topics, which a mutex guards, and a producer that is joined before the first
// record and left after the last.

/// What every sink that produces to Kafka does: topics by number, the partition of a record, batches
/// out and receipts back, and the end.
final class KafkaWriter: @unchecked Sendable {
  /// How long a topic that does not exist is asked for again before that counts: brokers learn of
  /// a new one seconds after it was made.
  private static let patience = Duration.seconds(3)
  /// What one topic may cost when many are asked for or made at once.
  private static let perTopic = Duration.milliseconds(20)

  /// What a failure of Kafka means for the sink, and whether it is that of a record on its way.
  typealias Explanation = @Sendable (KafkaError, _ isDelivery: Bool) -> StreamerError

  private struct Table {
    var topics: [Topic] = []
    var numbers: [String: TopicID] = [:]
    /// The changed numbers of partitions that were told of.
    var told: [String: Int] = [:]
  }

  private let name: String
  private let properties: KafkaConfiguration
  private let pool: ProducerPool
  /// How topics are made that do not exist; nil when that is refused.
  let newTopics: KafkaSinkConfiguration.NewTopics?
  private let startTimeout: Duration
  private let log: Log
  let explain: Explanation
  private let table = Mutex(Table())
  private var joined: (shared: SharedProducer, member: SharedProducer.Member)?
  private var failure: StreamerError?
  /// When the producer ended whose reason has not been reported yet.
  private var fatalSince: ContinuousClock.Instant?
  /// What happened to a record because of that.
  private var consequence: StreamerError?
  /// What librdkafka reported since something was delivered, or the cluster answered though nothing was.
  private var reported: StreamerError?
  /// Whether the cluster has answered since.
  private let isAnswering = Atomic<Bool>(false)
  /// How many of its errors have been looked at.
  private var seenErrors = 0
  /// What brokers refuse now, though librdkafka goes on trying.
  private var refused: StreamerError?
  /// How long the last commit took, and whether no more is asked of one.
  let commits = Mutex((last: Duration.zero, isAbandoned: false))
  /// What keeps records from being delivered, though librdkafka goes on trying.
  var trouble: StreamerError? { refused ?? reported }

  /// Makes a writer that is not connected; `startTimeout` bounds one attempt to connect.
  ///
  /// Those of one `pool` with the same properties write with one producer.
  init(
    name: String, properties: KafkaConfiguration, pool: ProducerPool = ProducerPool(),
    creating newTopics: KafkaSinkConfiguration.NewTopics? = nil, startTimeout: Duration, log: Log,
    explain: @escaping Explanation
  ) {
    self.name = name
    self.properties = properties
    self.pool = pool
    self.newTopics = newTopics
    self.startTimeout = startTimeout
    self.log = log
    self.explain = explain
  }

  /// Readable when ``poll(_:)`` has something to say.
  var eventDescriptor: CInt? { joined?.member.eventDescriptor }

  /// The producer, perhaps one for several sinks; nil before ``open(topics:)``.
  var producer: Producer? { joined?.shared.producer }

  /// The largest record, key and value together in bytes.
  var maximumRecordBytes: Int {
    // librdkafka counts its own overhead of a record as well.
    (producer?.maximumMessageBytes ?? .max) - Limits.recordOverheadBytes
  }

  /// What is known of a topic that was prepared.
  func description(of number: TopicID) -> SinkTopic {
    let topic = table.withLock { table in
      table.topics.indices.contains(Int(number)) ? table.topics[Int(number)] : nil
    }
    let limit = (topic?.maximumBatchBytes ?? .max) - Limits.recordOverheadBytes
    return SinkTopic(name: topic?.name ?? "", maximumRecordBytes: min(limit, maximumRecordBytes))
  }

  /// How many records wait in librdkafka, those of sinks that share the producer too.
  var queueLength: Int { producer?.queueLength ?? 0 }
}

// On the I/O worker.
extension KafkaWriter {
  /// Connects, unless it is connected, and makes sure of the topics that are named.
  func open(topics names: [String]) throws(StreamerError) {
    // Opened before, in an attempt that something else ended, and failed since.
    if joined?.shared.failed != nil { close(within: .zero) }
    if joined == nil {
      do throws(KafkaError) { try join() } catch { throw explain(error, false) }
    }
    for answer in prepare(topics: names) { _ = try answer.get() }
  }

  private func join() throws(KafkaError) {
    let (shared, member) = try pool.join(properties, connect)
    do throws(KafkaError) {
      if let newTopics { try newTopics.validate(timeout: startTimeout, shared.producer.validate) }
    } catch {
      shared.leave(within: .zero)
      throw error
    }
    joined = (shared, member)
  }

  private func connect(_ producer: Producer) throws(KafkaError) {
    try producer.checkConnection(timeout: startTimeout)
    // One broker of several that is down may lead none of the topics: its records wait, and tell.
    for broker in try producer.unreachableBrokers(timeout: startTimeout) {
      log.warning("a broker cannot be reached", ["error": "\(broker)"])
    }
  }

  /// The number of each topic, or what stands in its way; all that are new are asked for, and made,
  /// together.
  func prepare(topics names: [String]) -> [Result<TopicID, StreamerError>] {
    guard let producer else { preconditionFailure("a topic is prepared before the sink is open") }
    let known = table.withLock { $0.numbers }
    var seen: Set<String> = []
    var found: [String: Result<TopicID, StreamerError>] = [:]
    // Kafka would answer, but librdkafka would go on asking for it.
    for name in names where !TopicRouting.isTopicName(name) {
      found[name] = .failure(explain(.invalidTopic(name), false))
    }
    let new = names.filter {
      known[$0] == nil && found[$0] == nil && seen.insert($0).inserted
    }
    let answers = new.isEmpty ? [] : existing(new, producer)
    table.withLock { table in
      for (name, answer) in zip(new, answers) {
        found[name] = answer.mapError { explain($0, false) }.map { topic in
          if let limit = topic.maximumBatchBytes, limit < producer.maximumMessageBytes {
            log.debug("the topic takes small batches", ["topic": name, "bytes": "\(limit)"])
          }
          let number = TopicID(table.topics.count)
          table.topics.append(topic)
          table.numbers[name] = number
          return number
        }
      }
    }
    return names.compactMap { name in known[name].map { .success($0) } ?? found[name] }
  }

  private func existing(
    _ names: [String], _ producer: Producer
  ) -> [Result<Topic, KafkaError>] {
    let timeout = Limits.kafkaRequest + Self.perTopic * names.count
    // Where topics are made, asking to make one tells whether it exists.
    var answers = producer.topics(
      named: names, timeout: timeout, missingFor: newTopics == nil ? Self.patience : .zero)
    guard let newTopics else { return answers }
    let missing = answers.indices.filter { index in
      if case .failure(let error) = answers[index] { return error.category == .missingTopic }
      return false
    }
    guard !missing.isEmpty else { return answers }
    let made = create(missing.map { names[$0] }, newTopics, producer)
    for (index, answer) in zip(missing, made) { answers[index] = answer }
    return answers
  }

  /// The number of one topic, which is made as described where it does not exist.
  func make(_ topic: NewTopic) throws(StreamerError) -> TopicID {
    guard let producer else { preconditionFailure("a topic is made before the sink is open") }
    do throws(KafkaError) {
      let timeout = Limits.kafkaRequest
      let there = producer.topics(named: [topic.name], timeout: timeout, missingFor: .zero)[0]
      if case .failure(let error) = there, error.category == .missingTopic {
        _ = try producer.createTopics([topic], timeout: Limits.kafkaStart)[0].get()
        log.info("created a topic", ["topic": topic.name])
      } else {
        _ = try there.get()
      }
    } catch { throw explain(error, false) }
    return try prepare(topics: [topic.name])[0].get()
  }

  private func create(
    _ names: [String], _ new: KafkaSinkConfiguration.NewTopics, _ producer: Producer
  ) -> [Result<Topic, KafkaError>] {
    let timeout = Limits.kafkaStart + Self.perTopic * names.count
    let made = producer.createTopics(
      names.map { name in
        NewTopic(
          name, partitions: new.partitions, replicationFactor: new.replication,
          config: new.config)
      }, timeout: timeout)
    let isNew = zip(names, made).filter { (try? $1.get()) == true }.map(\.0)
    if isNew.count > 1 {
      log.info("created topics", ["count": "\(isNew.count)", "first": isNew[0]])
    } else if let name = isNew.first {
      log.info("created a topic", ["topic": name])
    }
    // Those that were made are known by now; a broker that has not heard is asked again.
    let there = producer.topics(named: names, timeout: timeout, missingFor: Self.patience)
    return zip(made, there).map { made, topic in made.flatMap { _ in topic } }
  }

  /// Tells of topics whose number of partitions has changed; with `usingNew` it is a reason to begin
  /// anew, since a producer keeps to the number it began with.
  func lookAtPartitions(usingNew: Bool) -> StreamerError? {
    guard let changed = producer?.changedTopics(timeout: Limits.partitionsAnswer) else {
      return nil
    }
    isAnswering.store(true, ordering: .releasing)
    var error: StreamerError?
    let own = table.withLock { $0.numbers }
    for (topic, count) in changed
    where own[topic.name] != nil {
      if usingNew {
        error =
          error
          ?? explain(
            .partitionsChanged(topic.name, from: topic.partitionCount, to: count), true)
      } else if table.withLock({ $0.told.updateValue(count, forKey: topic.name) != count }) {
        log.warning(
          "a topic has another number of partitions",
          [
            "topic": topic.name, "before": topic.partitionCount, "now": count,
            "hint": "New ones get no records until the next start, when keys move; "
              + "onPartitionsChanged = \"use\" does that at once.",
          ])
      }
    }
    return error
  }

  /// Ends the producer within `timeout`, unless other sinks write with it: what is not delivered by
  /// now is given up.
  func close(within timeout: Duration) {
    table.withLock { $0 = Table() }
    joined?.shared.leave(within: timeout)
    joined = nil
  }
}

// On the pipeline's thread.
extension KafkaWriter {
  /// How long the topics are not looked at: a sink that has trouble and nothing to deliver hears so
  /// that it is over.
  var pauseOfLooks: Duration { trouble == nil ? Limits.partitionsCheck : Limits.troubleCheck }

  /// Whether another batch would be on its way at once.
  var takesMore: Bool { producer?.takesMore ?? true }

  /// Takes all records of a batch.
  func send(_ batch: borrowing RecordBatch) {
    guard let (shared, member) = joined else {
      preconditionFailure("records are sent to a sink that is not open")
    }
    let producer = shared.producer
    let topics = table.withLock { $0.topics }
    for entry in batch.entries {
      let topic = topics[Int(entry.topic)]
      let partition = Self.partition(entry.partitionHash, of: topic.partitionCount)
      // SAFETY: the batch's bytes stand still until flushBatches has copied them.
      unsafe batch.withParts(of: entry) { key, value in
        let opaque = shared.opaque(entry.ticket, of: member)
        if entry.headers.isEmpty {
          unsafe producer.enqueue(
            topic: topic, partition: partition, key: key, value: value, opaque: opaque)
        } else {
          unsafe producer.produce(
            topic: topic, partition: partition, key: key, value: value,
            headers: batch.headers(of: entry), timestamp: batch.time(of: entry), opaque: opaque)
        }
      }
    }
    flush(shared)
  }

  /// Hands over what has gathered in the producer.
  private func flush(_ shared: SharedProducer) {
    for report in shared.producer.flushBatches().failed { shared.take(report) }
  }

  /// Sends one record; without a value the topic forgets what its key had there.
  func send(
    key: [UInt8], value: [UInt8]?, to number: TopicID, partition: Int32, ticket: UInt64
  ) {
    guard let (shared, member) = joined else {
      preconditionFailure("a record is sent to a sink that is not open")
    }
    let topic = topic(number)
    let hasValue = value != nil
    // SAFETY: the bytes stand still until flushBatches has copied them.
    unsafe key.withUnsafeBytes { key in
      unsafe (value ?? []).withUnsafeBytes { value in
        unsafe shared.producer.enqueue(
          topic: topic, partition: partition, key: key, value: hasValue ? value : nil,
          opaque: shared.opaque(ticket, of: member))
        flush(shared)
      }
    }
  }

  /// A topic by its number.
  func topic(_ number: TopicID) -> Topic { table.withLock { $0.topics[Int(number)] } }

  /// The partition of a record, as Java's producer chooses it.
  static func partition(_ hash: Int32, of count: Int) -> Int32 {
    Int32(Int(hash & 0x7FFF_FFFF) % count)
  }

  /// Reports what was delivered since the last call; throws when a record never will be.
  func poll(_ report: (DeliveryReceipt) -> Void) throws(StreamerError) {
    guard let (shared, member) = joined else { return }
    shared.poll()
    for refused in member.refused { note(refused) }
    if !member.receipts.isEmpty {
      reported = nil
      for receipt in member.receipts { report(receipt) }
    }
    member.clear()
    if shared.errors.count != seenErrors {
      seenErrors = shared.errors.count
      reported = shared.errors.last.map { explain($0, true) }
      isAnswering.store(false, ordering: .relaxed)
    } else if reported != nil, queueLength == 0, isAnswering.load(ordering: .acquiring) {
      reported = nil
    }
    note(shared.producer.refusal)
    if let fatal = shared.producer.fatalError, failure == nil, isDecisive(fatal) {
      failure = explain(fatal, true)
    }
    if failure == nil, let fatalSince, .now - fatalSince >= Limits.kafkaReason {
      failure = consequence
    }
    if let failure {
      shared.fail(by: name)
      throw failure
    }
    if let failed = shared.failed { throw sharedFailure(failed) }
  }

  /// Gives the producer up, for all that write with it.
  func giveUp() { joined?.shared.fail(by: name) }

  private func sharedFailure(_ other: String) -> StreamerError {
    StreamerError(
      what: "sink \(name)",
      why: "the Kafka producer that it shares with sink \(other) has failed", retryable: true)
  }

  /// Whether a fatal error is all that will be said.
  ///
  /// The guarantee of no gaps ends a producer because of a record that was refused, whose report may
  /// come a moment later and says why; and one that has ended throws out what waits in it.
  private func isDecisive(_ fatal: KafkaError) -> Bool {
    let consequences = ["_GAPLESS_GUARANTEE", "_FATAL", "_PURGE_QUEUE", "_PURGE_INFLIGHT"]
    guard consequences.contains(fatal.name) else { return true }
    let since = fatalSince ?? .now
    fatalSince = since
    return .now - since >= Limits.kafkaReason
  }

  /// Tells once what brokers refuse, and once that they do not any more.
  private func note(_ refusal: KafkaError?) {
    guard refusal?.name != refused?.kafkaCode else { return }
    refused = refusal.map { explain($0, true) }
    if let refused {
      log.warning("Kafka takes no records for now", ["error": "\(refused)"])
    } else {
      log.info("Kafka takes records again")
    }
  }

  /// A record was not delivered.
  private func note(_ report: DeliveryReport) {
    guard failure == nil, let error = report.error else { return }
    // What follows a fatal error says less than its reason, and may come before it.
    guard isDecisive(error) else {
      consequence = consequence ?? explain(error, true)
      return
    }
    failure = explain(error, true)
    if [.recordTooLarge, .recordRefused].contains(error.category), let topic = report.topicName {
      failure?.refusedRecord = RefusedRecord(topic: topic, bytes: report.byteCount)
    }
  }
}
