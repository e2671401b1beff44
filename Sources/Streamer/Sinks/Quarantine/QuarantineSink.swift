import KafkaBridge
import PGWire
import Synchronization

/// What outlives the sinks of one lane that hold records back: each fresh one begins with it.
final class Quarantine {
  /// The file.
  let file: QuarantineFile
  /// Bytes that may be held: keys, values and headers.
  let limit: Int
  /// Topics that are not tried again before the next start: a record of theirs was refused again.
  fileprivate var refusedAgain: Set<String> = []

  /// What gives schemas their numbers that were refused before; nil for records without.
  private let registry: SchemaRegistry?

  /// Makes one whose file need not exist.
  init(path: String, limit: Int, registry: SchemaRegistry? = nil) {
    file = QuarantineFile(path: path)
    self.limit = limit
    self.registry = registry
  }

  /// What does a piece of work on the I/O worker: records that come back name schemas by the
  /// registry's numbers.
  ///
  /// It throws what keeps the work undone; what keeps only the records from being sent is the
  /// outcome's trouble.
  fileprivate func performance(
    of work: QuarantineFile.Work, sink: String
  ) -> @Sendable () throws(StreamerError) -> QuarantineFile.Outcome {
    { [file, registry] () throws(StreamerError) in
      var outcome = try file.perform(work)
      guard let registry else { return outcome }
      do throws(StreamerError) {
        var numbers: [UInt32: UInt32] = [:]
        for index in outcome.chunk.indices {
          let (topic, named) = (
            outcome.chunk[index].record.topic, outcome.chunk[index].record.heldNumbers
          )
          for number in named where numbers[number] == nil {
            let schema = try file.schema(number, topic: topic)
            numbers[number] = try registry.number(
              of: schema.text, kind: schema.kind, subject: schema.subject, sink: sink)
          }
          if !named.isEmpty { outcome.chunk[index].record.rename(numbers) }
        }
      } catch {
        (outcome.chunk, outcome.trouble) = ([], error)
      }
      return outcome
    }
  }
}

/// Holds back, on disk and in order, what goes to a topic that cannot take one of its records, while the
/// other topics' records flow through to the sink below.
///
/// A record that is held counts as delivered once it is on disk. From the first one on everything for its
/// topic follows it there; what was sent before is delivered before that one is written. A start sends
/// what an earlier one has held, and what comes meanwhile is held behind it: with the last of it the topic
/// flows again.
final class QuarantineSink: Sink {
  /// The topic whose records are sent from disk.
  private struct Release {
    let topic: String
    let number: TopicID
    /// The last record that was sent.
    var sent: Int64 = 0
    /// The last one that is not on disk any more.
    var removed: Int64 = 0
    /// How many are under way.
    var underWay = 0
  }

  /// What is to be reported once it is on disk.
  private struct Writing {
    var work = QuarantineFile.Work()
    var receipts: [DeliveryReceipt] = []
  }

  private final class Answer: Sendable {
    let result = Mutex<Result<QuarantineFile.Outcome, StreamerError>?>(nil)
  }

  private let below: any Sink
  private let quarantine: Quarantine
  private let name: String
  private let log: Log

  private var topics: [String: HeldTopic] = [:]
  /// Topics of an earlier start that have not been tried.
  private var untried: [(topic: String, number: TopicID)] = []
  private var release: Release?
  /// Records that were sent below and are not delivered, but for those from disk.
  private var underWay = 0
  /// Whether a topic has begun to be held and what was sent before is not delivered.
  private var isDraining = false
  /// What waits for the next job, and what the present one writes.
  private var waiting = Writing()
  private var writing: Writing?
  private var answer: Answer?
  private var asksBelow = false
  private var durable: [DeliveryReceipt] = []
  private var heldBytes = 0
  private var passed = RecordBatch()
  private var failure: StreamerError?
  /// What stands in the way, and when it is tried again.
  private var obstacle: (error: StreamerError, retry: ContinuousClock.Instant)?

  /// The records that it holds go to `quarantine`, all others to the sink `below`.
  init(_ below: any Sink, name: String, _ quarantine: Quarantine, log: Log) {
    self.below = below
    self.name = name
    self.quarantine = quarantine
    self.log = log
  }

  var eventDescriptor: CInt? { below.eventDescriptor }
  var trouble: StreamerError? { obstacle?.error ?? below.trouble }
  var maximumRecordBytes: Int { below.maximumRecordBytes }
  var queueLength: Int { below.queueLength }
  var takesMore: Bool { !isDraining && below.takesMore }
  var isClosedToRecords: Bool { isDraining || below.isClosedToRecords }
  func topic(_ number: TopicID) -> SinkTopic { below.topic(number) }
  func abandon() { below.abandon() }

