import PGWire

/// Decides when a heartbeat is written into the server's log, and tells whether it has come back: it
/// has when everything before it is delivered by every sink.
///
/// One is on its way at a time. Pure: the caller writes it, and says how far the sinks have confirmed.
struct Heartbeat {
  typealias Instant = ContinuousClock.Instant

  /// What came of writing one.
  enum Answer: Hashable, Sendable {
    /// It is in the log, and ends there.
    case sent(LSN)
    /// There is nothing to write to for now: the server is a standby.
    case notNow
    /// The server does not let us, or has nothing for it.
    case refused(StreamerError)
    /// It failed this time.
    case failed(StreamerError)
  }

  /// What its caller has to say of an answer.
  enum Remark: Hashable {
    /// Heartbeats are off until the next connection.
    case off(StreamerError)
    /// This one was not written.
    case failed(StreamerError)
  }

  private enum State {
    case resting
    case writing(since: Instant)
    case travelling(to: LSN, since: Instant)
  }

  /// The pause between two; zero for none at all.
  let interval: Duration
  private var state = State.resting
  private var next: Instant
  private var isRefused = false
  private var isRefusalTold = false
  private var isFailing = false
  /// What has moved since the heartbeat was written: as long as something does, it is on its way.
  private var progress: [UInt64] = []
  private var movedAt: Instant

  /// Makes one that begins an interval later.
  init(interval: Duration, now: Instant) {
    self.interval = interval
    next = now + interval
    movedAt = now
  }

  /// A new connection: what was written before may never come.
  mutating func connected(now: Instant) {
    state = .resting
    isRefused = false
    next = now + interval
  }

  /// The connection is lost: nothing is waited for.
  mutating func disconnected() { state = .resting }

  /// Whether one is to be written now; it then counts as being written.
  mutating func begins(now: Instant) -> Bool {
    guard interval > .zero, !isRefused, case .resting = state, now >= next else { return false }
    state = .writing(since: now)
    next = now + interval
    movedAt = now
    return true
  }

  /// One was written, or not; says what is worth a line of the log, each trouble once.
  mutating func answered(_ answer: Answer) -> Remark? {
    guard case .writing(let since) = state else { return nil }
    state = .resting
    switch answer {
    case .sent(let lsn):
      state = .travelling(to: lsn, since: since)
      isFailing = false
    case .notNow: break
    case .refused(let error):
      isRefused = true
      defer { isRefusalTold = true }
      return isRefusalTold ? nil : .off(error)
    case .failed(let error):
      defer { isFailing = true }
      return isFailing ? nil : .failed(error)
    }
    return nil
  }

  /// Everything below `confirmed` is delivered; gives the time that the heartbeat took when that
  /// brings it back.
  mutating func confirmed(_ confirmed: LSN, now: Instant) -> Duration? {
    guard case .travelling(let lsn, let since) = state, confirmed >= lsn else { return nil }
    state = .resting
    return now - since
  }

  /// Since when a heartbeat has been waited for while none of these numbers has changed; nil when
  /// there is none.
  mutating func waiting(_ numbers: [UInt64], now: Instant) -> Instant? {
    if numbers != progress {
      progress = numbers
      movedAt = now
    }
    guard case .travelling(_, let since) = state else { return nil }
    return max(since, movedAt)
  }

  // MARK: - In the log

  /// What the prefixes of heartbeats begin with, of whatever instance.
  static let prefix = "psql_streamer_heartbeat/"
  private static let prefixBytes = Array(prefix.utf8)

  /// Whether a logical message of that prefix is a heartbeat, ours or another instance's: none of
  /// them is an event.
  static func isHeartbeat(_ prefix: RawSpan) -> Bool {
    guard prefix.byteCount > prefixBytes.count else { return false }
    for index in prefixBytes.indices where prefix[index] != prefixBytes[index] { return false }
    return true
  }
}
