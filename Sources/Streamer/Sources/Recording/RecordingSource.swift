import PGWire
import Recording

/// A recording as a driver's source: the same events as those of the server whose stream it holds.
///
/// It is read whole, from its beginning, at every connection, and ends when all of it is delivered:
/// nothing is stored. A sink that fails is replaced and the recording is read again; the other
/// sinks pass over what they were given.
// A class because the driver and its jobs' answers speak of the same source.
final class RecordingSource: PipelineSource {
  typealias Instant = ContinuousClock.Instant

  /// What an attempt has opened.
  struct Established: Sendable {
    fileprivate let feed: OpenedFeed
    fileprivate let messageTopics: [TopicID?]
    fileprivate let transactionTopics: [TopicID?]
    fileprivate let deadLetterTopics: [TopicID?]
  }

  /// What its jobs bring back for the tables that were asked about.
  enum Answer: Sendable {
    /// The sinks' topics.
    case topics([TableRequest], Result<[TableTopics], StreamerError>)
    /// All that was found, with the numbers of the tables' schemas.
    case schemas([TableRequest], Result<[TableAnswer], StreamerError>)
    case outbox([TopicRequest], [Result<TopicID, StreamerError>])
  }

  var plan: DriverPlan
  private let configuration: RecordingSourceConfiguration
  private let observer: PipelineObserver
  let log: Log
  /// What becomes of tables whose topics are in the way.
  var policy: TablePolicy
  var pipeline: Pipeline
  private var feed: RecordingFeed?
  private var isLookingUp = false
  /// The tables' schemas in the sinks' registries.
  private let schemas: SchemaBook
  /// What was found of tables whose schemas have no numbers yet.
  private var unnumbered: (requests: [TableRequest], answers: [TableAnswer])?
  var hasProgressed = false
  private(set) var isExhausted = false
  /// When reading began, for the recorded pace.
  private var start = Instant.now

  /// Makes a source that has not opened its file.
  init(
    _ plan: DriverPlan, _ configuration: RecordingSourceConfiguration,
    observer: PipelineObserver, log: Log
  ) throws(StreamerError) {
    self.plan = plan
    self.configuration = configuration
    self.observer = observer
    self.log = log
    policy = TablePolicy(sinks: plan.sinks, log: log)
    schemas = SchemaBook(sinks: plan.sinks, cache: plan.schemaCache, log: log)
    pipeline = try plan.pipeline(observer: observer, log: log)
  }

  var lanes: LaneSet<LSN> {
    _read { yield pipeline.lanes }
    _modify { yield &pipeline.lanes }
  }

  // MARK: - Connections

  func attempt(_ sinks: SinkList) -> @Sendable () -> Result<Established, StreamerError> {
    let wanted = [
      plan.sinks.map(\.setup.messageTopic), plan.sinks.map(\.setup.deadLetterTopic),
      plan.sinks.map(\.setup.transactionTopic),
    ]
    let path = configuration.path
    return {
      Result { () throws(StreamerError) in
        let feed = OpenedFeed(try RecordingFeed(path))
        let topics = try sinks.prepare(wanted)
        return Established(
          feed: feed, messageTopics: topics[0], transactionTopics: topics[2],
          deadLetterTopics: topics[1])
      }
    }
  }

  func connect(
    _ established: Established, _ poller: inout Poller, now: Instant
  ) throws(StreamerError) {
    guard let feed = established.feed.take() else { return }
    let origin = StreamOrigin(
      systemIdentifier: UInt64(feed.header.systemIdentifier) ?? 0,
      host: feed.firstConnection?.host ?? "", database: feed.header.database,
      holdsAnyBytes: feed.firstConnection?.holdsAnyBytes ?? false)
    pipeline.connected(
      at: feed.firstConnection?.startLSN ?? .zero, origin,
      messageTopics: established.messageTopics, deadLetterTopics: established.deadLetterTopics,
      transactionTopics: established.transactionTopics)
    start = now
    hasProgressed = true
    log.info("reading the recording", ["path": configuration.path, "slot": feed.header.slot])
    self.feed = consume feed
  }

  func discard(_ established: Established) -> (@Sendable () -> Void)? { nil }

  func disconnect(
    after error: StreamerError?, _ poller: inout Poller
  ) -> (@Sendable () -> Void)? {
    feed = nil
    isExhausted = false
    pipeline.disconnected()
    return nil
  }

  func goodbye(within limit: Duration, _ poller: inout Poller) -> @Sendable () -> Void {
    feed = nil
    return {}
  }

  // MARK: - Reading

  func turn(
    _ permit: ReadPermit, _ poller: inout Poller, now: Instant
  ) throws(StreamerError) {
    guard permit != .nothing, var feed = feed.take() else { return }
    try read(&feed, untilCommit: permit == .untilCommit, now: now)
    self.feed = consume feed
  }

