/// The life of one pipeline: what it is doing and what comes next, without sockets, clocks or
/// threads.
///
/// ```
/// idle ─▶ establishing ─▶ streaming ─▶ draining ─▶ closing ─▶ ended
///           ▲   │  ▲           │          ▲
///           │   ▼  │           │          │ a stop, a final error, the end of the input:
///        waiting  standby ◀────┘──────────┘ from every state before
/// ```
/// Its owner tells it what has happened and does what it answers. What a state needs stands in its
/// case, so a deadline without a stop, or an attempt beside another, cannot be written. An attempt
/// that is under way is waited for in `establishing` alone: whatever else fails meanwhile, the
/// attempt's answer decides; in any other state a late answer is to be discarded.
struct PipelineMachine: ~Copyable {
  typealias Instant = ContinuousClock.Instant

  /// What never changes in a pipeline's life.
  struct Rules {
    /// Whether a failure that time may mend is tried again; else the first one ends the pipeline.
    var reconnects = true
    /// How long what cannot be reached is tried at the start; zero for ever.
    var startTimeout = Duration.zero
    /// How long a stop may take, from the request to the end.
    var shutdownTimeout = Limits.shutdown
    /// The longest pause between two attempts.
    var longestPause = Limits.longestRetry
  }

  /// What the pipeline is doing.
  enum State {
    /// It was not started.
    case idle
    /// The worker opens sinks and connects.
    case establishing
    /// Changes flow.
    case streaming
    /// The next attempt is due then.
    case waiting(until: Instant)
    /// Somebody else reads the slot; the next look at it is due then.
    case standby(until: Instant)
    /// What was read is delivered and saved; nothing more is read, or only up to a commit.
    case draining(Ending)
    /// Sinks and connections are being closed.
    case closing(Ending)
    /// It is over; with an error unless it was stopped or has read everything.
    case ended(StreamerError?)
  }

  /// Why and how a pipeline ends.
  struct Ending {
    /// What ended it; nil for a stop, and for an input that has been read to its end.
    var error: StreamerError?
    /// When it ends whatever is left; nil only for an input that is at its end.
    var deadline: Instant?
    /// Whether reading goes on up to the current commit.
    var readsOn: Bool
  }

  /// What of a pipeline is still under way; asked for while it is draining.
  struct Rest {
    /// A transaction is open that the connection will end.
    var isInTransaction = false
    /// Something was handed to a sink that can still deliver it.
    var isUndelivered = false
    /// Something was delivered and its position is not durable.
    var isUnsaved = false
  }

  /// What the owner has to do.
  enum Action: Equatable {
    /// Nothing beyond what it does at every turn.
    case none
    /// Let the worker open the sinks that are not open, and connect.
    case establish
    /// Take over what the attempt has connected.
    case attach
    /// Give up what the attempt has connected.
    case discard
    /// Give up the connection; what was not confirmed will be read again.
    case disconnect
    /// Let the worker close sinks and connections, within this time.
    case close(within: Duration)
  }

  let rules: Rules
  private(set) var state = State.idle
  /// What failed last, until changes flow again.
  private(set) var trouble: StreamerError?
  /// Whether changes have flowed since the start.
  private(set) var hasStreamed = false
  /// Whether somebody else held the slot when it was seen last.
  private var isStandby = false
  /// Until when the first connection is tried; nil for ever.
  private var startDeadline: Instant?
  private var backoff: Backoff
  private var random: any RandomNumberGenerator & Sendable

  init(
    _ rules: Rules, random: any RandomNumberGenerator & Sendable = SystemRandomNumberGenerator()
  ) {
    self.rules = rules
    self.random = random
    backoff = Backoff(longest: rules.longestPause)
  }

  // MARK: - What has happened

  /// It is started.
  mutating func start(now: Instant) -> Action {
    guard case .idle = state else { preconditionFailure("a pipeline is started once") }
    if rules.startTimeout > .zero { startDeadline = now + rules.startTimeout }
    state = .establishing
    return .establish
  }

  /// The attempt has succeeded; without `isComplete` a sink was replaced meanwhile, which it has
  /// not opened.
  mutating func established(isComplete: Bool) -> Action {
    guard case .establishing = state, isComplete else { return .discard }
    state = .streaming
    hasStreamed = true
    isStandby = false
    trouble = nil
    startDeadline = nil
    return .attach
  }

  /// What came of an attempt was discarded although nothing else ends the pipeline: the next
  /// attempt begins at once.
  mutating func discarded() -> Action {
    if case .establishing = state { .establish } else { .none }
  }

  /// The attempt has failed.
  mutating func refused(_ error: StreamerError, now: Instant) -> Action {
    guard case .establishing = state else { return .none }
    return again(after: error, now: now)
  }

  /// The connection, a sink, a look-up or the store has failed.
  mutating func failed(_ error: StreamerError, now: Instant) -> Action {
    switch state {
    case .idle, .closing, .ended: return .none
    case .streaming: return again(after: error, now: now)
    case .establishing, .waiting, .standby:
      guard isOvercome(error) else { return again(after: error, now: now) }
      trouble = error
      // A sink was replaced perhaps: whatever has been connected begins anew with the next attempt.
      return .disconnect
    case .draining(let ending) where ending.deadline == nil:
      // The input can be read again, and has to be.
      return again(after: error, now: now)
    case .draining(var ending):
      // What the connection would still bring cannot come any more.
      ending.readsOn = false
      state = .draining(ending)
      return .disconnect
    }
  }

