import PGWire

/// A PostgreSQL server as a driver's source: the pipeline between its stream and the sinks, and
/// what is saved and acknowledged.
// A class because the driver and its own jobs' answers speak of the same source.
final class PostgresSource: PipelineSource {
  typealias Instant = ContinuousClock.Instant

  /// What an attempt has connected.
  struct Established: Sendable {
    let session: EstablishedSession
    /// Reading begins elsewhere than where this process stood: at its start, or over a gap.
    let isElsewhere: Bool
    /// Each sink's topic of logical messages; nil excludes them.
    let messageTopics: [TopicID?]
    /// Each sink's topic of what cannot be delivered; nil stops the source over it.
    let deadLetterTopics: [TopicID?]
    let notificationTopics: [TopicID?]
    /// Those of what is told of transactions.
    let transactionTopics: [TopicID?]
  }

  /// What its jobs bring back.
  enum Answer: Sendable {
    case found([TableRequest], Result<[TableAnswer], StreamerError>)
    case topics([TopicRequest], [Result<TopicID, StreamerError>])
    case saved([LSN], StreamerError?)
    case slot(ReplicationSlot?)
    case recorded
    case heartbeat(Heartbeat.Answer)
    case snapshot(SnapshotAnswer)
    case ordered(CopyOrder, CopyOrder.Outcome)
    case signalled(CopyOrder.Outcome)
    case newTables(Result<CopyBook, StreamerError>)
    case seen(connection: Int, Result<VisibleTransactions.Sight, StreamerError>)
  }

  var plan: DriverPlan
  let configuration: PostgresSourceConfiguration
  let server: any ReplicationServer
  let observer: PipelineObserver
  let log: Log
  /// What becomes of tables whose topics are in the way.
  var policy: TablePolicy
  /// The tables' schemas in the sinks' registries.
  let schemas: SchemaBook

  var pipeline: Pipeline
  var stream: ReplicationStream?
  var feedback: Feedback
  /// The server history that positions belong to; nil before the first connection.
  private(set) var identity: PositionIdentity?

  /// What the socket is waited for.
  var interest: Poller.Interest = []
  /// The socket was reported readable and has not been read since.
  var isReadable = false
  /// Open transactions come in chunks on this connection.
  var isStreamed = false
  /// The next connection does without them, whatever is configured.
  private var avoidsStreaming = false
  /// Connections ask for text, although the configuration wants binary values.
  private var avoidsBinary = false
  /// Since when the server has been asking in vain for a position.
  var pingedSince: Instant?
  /// Gaps that the stream has shown and that are not written down.
  var foundGaps: [Gap] = []
  /// Notices of the server that nothing has been said of.
  var noticesUntold = 0
  private var isLookingUp = false
  private var isLookingAtSlot = false
  private var nextSlotLook = Instant.now + Limits.slotCheck
  /// What is written into the server's log from time to time.
  var heartbeat: Heartbeat
  private var walGuard: WALGuard
  /// Existing rows that are copied beside the stream.
  var snapshot: Snapshot
  /// What somebody wants of it that nobody has done yet.
  var orders = CopyOrders()
  /// What the signal table has asked for.
  var signals = SignalQueue()
  /// Whether a copy of the start is over, where the source ends with it.
  var hasCopied = false
  /// The slot holds more than it may, and goes when nobody reads it any more.
  private var dropsSlot = false
  var hasProgressed = false

