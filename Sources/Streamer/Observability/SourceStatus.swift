import PGWire
import Synchronization

/// What a source's pipeline tells about itself.
///
/// The pipeline's thread writes, the HTTP thread and the ticker read. A class, because they
/// share it; nothing in it makes the pipeline wait.
final class SourceStatus: Sendable {
  /// The source's name in the configuration.
  let name: String
  /// The source's type in the configuration: "postgres", "kafka".
  let type: String
  /// The replication slot; nil for a source without one.
  let slot: String?

  private let cell = StateCell()
  // Instants are kept as nanoseconds since this one.
  private let epoch = ContinuousClock.now
  private let probedNanoseconds = AtomicCounter()
  private let outstandingNanoseconds = AtomicCounter()

  /// Where the stream stands: the end of what was received, in bytes.
  let receivedLSN = AtomicCounter()
  /// Up to where every sink has confirmed, in bytes.
  let confirmedLSN = AtomicCounter()
  /// The position that was saved last, in bytes.
  let savedLSN = AtomicCounter()
  /// The end of the server's log as its messages tell it, in bytes.
  let serverLSN = AtomicCounter()
  /// How much log the slot keeps on the server, in bytes.
  let walHeldBytes = AtomicCounter()

  /// How much of open transactions is kept in files, in bytes.
  let spoolBytes = AtomicCounter()

  /// How many events were made of the source's changes.
  let events = AtomicCounter()
  /// How many events could not be made or handed over.
  let eventErrors = AtomicCounter()
  /// How often the replication connection has failed.
  let replicaErrors = AtomicCounter()
  /// How often saving a position has failed.
  let persistErrors = AtomicCounter()

  /// Makes the status of a source that is starting.
  init(name: String, type: String, slot: String? = nil) {
    self.name = name
    self.type = type
    self.slot = slot
  }

  /// The state now.
  var state: StateRecord { cell.value }

  /// Enters a state, with its cause when it is no good one.
  func enter(_ state: PipelineState, error: String? = nil, at time: UTCTime = .now) {
    cell.enter(state, error: error, at: time)
  }

  /// How far what is confirmed lies behind the server's log, in bytes.
  var lagBytes: UInt64 {
    let (confirmed, server) = (confirmedLSN.value, serverLSN.value)
    return confirmed == 0 || server < confirmed ? 0 : server - confirmed
  }

  /// Notes that the server has answered a status update that asked for an answer.
  func probeAnswered(at time: ContinuousClock.Instant) {
    probedNanoseconds.set(nanoseconds(time))
  }

  /// Notes since when the oldest record waits for its delivery; nil when none does.
  func oldestOutstanding(since time: ContinuousClock.Instant?) {
    outstandingNanoseconds.set(time.map(nanoseconds) ?? 0)
  }

  /// When the server answered last, or nil when it never did.
  var lastProbe: ContinuousClock.Instant? { instant(probedNanoseconds.value) }

  /// Since when the oldest record waits for its delivery, or nil when none does.
  var oldestOutstanding: ContinuousClock.Instant? { instant(outstandingNanoseconds.value) }

  // Zero stands for "none", so the first nanosecond counts as the second one.
  private func nanoseconds(_ time: ContinuousClock.Instant) -> UInt64 {
    let (seconds, attoseconds) = (time - epoch).components
    return UInt64(max(1, seconds * 1_000_000_000 + attoseconds / 1_000_000_000))
  }

  private func instant(_ nanoseconds: UInt64) -> ContinuousClock.Instant? {
    nanoseconds == 0 ? nil : epoch.advanced(by: .nanoseconds(Int64(clamping: nanoseconds)))
  }
}
