import Synchronization

/// Tells an expired transaction, after which a fresh producer goes on, from another process that writes
/// under the same name: both are fenced, but only a rival does so again at once.
///
/// It outlives the producers of one sink.
final class Rivalry: Sendable {
  private struct State {
    var begun: ContinuousClock.Instant?
    var wasShutOut = false
  }

  private let state = Mutex(State())

  /// A producer has taken over; one that was left alone for a while before it had no rival.
  func begun(now: ContinuousClock.Instant) {
    state.withLock { state in
      if let before = state.begun, now - before >= Limits.rivalry { state.wasShutOut = false }
      state.begun = now
    }
  }

  /// A producer was fenced; gives the error that counts: the second time in a row so soon after it had
  /// begun is the end.
  func judged(_ error: StreamerError, now: ContinuousClock.Instant) -> StreamerError {
    state.withLock { state in
      let isSoon = state.begun.map { now - $0 < Limits.rivalry } ?? false
      defer { state.wasShutOut = isSoon }
      guard isSoon, state.wasShutOut else { return error }
      var final = StreamerError(
        what: error.what,
        why: "another process writes under the same transactional.id: "
          + error.why, hint: "End the other one, or give one of them another transactionalID.",
        exit: .fenced, cause: .fenced)
      final.kafkaCode = error.kafkaCode
      final.sink = error.sink
      return final
    }
  }
}