  /// Makes a source that is not connected.
  init(
    _ plan: DriverPlan, _ configuration: PostgresSourceConfiguration, server: any ReplicationServer,
    observer: PipelineObserver, log: Log
  ) throws(StreamerError) {
    self.plan = plan
    self.configuration = configuration
    self.server = server
    self.observer = observer
    self.log = log
    heartbeat = Heartbeat(interval: configuration.heartbeat.interval, now: .now)
    walGuard = WALGuard(configuration.walBudget)
    snapshot = Snapshot(
      pause: configuration.snapshot.pause, parallelism: configuration.snapshot.parallelism)
    snapshot.tells = plan.sinks.contains { $0.setup.notificationTopic != nil }
    policy = TablePolicy(sinks: plan.sinks, log: log)
    schemas = SchemaBook(sinks: plan.sinks, cache: plan.schemaCache, log: log)
    pipeline = try plan.pipeline(
      maxRowSize: configuration.maxRowSize.bytes, invalidUTF8: configuration.invalidUTF8,
      signalTable: configuration.snapshot.signalTable, observer: observer, log: log)
    if configuration.visibility == .primary { pipeline.visible = VisibleTransactions() }
    feedback = Feedback(
      saved: [], saveInterval: configuration.flushInterval,
      statusInterval: Limits.statusInterval, walRetain: UInt64(configuration.walRetain.bytes),
      now: .now)
  }

  var lanes: LaneSet<LSN> {
    _read { yield pipeline.lanes }
    _modify { yield &pipeline.lanes }
  }

  /// What each lane has confirmed.
  var confirmed: [LSN] { pipeline.lanes.confirmed }

  // MARK: - Connections

  func attempt(_ sinks: SinkList) -> @Sendable () -> Result<Established, StreamerError> {
    let attempt = PostgresAttempt(
      known: identity.map(positions),
      // What ends with its first failure must not fail for want of room.
      streams: plan.rules.reconnects && !avoidsStreaming,
      binary: configuration.output.binary && !avoidsBinary,
      limit: identity == nil ? plan.firstAttempt : Limits.question,
      examine: { [policy] tables, described, database throws(StreamerError) in
        try policy.start(tables, described, database: database)
      }, describesTables: plan.sinks.contains { $0.setup.fitsTables })
    let topics = [
      plan.sinks.map(\.setup.messageTopic), plan.sinks.map(\.setup.deadLetterTopic),
      plan.sinks.map(\.setup.notificationTopic), plan.sinks.map(\.setup.transactionTopic),
    ]
    return { [server] in
      Result { () throws(StreamerError) in
        let topics = try sinks.prepare(topics)
        var attempt = attempt
        attempt.claim = { () throws(StreamerError) in try sinks.claim() }
        let session = try server.establish(attempt).get()
        return Established(
          session: session, isElsewhere: attempt.known?.map(\.lsn) != session.positions,
          messageTopics: topics[0], deadLetterTopics: topics[1], notificationTopics: topics[2],
          transactionTopics: topics[3])
      }
    }
  }

  func connect(
    _ established: Established, _ poller: inout Poller, now: Instant
  ) throws(StreamerError) {
    let session = established.session
    guard let stream = session.takeStream() else { return }
    // A gap that is accepted once is one of the first connection.
    pipeline.stopsWithoutPublication =
      configuration.onGap == .stop && !(configuration.acceptsFirstGap && identity == nil)
    let isOther = identity?.origin != session.identity.origin
    identity = session.identity
    if established.isElsewhere { feedback.restart(at: session.positions) }
    for (index, position) in session.positions.enumerated() {
      if let claim = session.claims[index] {
        pipeline.lanes[index].claimed(at: position, cut: claim.cut)
      } else if established.isElsewhere {
        pipeline.lanes[index].resume(at: position)
      }
      pipeline.lanes[index].connected(session.identity, options: session.options)
    }
    pipeline.connected(
      at: session.start, session.origin, messageTopics: established.messageTopics,
      deadLetterTopics: established.deadLetterTopics,
      notificationTopics: established.notificationTopics,
      transactionTopics: established.transactionTopics)
    avoidsStreaming = false
    isStreamed = session.streams
    feedback.connected(statusInterval: session.statusInterval, now: now)
    heartbeat.connected(now: now)
    nextSlotLook = now
    interest = []
    isReadable = stream.received.byteCount > 0
    pingedSince = nil
    self.stream = consume stream
    beginCopy(
      session.copy, session.identity.origin, isOther: isOther,
      isClaimed: session.claims.contains { $0 != nil }, now: now)
    log.info("streaming", ["slot": session.identity.slot, "lsn": "\(pipeline.startLSN)"])
  }

