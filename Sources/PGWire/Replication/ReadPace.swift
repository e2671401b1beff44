/// Decides when a stream is read, as network cards moderate interrupts.
///
/// A walsender sends every row with a send() of its own. A reader that is always ready makes the
/// *server* pay for each: a wake-up, a segment, an acknowledgement. While the reader leaves the
/// socket alone, the receive window closes and what the server sends joins into large segments at
/// its own end, at a fraction of the cost, and the server does not have to wait until its send
/// buffer is full. So: while it is calm the first byte wakes. ``burstBytes`` within ``window`` begin
/// a burst: then the socket is read every ``gulp``, whatever has come. ``thinGulps`` in a row that
/// bring less end the burst: one alone may only mean that the server was not running. A lone
/// transaction is never delayed.
public struct ReadPace: Sendable {
  /// How the socket is to be waited for.
  public enum Mode: Hashable, Sendable {
    /// The first byte wakes.
    case calm
    /// Only the time wakes.
    case burst
  }

  /// What makes a burst, in bytes.
  public static let burstBytes = 64 << 10
  /// The time in which a burst must bring its first bytes.
  public static let window = Duration.milliseconds(10)
  /// The time between two reads of a burst.
  public static let gulp = Duration.milliseconds(20)
  /// How many reads in a row with fewer bytes end a burst.
  public static let thinGulps = 3

  /// How the socket is to be waited for now.
  public private(set) var mode = Mode.calm
  private var windowEnd: ContinuousClock.Instant?
  private var bytes = 0
  private var thin = 0

  /// Makes the pace of a new connection: calm.
  public init() {}

  /// Counts a read of `count` bytes that ended at `now`; 0 when nothing was there.
  public mutating func read(_ count: Int, at now: ContinuousClock.Instant) {
    switch mode {
    case .calm:
      if let windowEnd, now < windowEnd { bytes += count } else { begin(count, at: now) }
      guard bytes >= Self.burstBytes else { return }
      mode = .burst
      thin = 0
    case .burst:
      thin = count >= Self.burstBytes ? 0 : thin + 1
      guard thin >= Self.thinGulps else { break }
      mode = .calm
      return begin(count, at: now)
    }
    windowEnd = now + Self.gulp
  }

  /// When the socket is read in a burst; nil while it is calm.
  public var readBy: ContinuousClock.Instant? { mode == .burst ? windowEnd : nil }

  private mutating func begin(_ count: Int, at now: ContinuousClock.Instant) {
    windowEnd = now + Self.window
    bytes = count
  }
}
