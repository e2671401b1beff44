import Synchronization

/// What a source or a sink is doing, as `/status` says it.
enum PipelineState: String, CaseIterable, Sendable {
  /// It connects for the first time, or checks what it needs.
  case starting
  /// Rows that existed before are being copied.
  case snapshot
  /// Changes flow as they come.
  case streaming
  /// Changes flow as fast as the slower side lets them.
  case backpressured
  /// Somebody has paused it.
  case paused
  /// Another instance holds the slot.
  case standby
  /// A connection was lost, and is tried again.
  case retrying
  /// It has ended as it was told to.
  case stopped
  /// It has ended with an error that trying again would not mend.
  case failed

  /// Whether `/status` answers 500 because of it.
  var isTrouble: Bool { self == .retrying || self == .stopped || self == .failed }

  /// Whether changes flow, old ones or new ones.
  var isUp: Bool { self == .streaming || self == .backpressured || self == .snapshot }

  /// How bad it is beside others: of several lanes of a sink, the worst one's state is shown.
  var gravity: Int {
    switch self {
    case .streaming: 0
    case .backpressured: 1
    case .snapshot: 2
    case .standby: 3
    case .paused: 4
    case .starting: 5
    case .stopped: 6
    case .retrying: 7
    case .failed: 8
    }
  }
}

/// A state with its cause and the time since when it holds: always read together.
struct StateRecord: Sendable {
  /// The state.
  var state: PipelineState
  /// When the state began.
  var since: UTCTime
  /// What went wrong, in one line; nil when nothing did.
  var error: String?
}

/// A ``StateRecord`` that one thread changes and others read.
///
/// It changes rarely, so a lock is cheap enough.
struct StateCell: ~Copyable, Sendable {
  private let record = Mutex(StateRecord(state: .starting, since: .now, error: nil))

  /// The record now.
  var value: StateRecord { record.withLock { $0 } }

  /// Enters a state; entering the one that holds only replaces its error.
  func enter(_ state: PipelineState, error: String?, at time: UTCTime) {
    record.withLock { record in
      if record.state != state { record.since = time }
      record.state = state
      record.error = error
    }
  }
}