  func discard(_ established: Established) -> (@Sendable () -> Void)? {
    // It closes itself.
    _ = established.session.takeStream()
    return nil
  }

  func stopping() {
    for index in pipeline.lanes.indices { pipeline.lanes[index].keeper?.hurry() }
    // What reads on to its commit may still have to look up a table.
    if stream == nil { server.stopping() }
  }

  func disconnect(
    after error: StreamerError?, _ poller: inout Poller
  ) -> (@Sendable () -> Void)? {
    if error?.cause == .streamingFailed { avoidsStreaming = true }
    if error?.cause == .binaryUnreadable { avoidsBinary = true }
    stream = nil
    heartbeat.disconnected()
    snapshot.disconnected(&pipeline, now: .now)
    pipeline.disconnected()
    return nil
  }

  var dropTime: Duration? { dropsSlot ? Limits.slotDrop : nil }

  func goodbye(within limit: Duration, _ poller: inout Poller) -> @Sendable () -> Void {
    // What is still asked of the catalog is of no use any more.
    server.stopping()
    let dropLimit = dropTime
    guard var stream = stream.take() else {
      return { [server] in
        if let dropLimit { server.dropSlot(within: dropLimit) }
        server.close()
      }
    }
    poller.forget(stream.descriptor)
    feedback.statusRequested()
    if let status = feedback.status(sent: pipeline.sent, now: .now) { try? stream.send(status) }
    let parting = Parting(stream)
    return { [server] in
      parting.close(within: limit)
      if let dropLimit { server.dropSlot(within: dropLimit) }
      server.close()
    }
  }

  // MARK: - Jobs

  func takeJobs(isEnding: Bool, now: Instant) -> [@Sendable () -> Answer] {
    var jobs: [@Sendable () -> Answer] = []
    if !isLookingUp, let job = lookUp() {
      isLookingUp = true
      jobs.append(job)
    }
    if let job = pipeline.topicJob() { jobs.append { .topics(job.requests, job.run()) } }
    for index in pipeline.lanes.indices {
      feedback.delivered(bytes: pipeline.lanes[index].takeDeliveredBytes())
      guard let settled = pipeline.lanes[index].takeSettled() else { continue }
      observer.observe(sink: index, settled)
    }
    if let job = signal(now: now) { jobs.append(job) }
    // What a signal asks for is written down before the position is behind it.
    if signals.isEmpty { pipeline.lanes.holdPositions(false) }
    if let identity, signals.isEmpty,
      let due = feedback.positionsToSave(confirmed, atOnce: isEnding, now: now)
    {
      let rows = zip(plan.sinks, due).map { identity.position(sink: $0.name, lsn: $1) }
      jobs.append { [server] in .saved(due, server.save(rows)) }
    }
    if let step = snapshot.takeStep(
      pipeline.lanes, isStreaming: stream != nil, isEnding: isEnding, now: now)
    {
      jobs.append { [server] in .snapshot(server.snapshot(step)) }
    }
    if !foundGaps.isEmpty {
      let gaps = foundGaps
      foundGaps = []
      jobs.append { [server] in
        for gap in gaps { server.record(gap) }
        return .recorded
      }
    }
    if let job = order(isEnding: isEnding) { jobs.append(job) }
    if let job = look(isEnding: isEnding, now: now) { jobs.append(job) }
    if let trip = heartbeat.confirmed(pipeline.startLSN, now: now) { observer.heartbeat(trip) }
    if stream != nil, !isEnding, heartbeat.begins(now: now) {
      jobs.append { [server] in .heartbeat(server.heartbeat()) }
    }
    // Also while nothing is read: the log grows all the same.
    if stream != nil || !isEnding, !isLookingAtSlot, now >= nextSlotLook {
      isLookingAtSlot = true
      nextSlotLook = now + Limits.slotCheck
      jobs.append { [server] in .slot(server.slot()) }
      if let origin = identity?.origin, configuration.snapshot.newTables, stream != nil, !isEnding {
        jobs.append { [server] in .newTables(server.newTables(of: origin)) }
      }
    }
    return jobs
  }

