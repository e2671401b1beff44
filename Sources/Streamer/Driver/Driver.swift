import Synchronization

/// Runs one source with all sinks that list it: performs what ``PipelineMachine`` decides.
///
/// One thread sleeps in one epoll_wait on {source, sinks, control, worker} and does one turn after
/// each wait. Time, poller and worker come from outside, so that the whole of it runs in a
/// simulation. Recovery is the ordinary start: whatever fails, the connection is given up and
/// reading begins again at the confirmed positions.
// SAFETY: everything but `stopRequested`, `reloadRequested`, `orders`, `started`, `turnCount` and `control` belongs to the driver's thread.
final class Driver<S: Source>: Service.Pipeline, @unchecked Sendable {
  typealias Instant = ContinuousClock.Instant

  /// What the I/O worker answers.
  enum Answer: Sendable {
    case attempted(Attempt)
    case durable(lane: Int, generation: Int, StreamerError?)
    case released
    case closed
    case reload(LaneReload.Question, Result<[TopicID?], StreamerError>, TablePolicy)
    case source(S.Answer)
  }

  /// What came of an attempt to open the sinks and to connect.
  struct Attempt: Sendable {
    /// The sinks that it opened, by lane and generation.
    var opened: [Int: Int] = [:]
    /// The lane whose sink did not open; nil when it was something else.
    var culprit: Int?
    var result: Result<S.Established, StreamerError>
  }

  let source: S
  private let plan: DriverPlan
  private let log: Log
  private let observer: PipelineObserver
  private let worker: any WorkQueue<Answer>
  private let control: EventDescriptor
  private let stopRequested = Atomic<Bool>(false)
  private let reloadRequested = Mutex<[LaneSetup]?>(nil)
  private let orders = Mutex<[CopyOrder]>([])
  private let started = Atomic<Bool>(false)
  private let turnCount = AtomicCounter()

  private var machine: PipelineMachine
  private var poller: Poller
  /// The lanes whose sinks make records durable on the worker now.
  private var syncing: Set<Int> = []
  /// Sinks and connections that nobody uses any more, and whether some are being closed.
  private var abandoned: [@Sendable () -> Void] = []
  private var isReleasing = false
  private var reload = LaneReload()
  private var closingDeadline: Instant?
  private var nextObservation = Instant.now
  private var isStale = false
  private var reported: (state: PipelineState, cause: StreamerError?)?

  /// Makes a driver that has not started.
  ///
  /// Throws when the system has no descriptor left.
  init(
    _ source: S, _ plan: DriverPlan, observer: PipelineObserver, log: Log,
    worker: (any WorkQueue<Answer>)? = nil,
    random: any RandomNumberGenerator & Sendable = SystemRandomNumberGenerator()
  ) throws(StreamerError) {
    self.source = source
    self.plan = plan
    self.observer = observer
    self.log = log
    // One job of each kind is under way at most: so many and no more can wait.
    if let worker {
      self.worker = worker
    } else {
      self.worker = try IOWorker(name: "io-\(plan.name)", limit: source.lanes.count + 16)
    }
    control = try EventDescriptor()
    poller = try Poller()
    machine = PipelineMachine(plan.rules, random: random)
    try poller.watch(control.descriptor, tag: DriverTag.control, for: .readable)
    try poller.watch(self.worker.eventDescriptor, tag: DriverTag.worker, for: .readable)
  }

  // MARK: - Its thread

  var hasStarted: Bool { started.load(ordering: .relaxed) }

  var turns: UInt64 { turnCount.value }

  func requestStop() {
    stopRequested.store(true, ordering: .releasing)
    control.signal()
  }

  func requestReload(_ setups: [LaneSetup]) {
    reloadRequested.withLock { $0 = setups }
    control.signal()
  }

  func order(_ order: CopyOrder) {
    orders.withLock { $0.append(order) }
    control.signal()
  }

  func run() -> StreamerError? {
    start(now: .now)
    while !hasEnded {
      do { try poller.wait(timeout: timeout(now: .now)) } catch {
        perform(machine.failed(error, now: .now), now: .now)
      }
      turn(now: .now)
      turnCount.add()
    }
    return finish()
  }

  // MARK: - Turns

  /// Whether the pipeline is over.
  var hasEnded: Bool { if case .ended = machine.state { true } else { false } }

  /// Whether other setups of the sinks are wanted that do not count yet.
  var wantsReload: Bool { reload.isPending || reloadRequested.withLock { $0 != nil } }

  /// What it is doing.
  var state: PipelineMachine.State { machine.state }

