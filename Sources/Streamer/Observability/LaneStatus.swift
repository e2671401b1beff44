import Synchronization

/// What one source's way to one sink tells about itself.
///
/// Several sources may share a sink, and one of them may be well while another one's topic cannot
/// be written to, so state and numbers are kept for each pair. The pipeline's thread writes, the
/// HTTP thread and the ticker read. A class, because they share it.
final class LaneStatus: Sendable {
  /// The source's name in the configuration.
  let source: String

  private let cell = StateCell()
  private let waiting = AtomicInstant()

  /// Bytes handed over and not yet acknowledged.
  let inFlightBytes = AtomicCounter()
  /// How many events the sink was given.
  let total = AtomicCounter()
  /// How many events were left out, for whatever reason.
  let noTopic = AtomicCounter()
  /// How many events came again and had been given before.
  let skipped = AtomicCounter()
  /// How many deliveries have failed.
  let errors = AtomicCounter()
  /// How many changes went to the dead letter topic.
  let deadLetters = AtomicCounter()
  /// How many records the sink has acknowledged.
  let kafkaMessages = AtomicCounter()

  /// The tables that the sink leaves out, with the reason; so many are listed.
  private static let listedTables = 100
  private let leftOut = Mutex<[String: LeftOut]>([:])

  /// Notes that a table is left out, or not any more; what `exclude` names was asked for and is
  /// listed too.
  func leaves(_ table: String, _ reason: LeftOut?) {
    leftOut.withLock { tables in
      if reason == nil || tables[table] != nil || tables.count < Self.listedTables {
        tables[table] = reason
      }
    }
  }

  /// The tables that the sink leaves out, with the reason, by their names.
  var excludedTables: [(table: String, reason: LeftOut)] {
    leftOut.withLock { $0.sorted { $0.key < $1.key }.map { ($0.key, $0.value) } }
  }

  private let kept = Mutex<[HeldTopic]>([])

  /// The topics whose records the sink holds back; empty for most.
  var heldTopics: [HeldTopic] { kept.withLock { $0 } }

  /// Notes what the sink holds back.
  func holds(_ topics: [HeldTopic]) { kept.withLock { $0 = topics } }

  /// Makes the status of a lane that is starting.
  init(source: String) { self.source = source }

  /// The state now.
  var state: StateRecord { cell.value }

  /// Enters a state, with its cause when it is no good one.
  func enter(_ state: PipelineState, error: String? = nil, at time: UTCTime = .now) {
    cell.enter(state, error: error, at: time)
  }

  /// Since when records wait without one being delivered, or nil when none waits.
  var waitingSince: ContinuousClock.Instant? { waiting.value }

  /// Notes since when records wait without one being delivered; nil when none does.
  func wait(since time: ContinuousClock.Instant?) { waiting.set(time) }
}
