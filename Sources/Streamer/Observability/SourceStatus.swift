import PGWire
import Synchronization

/// What a source's pipeline tells about itself.
///
/// The pipeline's thread writes, the HTTP thread and the ticker read. A class, because they
/// share it; nothing in it makes the pipeline wait.
final class SourceStatus: Sendable {
  /// What PostgreSQL says of the WAL that a slot needs (pg_replication_slots.wal_status).
  enum WALStatus: String, CaseIterable, Sendable { case reserved, extended, unreserved, lost }

  /// The source's name in the configuration.
  let name: String
  /// The source's type in the configuration: "postgres", "kafka".
  let type: String
  /// The replication slot; nil for a source without one.
  let slot: String?

  private let cell = StateCell()
  private let heard = AtomicInstant()
  // One more than the status's place in the list of all; zero while it is unknown.
  private let walStatusNumber = AtomicCounter()
  private let unsaved = AtomicCounter()
  private let lag = AtomicFraction()
  // Not a number while it is unknown, or the server keeps everything.
  private let safeWAL = AtomicFraction()
  private let growth = AtomicFraction()
  private let walLeft = AtomicFraction()
  private let trip = AtomicFraction()
  private let awaited = AtomicInstant()
  private let invisible = AtomicInstant()

  /// Where the stream stands: the end of what was received, in bytes.
  let receivedLSN = AtomicCounter()
  /// Up to where every sink has confirmed, in bytes.
  let confirmedLSN = AtomicCounter()
  /// The position that was saved last, in bytes.
  let savedLSN = AtomicCounter()
  /// The end of the server's log as the server was asked for it last, in bytes; zero when never.
  let serverLSN = AtomicCounter()
  /// How much log the slot keeps on the server, in bytes.
  let walHeldBytes = AtomicCounter()

  /// How much of open transactions is kept in files, in bytes.
  let spoolBytes = AtomicCounter()

  /// How many events were made of the source's changes.
  let events = AtomicCounter()
  /// How many events could not be made or handed over.
  let eventErrors = AtomicCounter()
  private let ledger = Mutex<[Gap]>([])
  private let copy = Mutex<SnapshotStatus?>(nil)
  private let listedCopies = Mutex<[CopyStatus]>([])

  /// How far the copy of existing rows is; nil when this process has copied none.
  var snapshot: SnapshotStatus? {
    get { copy.withLock { $0 } }
    set { copy.withLock { $0 = newValue } }
  }

  /// The copies of existing rows that are kept, in their order.
  var copies: [CopyStatus] {
    get { listedCopies.withLock { $0 } }
    set { listedCopies.withLock { $0 = newValue } }
  }

  /// The ledger of gaps, the oldest first.
  var gaps: [Gap] {
    get { ledger.withLock { $0 } }
    set { ledger.withLock { $0 = newValue } }
  }

  /// How often the replication connection, or an attempt to make it, has failed.
  let replicaErrors = AtomicCounter()
  /// How often saving a position has failed.
  let persistErrors = AtomicCounter()

  /// Makes the status of a source that is starting.
  init(name: String, type: String, slot: String? = nil) {
    self.name = name
    self.type = type
    self.slot = slot
    safeWAL.set(.nan)
    growth.set(.nan)
    walLeft.set(.nan)
    trip.set(.nan)
  }

  /// The state now.
  var state: StateRecord { cell.value }

  /// Enters a state, with its cause when it is no good one.
  func enter(_ state: PipelineState, error: String? = nil, at time: UTCTime = .now) {
    cell.enter(state, error: error, at: time)
  }

  /// The end of the server's log, as far as it is known: what the server said when it was asked,
  /// or what it has sent since.
  var endLSN: UInt64 { max(serverLSN.value, receivedLSN.value) }

  /// How far what is saved lies behind the server's log, in bytes.
  ///
  /// What is confirmed stands in for what is saved where nothing is saved.
  var lagBytes: UInt64 {
    let saved = savedLSN.value == 0 ? confirmedLSN.value : savedLSN.value
    let end = endLSN
    return saved == 0 || end < saved ? 0 : end - saved
  }

  /// The age of the oldest commit that is not confirmed, in seconds; nil where commits are not of now.
  var lagSeconds: Double? {
    get { SourceMetrics.hasLiveCommits(type) ? lag.value : nil }
    set { lag.set(newValue ?? 0) }
  }

  /// How much log may still be written before the server takes away what the slot needs, in bytes;
  /// nil when that is unknown, or the server keeps everything.
  var safeWALBytes: Int64? {
    get { Int64(exactly: safeWAL.value) }
    set { safeWAL.set(newValue.map(Double.init) ?? .nan) }
  }

  /// How fast the log grows that the slot keeps, in bytes a second, negative while it falls; nil while
  /// unknown.
  var walGrowth: Double? {
    get { growth.value.isNaN ? nil : growth.value }
    set { growth.set(newValue ?? .nan) }
  }

  /// How long until the server takes away what the slot needs, in seconds; nil when it never will, or
  /// nobody knows.
  var walSecondsLeft: Double? {
    get { walLeft.value.isNaN ? nil : walLeft.value }
    set { walLeft.set(newValue ?? .nan) }
  }

  /// How long the last heartbeat took to come back, in seconds; nil when none has.
  var heartbeatSeconds: Double? {
    get { trip.value.isNaN ? nil : trip.value }
    set { trip.set(newValue ?? .nan) }
  }

  /// Since when a heartbeat has been waited for while nothing has moved; nil when none is.
  var heartbeatAwaitedSince: ContinuousClock.Instant? { awaited.value }

  /// Notes since when a heartbeat has been waited for.
  func heartbeatAwaited(_ since: ContinuousClock.Instant?) { awaited.set(since) }

  /// Since when a transaction has been waited for, longer than is usual, that is not visible on the
  /// primary; nil when none is.
  var invisibleSince: ContinuousClock.Instant? {
    get { invisible.value }
    set { invisible.set(newValue) }
  }

  /// When the server was heard last, or was not listened to on purpose; nil when it never was.
  var lastHeard: ContinuousClock.Instant? { heard.value }

  /// Notes that bytes of the server came, or that the pipeline does not read on purpose.
  func heard(at time: ContinuousClock.Instant) { heard.set(time) }

  /// What the server says of the WAL that the slot needs; nil while that is unknown.
  var walStatus: WALStatus? {
    get {
      let number = Int(walStatusNumber.value)
      return number == 0 ? nil : WALStatus.allCases[number - 1]
    }
    set {
      let place = newValue.flatMap { WALStatus.allCases.firstIndex(of: $0) }
      walStatusNumber.set(place.map { UInt64($0) + 1 } ?? 0)
    }
  }

  /// Whether the last attempt to save a position has failed.
  var cannotSave: Bool {
    get { unsaved.value != 0 }
    set { unsaved.set(newValue ? 1 : 0) }
  }
}
