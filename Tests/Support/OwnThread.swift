import Dispatch
public import Testing

/// Runs a suite outside the concurrency pool, whose threads are as many as the cores.
///
/// A test that waits for servers blocks its thread. On the pool it keeps the tests that compute from one
/// core, and each time it hands its thread back, or another one of a serialized suite is to begin, that
/// stands behind hundreds of them.
public struct OwnThread: SuiteTrait, TestScoping {
  /// The suite's scope holds for what is in it, the runner's own steps between two tests too.
  public let isRecursive = false

  /// Runs the suite on these threads.
  public func provideScope(
    for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
  ) async throws {
    try await withTaskExecutorPreference(Threads.all) { try await function() }
  }

  /// Threads that come and go as they are needed.
  private final class Threads: TaskExecutor {
    static let all = Threads()
    private let queue = DispatchQueue(label: "tests that wait", attributes: .concurrent)

    func enqueue(_ job: consuming ExecutorJob) {
      let job = UnownedJob(job)
      // SAFETY: the executor is never released.
      queue.async { unsafe job.runSynchronously(on: Self.all.asUnownedTaskExecutor()) }
    }
  }
}

extension Trait where Self == OwnThread {
  /// On threads of its own; see `OwnThread`.
  public static var ownThread: Self { OwnThread() }
}