  /// What is to be found out of tables that were described, all at once.
  private func lookUp() -> (@Sendable () -> Answer)? {
    let requests = pipeline.takeRequests()
    guard !requests.isEmpty else { return nil }
    let sinks = SinkList(pipeline.lanes.sinks)
    return { [server, policy, schemas] in
      .found(
        requests,
        Result { () throws(StreamerError) in
          let facts = try server.lookUp(requests).get()
          let tables = try policy.find(
            requests.map { (TablePolicy.Name($0.relation), $0.topics) },
            zip(requests, facts).map {
              DescribedRelation(relation: $0.relation, key: $1.catalogKey, types: $1.types)
            }, in: sinks)
          return try schemas.find(requests, zip(facts, tables).map(TableAnswer.init))
        })
    }
  }

  func take(
    _ answer: Answer, _ poller: inout Poller, now: Instant
  ) throws(StreamerError) {
    switch answer {
    case .found(let requests, let result):
      isLookingUp = false
      for (request, answer) in zip(requests, try result.get()) { pipeline.answer(request, answer) }
    case .topics(let requests, let answers): try pipeline.answer(requests, answers)
    case .saved(let positions, let error):
      feedback.saveEnded(positions, error == nil)
      guard let error else {
        hasProgressed = true
        return observer.saveSucceeded()
      }
      observer.saveFailed()
      // A full disk holds back nothing but the saving, which is tried again.
      guard error.isRetryable else { throw error }
      log.limited("save")?.warning("a position was not saved", ["error": "\(error)"])
    case .recorded: break
    case .heartbeat(let answer):
      switch heartbeat.answered(answer) {
      case .off(let error): log.warning("no heartbeats are written", ["error": "\(error)"])
      case .failed(let error): log.warning("a heartbeat was not written", ["error": "\(error)"])
      case nil: break
      }
    case .snapshot(let answer):
      defer { tellCopy() }
      try snapshot.take(answer, &pipeline, now: now)
    case .ordered(let order, let outcome):
      orders.ended()
      if case .success(let changed) = outcome { takeCopies(changed, now: now) }
      order.answer(outcome)
    case .signalled(let outcome): signalled(outcome, now: now)
    case .seen(let connection, let result): try looked(result, on: connection, now: now)
    case .newTables(.success(let changed)): takeCopies(changed, now: now)
    case .newTables(.failure(let error)):
      log.limited("new-tables")?.warning(
        "it was not looked for new tables", ["error": "\(error)"])
    case .slot(let slot):
      isLookingAtSlot = false
      if let slot {
        try guardLog(of: slot, now: now)
      } else if stream == nil {
        // Each vain attempt keeps the worker from the next one to stream.
        nextSlotLook = now + Limits.slotCheckAfterFailure
      }
    }
  }

