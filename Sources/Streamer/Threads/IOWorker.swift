import Synchronization

/// One thread that does what may block, so that a pipeline's own thread never does.
///
/// Work is done in the order in which it is submitted. Answers wait in the same order until they
/// are taken; ``eventDescriptor`` is readable while some do. A class, because both threads
/// share it.
final class IOWorker<Answer: Sendable>: WorkQueue, Sendable {
  /// A piece of work; it runs on the worker's thread and must not throw: errors are answers.
  typealias Work = @Sendable () -> Answer

  private let state: IOWorkerState<Answer>
  private let thread: Mutex<PosixThread?>

  /// Starts the thread.
  ///
  /// `limit` bounds the work submitted and not yet taken back as an answer.
  ///
  /// Throws `StreamerError` when the system has no thread or descriptor left.
  init(name: String, limit: Int = 64) throws(StreamerError) {
    precondition(limit > 0, "a worker takes at least one piece of work")
    let state = try IOWorkerState<Answer>(limit: limit)
    self.state = state
    let thread = try PosixThread(name: name) { state.run() }
    self.thread = Mutex(consume thread)
  }

  deinit { end(isIdle: false) }

  /// Readable while answers wait; for a ``Poller``.
  ///
  /// It stays the worker's own.
  var eventDescriptor: CInt { state.answered.descriptor }

  /// Hands a piece of work over.
  ///
  /// More than the limit is a mistake: whoever submits has at most one piece of each kind under way.
  func submit(_ work: @escaping Work) {
    precondition(offer(work), "more work was submitted than there are kinds of it")
  }

  /// Hands a piece of work over, or returns false when the limit is reached or the end has come.
  func offer(_ work: @escaping Work) -> Bool { state.submit(work) }

  /// Takes the answers that wait, in the order of their work, maybe none.
  func takeAnswers() -> [Answer] { state.takeAnswers() }

  /// Accepts no more work; what was submitted is done, and then the thread ends.
  ///
  /// With `isIdle` there is none left, and the call waits for that; else the thread is left behind,
  /// since its work may hang. More calls do nothing; answers can still be taken afterwards.
  func end(isIdle: Bool) {
    state.close()
    let taken = thread.withLock { $0.take() }
    if isIdle, let taken { taken.join() }
  }
}

/// What the two threads of an ``IOWorker`` share.
private final class IOWorkerState<Answer: Sendable>: Sendable {
  struct Queues: Sendable {
    var work: [IOWorker<Answer>.Work] = []
    var answers: [Answer] = []
    // Submitted and not yet taken back: waiting, running or answered.
    var outstanding = 0
    var isClosed = false
  }

  let queues = Mutex(Queues())
  let limit: Int
  let submitted: EventDescriptor
  let answered: EventDescriptor

  init(limit: Int) throws(StreamerError) {
    self.limit = limit
    self.submitted = try EventDescriptor()
    self.answered = try EventDescriptor()
  }

  func submit(_ work: @escaping IOWorker<Answer>.Work) -> Bool {
    let accepted = queues.withLock { queues in
      guard !queues.isClosed, queues.outstanding < limit else { return false }
      queues.work.append(work)
      queues.outstanding += 1
      return true
    }
    if accepted { submitted.signal() }
    return accepted
  }

  func takeAnswers() -> [Answer] {
    // The descriptor first: an answer that comes in between signals again.
    answered.drain()
    return queues.withLock { queues in
      let answers = queues.answers
      queues.answers.removeAll(keepingCapacity: true)
      queues.outstanding -= answers.count
      return answers
    }
  }

  func close() {
    queues.withLock { $0.isClosed = true }
    submitted.signal()
  }

  func run() {
    while true {
      let (work, isClosed) = queues.withLock { queues in
        let work = queues.work
        queues.work.removeAll(keepingCapacity: true)
        return (work, queues.isClosed)
      }
      for piece in work {
        let answer = piece()
        queues.withLock { $0.answers.append(answer) }
        answered.signal()
      }
      if !work.isEmpty { continue }
      if isClosed { return }
      submitted.wait()
    }
  }
}