  /// Begins; turns follow.
  func start(now: Instant) {
    perform(machine.start(now: now), now: now)
    report()
  }

  /// The tags of the descriptors that the last wait found ready.
  var readyTags: [UInt64] { (0..<poller.count).map { poller[$0].tag } }

  /// Finds what is ready without waiting, for a caller that keeps its own time.
  @discardableResult func poll() throws(StreamerError) -> Int { try poller.wait(timeout: .zero) }

  /// One turn: takes what came, reads what may be read, hands on what is due.
  func turn(now: Instant) {
    var errors: [StreamerError] = []
    takeAnswers(&errors, now: now)
    guard !machine.isOver else { return closeOn(now: now) }
    if stopRequested.load(ordering: .acquiring), machine.wantsStop {
      log.info("stopping", ["timeout": DurationText.text(plan.rules.shutdownTimeout)])
      machine.stopRequested(now: now)
      source.stopping()
    }
    for order in orders.withLock({ exchange(&$0, with: []) }) { source.take(order) }
    pollLanes(&errors)
    for error in errors { fail(error, now: now) }
    // The worker need not wait for the end of the reading with what is next.
    let hasAnswers = (0..<poller.count).contains { poller[$0].tag == DriverTag.worker }
    if hasAnswers { submitJobs(now: now) }
    do throws(StreamerError) { try read(now: now) } catch { fail(error, now: now) }
    settle(now: now)
  }

  /// Reads as far as it may; new setups of the lanes are taken over between two transactions.
  private func read(now: Instant) throws(StreamerError) {
    if let setups = reloadRequested.withLock({ $0.take() }),
      reload.isPending || setups != source.plan.sinks.map(\.setup)
    {
      reload.request(setups)
    }
    adopt()
    let permit = reload.agreed == nil ? machine.permit : machine.permit.ending
    try source.turn(permit, &poller, now: now)
    if adopt() { try source.turn(machine.permit, &poller, now: now) }
  }

  /// What the turn has made is handed on in the same turn.
  private func settle(now: Instant) {
    var errors: [StreamerError] = []
    for index in 0..<source.lanes.count { sync(index) }
    pollLanes(&errors)
    for error in errors { fail(error, now: now) }
    submitJobs(now: now)
    release()
    askForReload(now: now)
    if source.hasProgressed {
      source.hasProgressed = false
      machine.progressed()
    }
    if source.isExhausted { machine.exhausted() }
    perform(machine.tick(source.rest, now: now), now: now)
    report()
    observe(now: now)
  }

  /// Hands over what the source has for the worker.
  private func submitJobs(now: Instant) {
    for job in source.takeJobs(isEnding: machine.isEnding, now: now) {
      worker.submit { .source(job()) }
    }
  }

  /// Nothing is done any more but to wait for what is being closed; what hangs is left behind.
  private func closeOn(now: Instant) {
    if let closingDeadline, now >= closingDeadline { machine.closed() }
  }

  /// How long the thread may sleep.
  func timeout(now: Instant) -> Duration {
    if let closingDeadline { return max(min(closingDeadline - now, Limits.longestSleep), .zero) }
    var next = now + Limits.longestSleep
    if let due = machine.deadline { next = min(next, due) }
    if machine.isStreaming, let due = reload.deadline { next = min(next, due) }
    if let due = source.deadline(machine.permit, now: now) { next = min(next, due) }
    for index in 0..<source.lanes.count where source.lanes[index].isOpen {
      if let due = source.lanes[index].sink.deadline { next = min(next, due) }
    }
    if isStale { next = min(next, nextObservation) }
    return max(next - now, .zero)
  }

  /// Lets go of the worker and gives the error that the pipeline ended with.
  func finish() -> StreamerError? {
    guard case .ended(let error) = machine.state else {
      preconditionFailure("a pipeline is finished when it has ended")
    }
    source.observe(now: .now)
    worker.end(isIdle: closingDeadline == nil)
    observer.ended(error)
    return error
  }

  // MARK: - Answers

  /// Takes what the worker answers: every answer counts before an error acts, so that what was
  /// saved or written stays so.
  private func takeAnswers(_ errors: inout [StreamerError], now: Instant) {
    for index in 0..<poller.count {
      switch poller[index].tag {
      case DriverTag.control: control.drain()
      case DriverTag.worker:
        for answer in worker.takeAnswers() {
          do throws(StreamerError) { try take(answer, now: now) } catch { errors.append(error) }
        }
      default: break
      }
    }
  }