  /// Looks how much log the slot holds; throws when that is more than it may.
  private func guardLog(of slot: ReplicationSlot, now: Instant) throws(StreamerError) {
    let held = UInt64(max(slot.walHeld ?? 0, 0))
    let sight = walGuard.look(held: held, safe: slot.safeWALSize, now: now)
    observer.slot(slot, sight)
    snapshot.isHeld = sight.step >= .pauseSnapshot
    tell(sight, of: slot, held: ByteSize(Int(clamping: held)).rounded)
    // What somebody else reads is for them to guard.
    guard sight.step >= .stop, !dropsSlot, stream != nil || slot.activePID == nil else { return }
    dropsSlot = sight.step == .dropSlot
    let step = dropsSlot ? "dropSlot" : "stop"
    let limit = dropsSlot ? configuration.walBudget.dropSlot : configuration.walBudget.stop
    let why =
      "slot \"\(slot.name)\" holds \(ByteSize(Int(clamping: held)).rounded) of log, more than "
      + "walBudget.\(step) (\(limit ?? ByteSize(0))) allows"
    if dropsSlot {
      foundGaps.append(
        Gap(
          source: plan.name, from: confirmed.min(), to: nil, kind: .walBudget, cause: why,
          action: .dropSlot))
    }
    throw StreamerError(
      what: "source \(plan.name)", why: why,
      hint: dropsSlot
        ? "The slot is dropped; a start with --accept-gap \(plan.name) begins anew, without what was in it."
        : "Mend the sink that holds it back or end old transactions, raise walBudget.stop, and start "
          + "again; or drop the slot and lose what is in it.")
  }

  /// Says what somebody should know of the log that the slot holds.
  private func tell(_ sight: WALGuard.Sight, of slot: ReplicationSlot, held: String) {
    let growth = Int64(sight.growth ?? 0)
    if sight.hasBecomeShort, let left = sight.secondsLeft {
      log.warning(
        "the server will take away log that the slot needs",
        [
          "slot": slot.name, "held": held, "bytesPerSecond": growth, "secondsLeft": Int64(left),
        ])
    }
    guard let before = sight.stepBefore else { return }
    let fields: Log.Pairs = [
      "slot": slot.name, "held": held, "bytesPerSecond": growth, "step": "\(sight.step)",
    ]
    if sight.step > before, sight.step < .stop {
      log.warning("the slot holds more log than walBudget allows", fields)
    } else if sight.step == .none {
      log.info("the slot holds no more log than walBudget allows", fields)
    }
  }

  // MARK: - Where it stands

  var rest: PipelineMachine.Rest {
    PipelineMachine.Rest(
      isInTransaction: stream != nil && !pipeline.isBetweenTransactions,
      isUndelivered: pipeline.lanes.isUndelivered,
      isUnsaved: identity != nil && (!feedback.isSaved(confirmed) || snapshot.isUnsaved))
  }

  var isExhausted: Bool {
    hasCopied && !snapshot.isOn && signals.isEmpty && pipeline.moved.isEmpty
  }

  func observe(now: Instant) {
    pipeline.report(saved: feedback.saved.min() ?? .zero, now: now)
    let numbers = [pipeline.sent.value, pipeline.startLSN.value, UInt64(pipeline.eventCount)]
    if snapshot.isOn { observer.copied(snapshot.status, snapshot.list) }
    observer.heartbeat(waitingSince: heartbeat.waiting(numbers, now: now))
    observer.invisible(since: pipeline.visible?.waitingSince(now: now), now: now)
  }

  /// Notes that the publication does not exist where the stream stands.
  func foundNoPublication(_ cause: String, _ action: Gap.Action) {
    foundGaps.append(
      Gap(
        source: plan.name, from: confirmed.min(), to: nil, kind: .publicationMissing, cause: cause,
        action: action))
  }

  private func positions(_ identity: PositionIdentity) -> [Position] {
    zip(plan.sinks, confirmed).map { identity.position(sink: $0.name, lsn: $1) }
  }
}

/// A stream on its way to the worker, which ends it.
// SAFETY: the driver's thread gives it away, and only the worker uses it from then on.
private final class Parting: @unchecked Sendable {
  private var stream: ReplicationStream?

  init(_ stream: consuming ReplicationStream) { self.stream = consume stream }

  func close(within limit: Duration) {
    guard let stream = stream.take() else { return }
    stream.close(within: limit)
  }
}
