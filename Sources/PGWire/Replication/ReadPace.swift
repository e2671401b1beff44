/// Decides when a stream is read, as network cards moderate interrupts.
///
/// A walsender sends every row with a send() of its own. A reader that is always ready makes the
/// *server* pay for each: a wake-up, a segment, an acknowledgement. One that leaves the socket alone
/// until the buffers are full makes it wait. So: while it is calm the first byte wakes, and a lone
/// transaction is never delayed. ``burstBytes`` within ``window`` begin a burst; then only the time
/// wakes, after a pause that is worked out from what the reads find. A read that finds nothing waits
/// for the first byte again, and a burst ends when it has brought less than ``burstBytes`` for each
/// ``longestPause`` of the last ``memory``.
///
/// A server that is woken so often that it cannot send ``burstBytes`` in time would never be let off:
/// ``drizzleReads`` wake-ups within ``window`` begin a drizzle, a burst whose pauses are at most
/// ``drizzlePause``. What was held back comes then, and makes it an ordinary burst, or it does not,
/// and the drizzle ends when fewer than half of the pauses find something.
///
/// The pause is to find a quarter to a half of what the buffers between the two can take. How much
/// that is nobody says (for TCP the kernel moves it, on Unix sockets each message counts more than
/// its bytes), so it is learnt: from the largest read, and now and then from a longer pause.
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
  /// How many wake-ups in that time make a drizzle.
  public static let drizzleReads = 64
  /// The longest pause of a drizzle, and so the longest that a transaction waits in one.
  public static let drizzlePause = Duration.milliseconds(1)
  /// The pause with which a burst begins.
  public static let firstPause = Duration.milliseconds(2)
  /// The shortest pause between two reads of a burst.
  public static let shortestPause = Duration.microseconds(100)
  /// The longest pause, and so the longest that a transaction waits in a burst.
  public static let longestPause = Duration.milliseconds(20)
  /// The time after which it is asked whether a burst goes on.
  public static let memory = longestPause * 3

  /// How the socket is to be waited for now.
  public private(set) var mode = Mode.calm
  /// When the socket is read in a burst; nil while it is calm.
  public private(set) var readBy: ContinuousClock.Instant?
  /// The pause between two reads of this burst; nil outside of one.
  public var pause: Duration? { burst?.pause }

  private var burst: Burst?
  /// Since when ``bytes`` are counted.
  private var countedSince: ContinuousClock.Instant?
  private var bytes = 0
  /// The reads since then that found something.
  private var reads = 0

  /// Makes the pace of a new connection: calm.
  public init() {}

  /// Counts a read that ended at `now` with `count` bytes, all that were there; 0 when nothing was.
  public mutating func read(_ count: Int, at now: ContinuousClock.Instant) {
    let span = burst == nil ? Self.window : Self.memory
    let isOver = countedSince.map { now >= $0 + span } ?? true
    if burst == nil, isOver { beginCount(at: now) }
    bytes += count
    reads += count > 0 ? 1 : 0
    if burst == nil {
      burst = beginning
      guard burst != nil else { return }
      beginCount(at: now)
    } else {
      if isOver {
        weigh()
        beginCount(at: now)
      }
      // The first byte's read says nothing of the pause.
      if mode == .burst { burst?.adjust(to: count, at: now) }
    }
    if let next = burst?.nextPause, count > 0 {
      mode = .burst
      readBy = now + next
      burst?.lastRead = now
    } else {
      mode = .calm
      readBy = nil
    }
  }

  private mutating func beginCount(at now: ContinuousClock.Instant) {
    countedSince = now
    bytes = 0
    reads = 0
  }

  /// The burst that what was counted begins, if it does.
  private var beginning: Burst? {
    if bytes >= Self.burstBytes { return Burst() }
    return reads >= Self.drizzleReads ? Burst(isFlood: false, pause: Self.drizzlePause) : nil
  }

  /// Decides from what the last ``memory`` has brought whether the burst goes on.
  private mutating func weigh() {
    if bytes >= Self.burstBytes * 3 {
      burst?.isFlood = true
    } else if Double(reads) >= Self.memory / Self.drizzlePause / 2 {
      burst?.isFlood = false
    } else {
      burst = nil
    }
  }
}

extension ReadPace {
  /// What is known of the buffers and of the server while it sends much.
  private struct Burst: Sendable {
    /// Whether it brings many bytes, and not only many wake-ups.
    var isFlood = true
    /// The pause between two reads.
    var pause = ReadPace.firstPause
    /// When the last read ended.
    var lastRead: ContinuousClock.Instant?
    /// What the buffers are thought to take, in bytes.
    var capacity = Self.leastCapacity
    /// Whether this pause is a longer one, to see whether the buffers take more.
    var isProbe = false
    /// How many reads there are between two such pauses, and how many there were since the last.
    var probeInterval = Self.shortestInterval
    var reads = 0

    /// The least that is taken for the buffers' capacity.
    static let leastCapacity = 16 << 10
    /// The part of the capacity that a read is to find.
    static let aim = 0.375
    /// How much longer the pause is that looks for more room.
    static let probeFactor = 4.0
    static let shortestInterval = 4
    static let longestInterval = 256

    /// The longest pause that it may come to.
    var longestPause: Duration { isFlood ? ReadPace.longestPause : ReadPace.drizzlePause }

    /// The pause until the next read.
    var nextPause: Duration { nextPause(isProbe: isProbe) }

    private func nextPause(isProbe: Bool) -> Duration {
      min(isProbe ? pause * Self.probeFactor : pause, longestPause)
    }

    /// Works out the next pause from what this one has found.
    mutating func adjust(to count: Int, at now: ContinuousClock.Instant) {
      if isProbe { return judgeProbe(count) }
      if count > capacity {
        capacity = count
      } else if pause >= longestPause {
        // No pause can be longer, so what it finds is all that matters of the capacity.
        capacity = max(capacity - capacity / 4, Self.leastCapacity)
      }
      let aim = Double(capacity) * Self.aim
      if count > capacity / 2 {
        // A reader that came late found more than the pause has gathered.
        let elapsed = lastRead.map { now - $0 } ?? pause
        pause = min(pause, max(elapsed, pause) * (aim / Double(count)))
      } else if count < capacity / 4 {
        pause = pause * min(2, aim / Double(max(count, 1)))
      }
      pause = min(max(pause, ReadPace.shortestPause), longestPause)
      reads += 1
      if reads >= probeInterval, pause < longestPause {
        isProbe = true
        reads = 0
      }
    }

    /// A longer pause that found no more than is known says what the buffers take.
    private mutating func judgeProbe(_ count: Int) {
      isProbe = false
      if count > capacity {
        capacity = count
        // This pause has gathered all of it; the next ones shall gather the part that is aimed at.
        pause = max(pause, nextPause(isProbe: true) * Self.aim)
        probeInterval = Self.shortestInterval
      } else {
        // The server may only have rested: half of what was known stays known.
        capacity = max(count, capacity / 2, Self.leastCapacity)
        probeInterval = min(probeInterval * 2, Self.longestInterval)
      }
    }
  }
}