  /// It is asked to end.
  mutating func stopRequested(now: Instant) {
    let deadline = now + rules.shutdownTimeout
    switch state {
    case .closing, .ended: return
    case .draining(var ending):
      if ending.deadline != nil { return }
      ending.deadline = deadline
      state = .draining(ending)
    case .idle, .establishing, .streaming, .waiting, .standby:
      state = .draining(Ending(error: nil, deadline: deadline, readsOn: true))
    }
  }

  /// Everything that the input holds has been read.
  mutating func exhausted() {
    guard case .streaming = state else { return }
    state = .draining(Ending(error: nil, deadline: nil, readsOn: false))
  }

  /// Something was delivered and saved: the next failure is no consequence of the last.
  mutating func progressed() { backoff.reset() }

  /// Time has passed; `rest` says what is still under way.
  mutating func tick(_ rest: Rest, now: Instant) -> Action {
    switch state {
    case .waiting(let until), .standby(let until):
      guard now >= until else { return .none }
      state = .establishing
      return .establish
    case .draining(let ending):
      let isLate = ending.deadline.map { now >= $0 } ?? false
      let waits = ending.readsOn && rest.isInTransaction || rest.isUndelivered || rest.isUnsaved
      guard isLate || !waits else { return .none }
      state = .closing(ending)
      let left = ending.deadline.map { max($0 - now, .zero) } ?? rules.shutdownTimeout
      return .close(within: left)
    case .idle, .establishing, .streaming, .closing, .ended: return .none
    }
  }

  /// Sinks and connections are closed, or were left behind.
  mutating func closed() {
    guard case .closing(let ending) = state else { return }
    state = .ended(ending.error)
  }

  private mutating func again(after error: StreamerError, now: Instant) -> Action {
    let isActive = error.cause == .slotActive
    // Whoever waits for the slot has been let in by the server: from here on it waits for ever.
    if isActive {
      isStandby = true
      startDeadline = nil
    }
    let isTooLate = error.cause != .failover && startDeadline.map { now >= $0 } ?? false
    trouble = error
    guard isOvercome(error), !isTooLate else {
      state = .draining(
        Ending(error: error, deadline: now + rules.shutdownTimeout, readsOn: false))
      return .disconnect
    }
    if isActive {
      state = .standby(until: now + Limits.standbyPoll)
    } else {
      state = .waiting(until: now + backoff.next(using: &random))
    }
    return .disconnect
  }

  /// Whether trying again may help.
  private func isOvercome(_ error: StreamerError) -> Bool {
    rules.reconnects && (error.isRetryable || error.cause == .garbled && hasStreamed)
  }

  // MARK: - What its owner asks

  /// What may be read now.
  var permit: ReadPermit {
    switch state {
    case .streaming: .everything
    case .draining(let ending) where ending.readsOn: .untilCommit
    case .idle, .establishing, .waiting, .standby, .draining, .closing, .ended: .nothing
    }
  }

  /// When ``tick(_:now:)`` has something to do by time alone.
  var deadline: Instant? {
    switch state {
    case .waiting(let until), .standby(let until): until
    case .draining(let ending): ending.deadline
    case .idle, .establishing, .streaming, .closing, .ended: nil
    }
  }

  /// Whether changes flow and go on to.
  var isStreaming: Bool { if case .streaming = state { true } else { false } }

  /// Whether it is on its way to the end.
  var isEnding: Bool {
    switch state {
    case .draining, .closing, .ended: true
    case .idle, .establishing, .streaming, .waiting, .standby: false
    }
  }

  /// Whether a request to stop would change anything: also on the way to an end that has no deadline,
  /// that of an input which has been read to its end.
  var wantsStop: Bool {
    switch state {
    case .draining(let ending): ending.deadline == nil
    case .idle, .establishing, .streaming, .waiting, .standby: true
    case .closing, .ended: false
    }
  }

  /// Whether nothing is read, delivered or saved any more.
  var isOver: Bool {
    switch state {
    case .closing, .ended: true
    case .idle, .establishing, .streaming, .waiting, .standby, .draining: false
    }
  }

  /// What it is doing, in the words of `/status`; nil where the words stay as they are.
  var publicState: PipelineState? {
    switch state {
    case .idle, .establishing, .waiting:
      // A standby stays one, whatever becomes of one look at the slot.
      isStandby
        ? .standby : hasStreamed || trouble?.cause == .failover ? .retrying : .starting
    case .streaming: .streaming
    case .standby: .standby
    case .draining, .closing: nil
    case .ended(let error): error == nil ? .stopped : .failed
    }
  }
}

/// What a source may read.
enum ReadPermit {
  /// Whatever comes.
  case everything
  /// What belongs to a transaction that is open.
  case untilCommit
  /// Nothing.
  case nothing

  /// The same, but for what begins a new transaction.
  var ending: ReadPermit { self == .everything ? .untilCommit : self }
}
