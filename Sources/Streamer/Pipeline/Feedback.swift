import PGWire

/// Decides when positions are saved and when the server hears of them: saved first, acknowledged
/// second, and the server is never told more than it sent itself.
struct Feedback {
  /// How long a position that moved may wait before it is saved.
  let saveInterval: Duration
  /// The longest pause between two status updates: at most a third of wal_sender_timeout.
  let statusInterval: Duration
  /// Bytes of confirmed WAL that the server shall keep for rewinds.
  let walRetain: UInt64

  /// The position last saved for each lane.
  private(set) var saved: [LSN]
  private var saving: [LSN]?
  private var lastSave: ContinuousClock.Instant
  private var lastStatus: ContinuousClock.Instant
  private var owesStatus = false
  /// The server waits for an answer, so what is confirmed is not held back for the interval.
  private var isUrgent = false
  private var flushed = LSN.zero
  private var unsavedBytes = 0

  init(
    saved: [LSN], saveInterval: Duration, statusInterval: Duration, walRetain: UInt64,
    now: ContinuousClock.Instant
  ) {
    self.saved = saved
    self.saveInterval = saveInterval
    self.statusInterval = statusInterval
    self.walRetain = walRetain
    self.lastSave = now
    self.lastStatus = now
  }

  /// Whether everything in `confirmed` is saved.
  func isSaved(_ confirmed: [LSN]) -> Bool { saving == nil && confirmed == saved }

  /// Counts bytes that became durable in a sink: enough of them hasten the next save.
  mutating func delivered(bytes: Int) { unsavedBytes += bytes }

  /// The positions to save now; nil when none has moved, a save is under way, or it may wait.
  mutating func positionsToSave(
    _ confirmed: [LSN], atOnce: Bool, now: ContinuousClock.Instant
  ) -> [LSN]? {
    guard saving == nil, confirmed != saved else { return nil }
    let isDue = now >= lastSave + saveInterval || unsavedBytes >= Limits.saveAfterBytes
    guard atOnce || isUrgent || isDue else { return nil }
    saving = confirmed
    lastSave = now
    unsavedBytes = 0
    isUrgent = false
    return confirmed
  }

  /// The positions given out last are durable, or, with `false`, could not be saved.
  mutating func saveEnded(_ durable: Bool) {
    guard let positions = saving else { return }
    saving = nil
    guard durable else { return }
    saved = positions
    owesStatus = true
  }

  /// A new connection: it has heard nothing yet.
  mutating func connected(now: ContinuousClock.Instant) {
    flushed = .zero
    owesStatus = true
    lastStatus = now
  }

  /// The server asked for a status update.
  ///
  /// It may be waiting for a position in order to shut down: the next save is due at once.
  mutating func statusRequested() {
    owesStatus = true
    isUrgent = true
  }

  /// The status update to send now, if one is due; `sent` is the largest position that the server
  /// sent on this connection.
  mutating func status(sent: LSN, now: ContinuousClock.Instant) -> StandbyStatusUpdate? {
    guard owesStatus || now >= lastStatus + statusInterval else { return nil }
    owesStatus = false
    lastStatus = now
    flushed = max(flushed, acknowledgeable(sent: sent))
    return StandbyStatusUpdate(written: sent, flushed: flushed)
  }

  /// What the server may forget: everything before what all sinks have saved, less what is retained.
  func acknowledgeable(sent: LSN) -> LSN {
    let least = saved.min() ?? .zero
    let kept = least.value > walRetain ? LSN(least.value - walRetain) : .zero
    return min(kept, sent)
  }

  /// When a status update will be due by time alone.
  var statusDeadline: ContinuousClock.Instant { lastStatus + statusInterval }

  /// When `confirmed` will be due to be saved; nil when it is saved or being saved.
  func saveDeadline(_ confirmed: [LSN]) -> ContinuousClock.Instant? {
    saving == nil && confirmed != saved ? lastSave + saveInterval : nil
  }
}