  private func take(_ answer: Answer, now: Instant) throws(StreamerError) {
    switch answer {
    case .attempted(let attempt): attempted(attempt, now: now)
    case .durable(let lane, let generation, let error):
      syncing.remove(lane)
      // What is being closed belongs to the worker.
      if source.lanes[lane].generation == generation, !machine.isOver {
        source.lanes[lane].sink.durabilityJobEnded(error)
      }
    case .released: isReleasing = false
    case .closed:
      closingDeadline = nil
      machine.closed()
    case .reload(let question, let result, let policy):
      let error = reload.answered(
        question, result, policy: policy, generations: generations, now: now)
      if let error {
        observer.reloadRefused()
        log.error("the sinks' new settings are refused", ["error": "\(error)"])
      }
    case .source(let answer):
      do throws(StreamerError) { try source.take(answer, &poller, now: now) } catch {
        if let sink = error.sink { observer.failed(sinkNamed: sink, error) }
        throw error
      }
    }
  }

  private func attempted(_ attempt: Attempt, now: Instant) {
    switch attempt.result {
    case .failure(let error):
      renewClaimed()
      if let lane = attempt.culprit { observer.failed(sink: lane, error) }
      observer.failed(error)
      perform(machine.refused(error, now: now), now: now)
    case .success(let established):
      var isComplete = true
      for index in 0..<source.lanes.count where !source.lanes[index].isOpen {
        isComplete = isComplete && attempt.opened[index] == source.lanes[index].generation
      }
      guard case .attach = machine.established(isComplete: isComplete) else {
        if let job = source.discard(established) { abandoned.append(job) }
        return perform(machine.discarded(), now: now)
      }
      attach(established, now: now)
    }
  }

  private func attach(_ established: S.Established, now: Instant) {
    do throws(StreamerError) {
      for index in 0..<source.lanes.count {
        source.lanes[index].opened()
        guard let descriptor = source.lanes[index].sink.eventDescriptor else { continue }
        try poller.watch(
          descriptor, tag: DriverTag.firstLane + UInt64(index), for: .readable)
      }
      try source.connect(established, &poller, now: now)
      started.store(true, ordering: .relaxed)
    } catch { fail(error, now: now) }
  }

  // MARK: - Sinks

  private func pollLanes(_ errors: inout [StreamerError]) {
    for index in 0..<source.lanes.count {
      do throws(StreamerError) { try source.lanes[index].takeReports() } catch {
        errors.append(replace(index, after: error))
      }
      // Its sink stays: what was handed over before is delivered while the pipeline ends.
      if let refusal = source.lanes[index].takeRefusal() {
        observer.failed(sink: index, refusal)
        errors.append(refusal)
      }
    }
  }

  /// A sink has failed: the others keep what they have, a fresh one begins anew at what this one has
  /// confirmed.
  private func replace(_ index: Int, after error: StreamerError) -> StreamerError {
    observer.failed(sink: index, error)
    return renew(index) ?? error
  }

  /// Sinks that keep their position do so for one connection: while there is none, another process may
  /// take over, and only a new claim tells how far that one has come.
  private func renewClaimed() {
    for index in 0..<source.lanes.count where source.lanes[index].keeper?.isClaimed == true {
      if let error = renew(index) { log.error("a sink cannot be made", ["error": "\(error)"]) }
    }
  }

  /// Puts a fresh sink in the place of one that is given up; gives what stands in its way.
  private func renew(_ index: Int) -> StreamerError? {
    let old = SinkList([source.lanes[index].sink])
    if let descriptor = source.lanes[index].sink.eventDescriptor { poller.forget(descriptor) }
    source.lanes[index].sink.abandon()
    abandoned.append { old.close(within: Limits.release) }
    do throws(StreamerError) {
      source.lanes[index].restart(with: try source.makeSink(index))
      return nil
    } catch { return error }
  }

  /// Lets the worker make durable what the sink has taken.
  private func sync(_ index: Int) {
    guard source.lanes[index].isOpen, !syncing.contains(index),
      let job = source.lanes[index].sink.durabilityJob()
    else { return }
    syncing.insert(index)
    let generation = source.lanes[index].generation
    worker.submit { .durable(lane: index, generation: generation, job()) }
  }

  /// Lets the worker close what nobody uses any more.
  private func release() {
    guard !isReleasing, !abandoned.isEmpty else { return }
    isReleasing = true
    let jobs = abandoned
    abandoned = []
    worker.submit {
      for job in jobs { job() }
      return .released
    }
  }

  // MARK: - Reload

  private var generations: [Int] { source.lanes.indices.map { source.lanes[$0].generation } }