  func prepare(topics: [String]) -> [Result<TopicID, StreamerError>] {
    below.prepare(topics: topics)
  }

  var deadline: ContinuousClock.Instant? {
    let due = obstacle?.retry ?? (writing == nil && hasWork ? .now : nil)
    return [due, below.deadline].compactMap(\.self).min()
  }

  func open() throws(StreamerError) {
    try below.open()
    // Opened before, in an attempt that something else ended: topics may have other numbers now.
    (topics, untried, heldBytes) = ([:], [], 0)
    try quarantine.file.forgetSchemas()
    for topic in try quarantine.file.open() {
      topics[topic.topic] = topic
      heldBytes += topic.bytes
      guard !quarantine.refusedAgain.contains(topic.topic) else { continue }
      switch below.prepare(topics: [topic.topic])[0] {
      case .success(let number): untried.append((topic.topic, number))
      case .failure(let error): tellHeld(topic.topic, "\(error)")
      }
    }
  }

  func close(within timeout: Duration) {
    below.close(within: timeout)
    quarantine.file.close()
  }

  // MARK: - Holding

  /// What is held now, by the topics' names.
  var held: [HeldTopic] {
    topics.values.map { topic in
      var topic = topic
      topic.isReleasing = topic.topic == release?.topic
      return topic
    }.sorted { $0.topic < $1.topic }
  }

  /// Whether what goes to that topic is held.
  func holds(_ topic: TopicID) -> Bool { !topics.isEmpty && topics[self.topic(topic).name] != nil }

  /// Holds what goes to a topic from now on, the records of the batch that is gathered too.
  func hold(_ number: TopicID, because reason: HeldTopic.Reason) {
    let topic = HeldTopic(topic: topic(number).name, reason: reason, since: "\(UTCTime.now)")
    topics[topic.topic] = topic
    waiting.work.topics.append(topic)
    isDraining = underWay > 0
    log.error(
      "the records of a topic are held from now on",
      [
        "topic": topic.topic, "table": reason.table, "place": reason.place,
        "key": reason.key ?? "", "bytes": reason.size, "cause": reason.text,
        "hint":
          "Other topics go on. Once the topic or the registry takes it, restart: what is held is sent first. "
          + "It lies in \(quarantine.file.path).",
      ])
  }

  func send(_ batch: borrowing RecordBatch) {
    guard !topics.isEmpty else {
      underWay += batch.count
      return below.send(batch)
    }
    var last: (number: TopicID, name: String?)?
    for entry in batch.entries {
      if last?.number != entry.topic {
        let name = topic(entry.topic).name
        last = (entry.topic, topics[name] == nil ? nil : name)
      }
      if let name = last?.name {
        keep(HeldRecord(entry, of: batch, topic: name), entry)
      } else {
        passed.add(entry, of: batch)
      }
    }
    guard !passed.isEmpty else { return }
    underWay += passed.count
    below.send(passed)
    passed.removeAll()
  }

  private func keep(_ record: HeldRecord, _ entry: RecordBatch.Entry) {
    guard failure == nil else { return }
    heldBytes += record.wholeBytes
    if heldBytes > quarantine.limit {
      let names = topics.keys.sorted().joined(separator: ", ")
      failure = StreamerError(
        what: "sink \(name)",
        why: "its quarantine is full: \(quarantine.limit) bytes of \(names) are held",
        hint: "Let the topic take its records and restart, or raise quarantine.limit.")
      return
    }
    waiting.work.records.append(record)
    waiting.receipts.count(entry)
  }

  // MARK: - Delivery

  func poll(_ report: (DeliveryReceipt) -> Void) throws(StreamerError) {
    do throws(StreamerError) {
      try below.poll { receipt in
        guard StrandTicket.parts(of: receipt.ticket).strand != Self.releaseStrand else {
          release?.underWay -= receipt.count
          return
        }
        underWay -= receipt.count
        report(receipt)
      }
    } catch {
      guard let release, error.refusedRecord?.topic == release.topic else { throw error }
      keepOn(release.topic, "\(error)")
      throw error.retried("What is held stays held until the next start.")
    }
    if underWay == 0 { isDraining = false }
    for receipt in durable { report(receipt) }
    durable = []
    if let failure { throw failure }
  }

  // MARK: - Disk

  private var hasWork: Bool {
    if isDraining || failure != nil { return false }
    if !waiting.work.isEmpty { return true }
    return release.map { $0.underWay == 0 } ?? !untried.isEmpty
  }

