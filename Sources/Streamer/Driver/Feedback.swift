import PGWire

/// Decides when positions are saved, when the server hears of them, and whether it is still there:
/// saved first, acknowledged second, and the server is never told more than it sent itself.
struct Feedback {
  typealias Instant = ContinuousClock.Instant

  /// How long a position that moved may wait before it is saved.
  let saveInterval: Duration
  /// The longest pause between two status updates: at most a third of wal_sender_timeout.
  private(set) var statusInterval: Duration
  /// Bytes of confirmed WAL that the server shall keep for rewinds.
  let walRetain: UInt64

  /// The position last saved for each lane.
  private(set) var saved: [LSN]
  private var saving: [LSN]?
  /// A save from before ``restart(at:)`` may still write its positions over those of the start.
  private var isOvertaken = false
  private var lastSave: Instant
  /// The last save has failed: the next one waits for the interval, whatever hurries.
  private var hasFailed = false
  private var lastStatus: Instant
  private var owesStatus = false
  /// The server waits for an answer, so what is confirmed is not held back for the interval.
  private var isUrgent = false
  private var flushed = LSN.zero
  /// What all sinks have saved: the server shows it, and keeps what is retained of it.
  private var applied = LSN.zero
  private var unsavedBytes = 0
  /// When the server was heard last, or was not listened to on purpose.
  private var lastHeard: Instant
  private var lastProbe: Instant
  /// Requests for a reply since then.
  private var probes = 0

  init(
    saved: [LSN], saveInterval: Duration, statusInterval: Duration, walRetain: UInt64,
    now: Instant
  ) {
    self.saved = saved
    self.saveInterval = saveInterval
    self.statusInterval = statusInterval
    self.walRetain = walRetain
    lastSave = now
    lastStatus = now
    lastHeard = now
    lastProbe = now
  }

  // MARK: - Saving

  /// Whether everything in `confirmed` is saved.
  func isSaved(_ confirmed: [LSN]) -> Bool {
    saving == nil && !isOvertaken && confirmed == saved
  }

  /// Counts bytes that became durable in a sink: enough of them hasten the next save.
  mutating func delivered(bytes: Int) { unsavedBytes += bytes }

  /// The positions to save now; nil when none has moved, a save is under way, or it may wait.
  mutating func positionsToSave(_ confirmed: [LSN], atOnce: Bool, now: Instant) -> [LSN]? {
    guard saving == nil, isOvertaken || confirmed != saved else { return nil }
    let isDue = now >= lastSave + saveInterval || unsavedBytes >= Limits.saveAfterBytes
    let hurries = atOnce || isUrgent || isOvertaken
    guard hasFailed ? now >= lastSave + saveInterval : hurries || isDue else { return nil }
    saving = confirmed
    lastSave = now
    unsavedBytes = 0
    isUrgent = false
    return confirmed
  }

  /// The positions given out last are durable, or, with `false`, could not be saved: they are given
  /// out again when the next save is due.
  ///
  /// An answer to a save from before ``restart(at:)`` changes nothing.
  mutating func saveEnded(_ positions: [LSN], _ isDurable: Bool) {
    guard saving == positions else { return }
    saving = nil
    hasFailed = !isDurable
    guard isDurable else { return }
    isOvertaken = false
    saved = positions
    owesStatus = true
  }

  /// Reading begins at positions that are stored: at the start, or over a gap.
  ///
  /// A save that is under way was asked for before, and may come after what the start has stored: then
  /// the positions are given out once more, and until they are durable again no more is acknowledged
  /// than both have.
  mutating func restart(at positions: [LSN]) {
    saved = saving.map { zip($0, positions).map(min) } ?? positions
    isOvertaken = isOvertaken || saving != nil
    saving = nil
  }

  /// When `confirmed` will be due to be saved; nil when it is saved or being saved.
  func saveDeadline(_ confirmed: [LSN]) -> Instant? {
    guard saving == nil, isOvertaken || confirmed != saved else { return nil }
    return lastSave + saveInterval
  }

  // MARK: - Status updates

  /// A new connection: it has heard nothing yet, and must hear of us at least every `interval`.
  mutating func connected(statusInterval interval: Duration, now: Instant) {
    statusInterval = interval
    flushed = .zero
    applied = .zero
    owesStatus = true
    lastStatus = now
    heard(now: now)
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
  mutating func status(sent: LSN, now: Instant) -> StandbyStatusUpdate? {
    let probes = isProbeDue(now)
    guard probes || owesStatus || now >= lastStatus + statusInterval else { return nil }
    owesStatus = false
    lastStatus = now
    flushed = max(flushed, acknowledgeable(sent: sent))
    applied = max(applied, min(saved.min() ?? .zero, sent))
    if probes {
      lastProbe = now
      self.probes += 1
    }
    return StandbyStatusUpdate(
      written: sent, flushed: flushed, applied: applied, replyRequested: probes)
  }

  /// What the server may forget: everything before what all sinks have saved, less what is retained.
  func acknowledgeable(sent: LSN) -> LSN {
    let least = saved.min() ?? .zero
    let kept = least.value > walRetain ? LSN(least.value - walRetain) : .zero
    return min(kept, sent)
  }

  /// When a status update will be due by time alone.
  var statusDeadline: Instant { min(lastStatus + statusInterval, nextProbe) }

  // MARK: - Whether the server is there

  /// Bytes have come, or none can have been noticed, since nothing was read on purpose.
  mutating func heard(now: Instant) {
    lastHeard = now
    probes = 0
  }

  private var nextProbe: Instant {
    (probes > 0 ? max(lastHeard, lastProbe) : lastHeard) + Limits.probe
  }

  private func isProbeDue(_ now: Instant) -> Bool {
    probes < Limits.unansweredProbes && now >= nextProbe
  }

  /// Whether the server has answered none of the requests for a reply: the connection is dead.
  func isSilent(now: Instant) -> Bool { probes >= Limits.unansweredProbes && now >= nextProbe }
}