  /// Reads a slice of the recording, as far as budget and pace let it.
  private func read(
    _ feed: inout RecordingFeed, untilCommit: Bool, now: Instant
  ) throws(StreamerError) {
    var read = 0
    while read < Limits.recordingSlice {
      do throws(StreamFault) {
        let consumed = try pipeline.consume(feed.window, untilCommit: untilCommit)
        feed.consume(consumed.count)
        read += consumed.count
        guard consumed.pause == .needsBytes else { return }
      } catch { try ended(error, &feed) }
      if let due = due(feed.nextTime), due > now { return }
      switch try feed.step() {
      case .connected(let start): pipeline.connected(at: start)
      case .received, .noted: break
      case .ended:
        report(feed.ending)
        isExhausted = true
        return
      }
    }
  }

  /// What ended the recorded connection is in the recording, and so is the next connection.
  private func ended(
    _ fault: StreamFault, _ feed: inout RecordingFeed
  ) throws(StreamerError) {
    if let error = StreamerError(fault, recording: feed.path) { throw error }
    if case .server(let error) = fault {
      log.warning("the server ended the stream", ["error": "\(error)"])
    }
    feed.endConnection()
  }

  /// When an entry is to be read; nil at once.
  private func due(_ time: Duration?) -> Instant? {
    configuration.pace == .recorded ? time.map { start + $0 } : nil
  }

  /// Says when the recording was not ended properly, or ends inside a transaction.
  private func report(_ ending: RecordingReader.Ending?) {
    if case .cut(let offset) = ending {
      log.warning("the recording is cut off; its whole blocks were read", ["offset": offset])
    }
    if let transaction = pipeline.transaction {
      log.warning(
        "the recording ends inside a transaction, whose first events were delivered",
        ["commit": transaction.commitLSN])
    }
  }

  func deadline(_ permit: ReadPermit, now: Instant) -> Instant? {
    guard permit != .nothing, feed != nil, !isExhausted else { return nil }
    if permit == .untilCommit, pipeline.isBetweenTransactions { return nil }
    switch pipeline.pause {
    case .replaying: return now
    case .needsBytes: return max(due(feed?.nextTime) ?? now, now)
    case .budget, .lookUp, .trackerFull, .betweenTransactions, .committing, .fence, .visibility:
      return nil
    }
  }

  // MARK: - Jobs

  func takeJobs(isEnding: Bool, now: Instant) -> [@Sendable () -> Answer] {
    // How long ago a recorded commit was tells nothing: there is no metric of it.
    for index in pipeline.lanes.indices {
      _ = pipeline.lanes[index].takeSettled()
    }
    if let (requests, answers) = unnumbered {
      unnumbered = nil
      return [
        { [schemas] in
          .schemas(
            requests,
            Result { () throws(StreamerError) in try schemas.find(requests, answers) })
        }
      ]
    }
    if let job = pipeline.topicJob() { return [{ .outbox(job.requests, job.run()) }] }
    guard !isLookingUp else { return [] }
    let requests = pipeline.takeRequests()
    guard !requests.isEmpty else { return [] }
    isLookingUp = true
    let sinks = SinkList(pipeline.lanes.sinks)
    return [
      { [policy] in
        .topics(
          requests,
          Result { () throws(StreamerError) in
            try policy.find(
              requests.map { (TablePolicy.Name($0.relation), $0.topics) },
              requests.map { DescribedRelation(relation: $0.relation) }, in: sinks)
          })
      }
    ]
  }

  func take(
    _ answer: Answer, _ poller: inout Poller, now: Instant
  ) throws(StreamerError) {
    if case .outbox(let requests, let answers) = answer {
      return try pipeline.answer(requests, answers)
    }
    isLookingUp = false
    switch answer {
    case .outbox: break
    case .topics(let requests, let result):
      var answers: [TableAnswer] = []
      for (request, table) in zip(requests, try result.get()) {
        guard var found = try feed?.answer(to: request, topics: table.topics) else { return }
        found.left = table.left
        answers.append(found)
      }
      if requests.contains(where: { !$0.writers.isEmpty }) {
        unnumbered = (requests, answers)
        isLookingUp = true
      } else {
        for (request, found) in zip(requests, answers) { pipeline.answer(request, found) }
      }
    case .schemas(let requests, let result):
      for (request, found) in zip(requests, try result.get()) { pipeline.answer(request, found) }
    }
  }

  // MARK: - Where it stands

  var rest: PipelineMachine.Rest {
    PipelineMachine.Rest(isUndelivered: pipeline.lanes.inFlightBytes > 0)
  }

  func observe(now: Instant) { pipeline.report(saved: .zero, now: now) }
}

/// A feed on its way from the worker to the driver's thread.
// SAFETY: the worker makes it and gives it away; only one thread has it at a time.
private final class OpenedFeed: @unchecked Sendable {
  private var feed: RecordingFeed?

  init(_ feed: consuming RecordingFeed) { self.feed = consume feed }

  func take() -> RecordingFeed? { feed.take() }
}
