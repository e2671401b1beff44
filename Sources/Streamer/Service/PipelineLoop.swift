import Synchronization

/// What a pipeline's thread sleeps in and what wakes it: a request to stop, an answer of the I/O
/// worker, and whatever else it lets the poller watch.
///
/// A class because the request to stop comes from another thread.
// SAFETY: the poller belongs to the pipeline's own thread; all else may be used on any.
final class PipelineLoop<Answer: Sendable>: @unchecked Sendable {
  /// Runs what may block.
  let worker: IOWorker<Answer>
  /// The descriptors that are waited for, and what came of the last wait.
  var poller: Poller
  private let control: EventDescriptor
  private let stopRequested = Atomic<Bool>(false)
  private let started = Atomic<Bool>(false)

  /// Makes a loop, and a worker of that name.
  ///
  /// Throws when the system has no descriptor left.
  init(name: String) throws(StreamerError) {
    worker = try IOWorker(name: "io-\(name)")
    control = try EventDescriptor()
    poller = try Poller()
    try poller.watch(control.descriptor, tag: PipelineTag.control, for: .readable)
    try poller.watch(worker.eventDescriptor, tag: PipelineTag.worker, for: .readable)
  }

  /// Wakes the thread, which is to come to an end.
  func requestStop() {
    stopRequested.store(true, ordering: .releasing)
    control.signal()
  }

  /// Whether the thread is to come to an end.
  var isStopRequested: Bool { stopRequested.load(ordering: .acquiring) }

  /// Whether changes have flowed since the start.
  var hasStarted: Bool { started.load(ordering: .relaxed) }

  /// Notes that changes flow.
  func noteStarted() { started.store(true, ordering: .relaxed) }

  /// Sleeps until something has happened or the time is over.
  func wait(timeout: Duration) throws(StreamerError) {
    try poller.wait(timeout: timeout)
    for index in 0..<poller.count where poller[index].tag == PipelineTag.control {
      control.drain()
    }
  }

  /// Hands work to the I/O worker; its queue is longer than a pipeline can have work for.
  func submit(_ work: @escaping @Sendable () -> Answer) {
    let accepted = worker.submit(work)
    precondition(
      accepted, "the I/O worker's queue is full although each kind of work waits its turn")
  }
}

/// The numbers of a pipeline's descriptors in its poller.
enum PipelineTag {
  /// A request to stop.
  static let control: UInt64 = 0
  /// An answer of the I/O worker.
  static let worker: UInt64 = 1
  /// What the source waits for: the server, or the group.
  static let source: UInt64 = 2
  /// The first lane's sink; the others follow.
  static let firstLane: UInt64 = 16
}

/// A pipeline whose thread does one turn after each wait, until it has ended.
protocol LoopedPipeline: Service.Pipeline {
  associatedtype Answer: Sendable

  /// What the thread sleeps in.
  var loop: PipelineLoop<Answer> { get }
  /// Whether it has ended, and how.
  var outcome: PipelineOutcome { get }

  /// Does what comes before the first wait.
  func begin()
  /// How long the thread may sleep.
  func timeout(now: ContinuousClock.Instant) -> Duration
  /// Takes what came, reads what may be read, says what is due.
  func turn(now: ContinuousClock.Instant) throws(StreamerError)
  /// Something failed: it is tried again, or the pipeline ends.
  func fail(_ error: StreamerError, now: ContinuousClock.Instant)
  /// Closes what is open and gives the error that the pipeline ended with.
  func finish(_ error: StreamerError?) -> StreamerError?
}

/// Where a pipeline's run stands.
enum PipelineOutcome {
  /// It goes on.
  case running
  /// It has ended; with an error unless it was stopped or has done everything.
  case ended(StreamerError?)
}

extension LoopedPipeline {
  var hasStarted: Bool { loop.hasStarted }

  func requestStop() { loop.requestStop() }

  func run() -> StreamerError? {
    begin()
    while true {
      if case .ended(let error) = outcome { return finish(error) }
      do {
        try loop.wait(timeout: timeout(now: .now))
        try turn(now: .now)
      } catch {
        fail(error, now: .now)
      }
    }
  }

  /// Hands work to the I/O worker.
  func submit(_ work: @escaping @Sendable () -> Answer) { loop.submit(work) }
}