  /// Lets the worker ask the sinks for what new setups of the lanes need.
  private func askForReload(now: Instant) {
    guard machine.isStreaming, let question = reload.question(of: generations, now: now) else {
      return
    }
    let sinks = SinkList(Array(source.lanes.sinks.prefix(plan.sinks.count)))
    let policy = source.policy.adopting(question.setups)
    let tables = source.tables(by: question.setups)
    worker.submit {
      let result = Result { () throws(StreamerError) in try policy.agree(on: tables, in: sinks) }
      return .reload(question, result, policy)
    }
  }

  /// Takes over the setups that the sinks have agreed to, unless a transaction is open.
  @discardableResult private func adopt() -> Bool {
    guard machine.isStreaming, let agreed = reload.agreed, source.isBetweenTransactions else {
      return false
    }
    source.adopt(agreed.setups, agreed.policy, messageTopics: agreed.messageTopics)
    reload.adopted()
    log.info("the sinks' new settings count from here on")
    return true
  }

  // MARK: - What the machine decides

  private func fail(_ error: StreamerError, now: Instant) {
    if case .streaming = machine.state { observer.failed(error) }
    perform(machine.failed(error, now: now), now: now)
  }

  private func perform(_ action: PipelineMachine.Action, now: Instant) {
    switch action {
    case .none, .attach, .discard: break
    case .establish: establish()
    case .disconnect:
      reload.interrupted()
      renewClaimed()
      if let job = source.disconnect(after: machine.trouble, &poller) { abandoned.append(job) }
      logTrouble(now: now)
    case .close(let limit): close(within: limit, now: now)
    }
  }

  /// Lets the worker open the sinks that are not open, and connect.
  private func establish() {
    let sinks = SinkList(source.lanes.sinks)
    var unopened: [(lane: Int, generation: Int)] = []
    for index in 0..<source.lanes.count where !source.lanes[index].isOpen {
      unopened.append((index, source.lanes[index].generation))
    }
    let connect = source.attempt(sinks)
    worker.submit { [unopened] in
      var opened: [Int: Int] = [:]
      for (lane, generation) in unopened {
        do throws(StreamerError) { try sinks.sinks[lane].open() } catch {
          return .attempted(Attempt(opened: opened, culprit: lane, result: .failure(error)))
        }
        opened[lane] = generation
      }
      return .attempted(Attempt(opened: opened, result: connect()))
    }
  }

  /// Lets the worker end the connection and close the sinks; what hangs then is left behind.
  private func close(within limit: Duration, now: Instant) {
    if limit == .zero {
      if source.dropTime != nil {
        log.warning("the time to stop is over; what was not delivered goes with the slot")
      } else if source.rest.isUndelivered || source.rest.isInTransaction {
        log.warning(
          "the time to stop is over; what was not delivered comes again at the next start")
      } else {
        log.warning(
          "the time to stop is over; no position was saved, so what was delivered comes again")
      }
    }
    let goodbye = source.goodbye(within: limit, &poller)
    let sinks = SinkList(source.lanes.sinks)
    for index in 0..<source.lanes.count {
      if let descriptor = source.lanes[index].sink.eventDescriptor { poller.forget(descriptor) }
      source.lanes[index].sink.abandon()
    }
    closingDeadline = now + limit + (source.dropTime ?? .zero) + Limits.closingGrace
    let deadline = ContinuousClock.now + limit
    worker.submit {
      goodbye()
      sinks.close(within: max(deadline - .now, .zero))
      return .closed
    }
  }

  // MARK: - What others see

  private func logTrouble(now: Instant) {
    guard let error = machine.trouble else { return }
    switch machine.state {
    case .waiting(let until):
      log.warning(
        "trying again", ["error": "\(error)", "in": DurationText.text(max(until - now, .zero))])
    case .standby:
      if reported?.state != .standby { log.warning("waiting as a standby", ["cause": "\(error)"]) }
    // What fails at the start, or ends what runs but once, is said by whoever started it.
    case .draining(let ending)
    where ending.error != nil && machine.hasStreamed && machine.rules.reconnects:
      log.error("the pipeline has failed", ["error": "\(error)"])
    default: break
    }
  }

  private func report() {
    guard let state = machine.publicState, !hasEnded else { return }
    let cause = machine.trouble
    guard reported?.state != state || reported?.cause != cause else { return }
    reported = (state, cause)
    observer.entered(state, cause: cause)
  }

  /// Takes the numbers over to status and metrics, a few times a second at most.
  private func observe(now: Instant) {
    isStale = now < nextObservation
    guard !isStale else { return }
    nextObservation = now + Limits.observation
    source.observe(now: now)
  }
}
