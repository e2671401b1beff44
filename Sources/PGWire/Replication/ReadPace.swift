/// Decides when a stream is read, as network cards moderate interrupts.
///
/// A walsender sends every row with a send() of its own; a reader that wakes for each makes the
/// *server* pay a wake-up a row and halves its speed. So: while it is calm the first byte wakes.
/// ``burstBytes`` within ``window`` begin a burst: then the socket's low-water mark lets that much
/// gather, for ``window`` at most. ``thinWindows`` in a row that bring less end the burst: one alone
/// may only mean that the server was not running. A lone transaction is never delayed, and a flood
/// costs the server half.
public struct ReadPace: Sendable {
  /// How the socket is to be waited for.
  public enum Mode: Hashable, Sendable {
    /// The first byte wakes.
    case calm
    /// ``burstBytes`` wake, or the end of the window.
    case burst
  }

  /// What makes a burst, and its low-water mark, in bytes.
  public static let burstBytes = 64 << 10
  /// How long a burst may gather, and the time in which it must bring its bytes.
  public static let window = Duration.milliseconds(10)

  /// How many windows in a row with fewer bytes end a burst.
  public static let thinWindows = 5

  /// How the socket is to be waited for now.
  public private(set) var mode = Mode.calm
  private var windowEnd: ContinuousClock.Instant?
  private var bytes = 0
  private var thin = 0

  /// Makes the pace of a new connection: calm.
  public init() {}

  /// Counts a read of `count` bytes that ended at `now`; 0 when nothing was there.
  public mutating func read(_ count: Int, at now: ContinuousClock.Instant) {
    bytes += count
    if bytes >= Self.burstBytes {
      mode = .burst
      thin = 0
      begin(at: now)
    } else if windowEnd.map({ now >= $0 }) ?? true {
      thin += 1
      if thin >= Self.thinWindows { mode = .calm }
      begin(at: now)
      // In the calm a window begins with the read that woke.
      if mode == .calm { bytes = count }
    }
  }

  /// When the socket is read even without being reported readable; nil while it is calm.
  public var readBy: ContinuousClock.Instant? { mode == .burst ? windowEnd : nil }

  private mutating func begin(at now: ContinuousClock.Instant) {
    windowEnd = now + Self.window
    bytes = 0
  }
}