  func durabilityJob() -> (@Sendable () -> StreamerError?)? {
    let other = below.durabilityJob()
    asksBelow = other != nil
    answer = nil
    if writing == nil, hasWork, obstacle.map({ .now >= $0.retry }) ?? true { answer = begin() }
    guard let answer, let work = writing?.work else { return other }
    let perform = quarantine.performance(of: work, sink: name)
    return {
      let result = Result { () throws(StreamerError) in try perform() }
      answer.result.withLock { $0 = result }
      return other?()
    }
  }

  private func begin() -> Answer {
    if release == nil, !untried.isEmpty {
      let next = untried.removeFirst()
      release = Release(topic: next.topic, number: next.number)
    }
    var next = waiting
    waiting = Writing()
    if let release, release.underWay == 0 {
      if release.sent > release.removed { next.work.delivered = (release.topic, release.sent) }
      next.work.next = (release.topic, release.sent)
    }
    writing = next
    return Answer()
  }

  func durabilityJobEnded(_ error: StreamerError?) {
    if asksBelow { below.durabilityJobEnded(error) }
    guard let result = answer?.result.withLock({ $0.take() }), let written = writing else { return }
    (answer, writing, obstacle) = (nil, nil, nil)
    switch result {
    case .success(let outcome): finished(written, outcome)
    case .failure(let error) where error.isRetryable:
      obstacle = (error, .now + Limits.quarantineRetry)
      var again = written
      again.work.topics += waiting.work.topics
      again.work.records += waiting.work.records
      again.work.ended += waiting.work.ended
      again.receipts += waiting.receipts
      (again.work.delivered, again.work.next) = (nil, nil)
      waiting = again
    case .failure(let error): failure = error
    }
  }

  private func finished(_ written: Writing, _ outcome: QuarantineFile.Outcome) {
    durable += written.receipts
    for record in written.work.records {
      topics[record.topic]?.records += 1
      topics[record.topic]?.bytes += record.wholeBytes
    }
    guard let (topic, _) = written.work.next else { return }
    if let (_, number) = written.work.delivered {
      release?.removed = number
      topics[topic]?.records -= outcome.removed.records
      topics[topic]?.bytes -= outcome.removed.bytes
      heldBytes -= outcome.removed.bytes
    }
    if let trouble = outcome.trouble {
      guard trouble.isRetryable else { return keepOn(topic, "\(trouble)") }
      obstacle = (trouble, .now + Limits.quarantineRetry)
    } else if outcome.chunk.isEmpty {
      ended(topic)
    } else {
      send(outcome.chunk)
    }
  }

  // MARK: - Release

  /// The strand of records from disk: no lane has that many.
  private static let releaseStrand = StrandTicket.strands - 1

  private func send(_ chunk: [(number: Int64, record: HeldRecord)]) {
    guard var release = release.take() else { return }
    for (number, record) in chunk {
      if record.wholeBytes > maximumRecordBytes {
        if passed.isEmpty {
          return keepOn(
            release.topic,
            "a record takes \(record.wholeBytes) bytes, the sink takes \(maximumRecordBytes) at most"
          )
        }
        break
      }
      passed.add(
        record, topic: release.number,
        ticket: StrandTicket.make(strand: Self.releaseStrand, number: 0))
      release.sent = number
      release.underWay += 1
    }
    self.release = release
    below.send(passed)
    passed.removeAll()
  }

  /// What is held of a topic stays held.
  private func keepOn(_ topic: String, _ why: String) {
    quarantine.refusedAgain.insert(topic)
    release = nil
    tellHeld(topic, why)
  }

  private func tellHeld(_ topic: String, _ why: String) {
    log.error("the records of a topic are still held", ["topic": topic, "cause": why])
  }

  /// Nothing is left of a topic on disk: unless more has come meanwhile, it flows again.
  private func ended(_ topic: String) {
    guard !waiting.work.records.contains(where: { $0.topic == topic }) else { return }
    topics[topic] = nil
    release = nil
    waiting.work.ended.append(topic)
    log.info("the records of a topic are not held any more", ["topic": topic])
  }
}

extension HeldRecord {
  /// Copies a record of a batch.
  init(_ entry: RecordBatch.Entry, of batch: borrowing RecordBatch, topic: String) {
    self.init(
      topic: topic, partitionHash: entry.partitionHash,
      key: entry.key.map { batch.bytes.bytes($0).copied },
      value: entry.value.map { batch.bytes.bytes($0).copied },
      headers: batch.headers(of: entry), time: batch.time(of: entry))
  }
}
