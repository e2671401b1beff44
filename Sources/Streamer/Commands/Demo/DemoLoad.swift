import PGWire
import Synchronization

/// A client of the shop that commits one transaction after the other, on a thread of its own.
final class DemoLoad: Sendable {
  private let thread: Mutex<PosixThread?>
  private let failure = Mutex<PGError?>(nil)
  private let isCancelled = Atomic<Bool>(false)

  /// Starts; the thread makes a connection of its own.
  init(dsn: String) throws(StreamerError) {
    thread = Mutex(nil)
    var started: PosixThread? = try PosixThread(name: "load") { [self] in run(dsn) }
    thread.withLock { $0 = started.take() }
  }

  /// Throws when the server has refused something.
  func check() throws(StreamerError) {
    if let error = failure.withLock({ $0 }) { throw StreamerError(what: "load", why: "\(error)") }
  }

  /// Ends it, after the transaction that runs.
  func stop() {
    isCancelled.store(true, ordering: .relaxed)
    if let running = thread.withLock({ $0.take() }) { running.join() }
  }

  private func run(_ dsn: String) {
    do throws(PGError) {
      var connection = try ThrowAwayServer.connect(dsn)
      for number in 0..<DemoStory.transactions where !isCancelled.load(ordering: .relaxed) {
        _ = try connection.query(DemoStory.load(number))
      }
      connection.close()
    } catch { failure.withLock { $0 = error } }
  }
}
