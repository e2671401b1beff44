import PGWire
import Support

/// A walsender that sends rows, the buffers between the two, and a reader with a ``ReadPace``.
///
/// The server pays for each row, for each wake-up of a reader that waits for the first byte, and for
/// its own when the buffers were full. Times are seconds from the start.
struct ReadPaceSimulation {
  /// What the buffers take, in bytes; it may change while rows are sent.
  var capacity: (_ row: Int) -> Int
  /// Bytes offered in a second; nil is as fast as the server can.
  var offered: Double?
  /// The server's own work for one row.
  var rowCost = 3.2e-6
  /// The bytes of one row.
  var rowSize = 190
  /// The reader's work for one byte.
  var byteCost = 0.5e-9
  /// The server's work to wake a reader; much more where other processes wait for its processor.
  var wakeCost = 6e-6
  /// The longest of the rests that the server takes now and then, about once in 10 000 rows.
  var longestRest = 0.0
  var random: SeededRandom

  /// What a simulation has seen.
  struct Outcome {
    /// When the last row was sent, and when it would have been without a reader.
    var seconds = 0.0
    var ideal = 0.0
    var reads = 0
    var longestWait = 0.0
    /// How long the last row waited to be read.
    var lastWait = 0.0
  }

  /// The time that waking a reader takes, and that of a server that was blocked.
  private static let wakeTime = 10e-6
  private static let unblockTime = 30e-6
  /// How late a timer is.
  private static let timerSlack = 60e-6

  private var pace = ReadPace()
  private let start = ContinuousClock.now
  private var outcome = Outcome()
  private var buffered = 0
  private var oldest: Double?
  /// When the reader reads next; nil while it waits for the first byte.
  private var nextRead: Double?
  /// Until when the reader works on what it has read.
  private var busyUntil = 0.0

  init(
    seed: UInt64, offered: Double? = nil, capacity: @escaping (_ row: Int) -> Int
  ) {
    self.capacity = capacity
    self.offered = offered
    random = SeededRandom(seed: seed)
  }

  /// Sends that many rows, then one more after a silence of `silence` seconds when that is given.
  mutating func run(rows: Int, thenOneAfter silence: Double? = nil) -> Outcome {
    var time = 0.0
    let gap = offered.map { Double(rowSize) / $0 } ?? 0
    for row in 0..<rows {
      let cost = rowCost + rest()
      outcome.ideal = max(outcome.ideal, Double(row) * gap) + cost
      time = max(time, Double(row) * gap) + cost
      send(row, &time)
    }
    outcome.seconds = time
    if let silence {
      time += silence
      read(until: time)
      send(rows, &time)
    }
    let last = time
    if let nextRead { read(until: nextRead) }
    outcome.lastWait = busyUntil - last
    return outcome
  }

  private mutating func rest() -> Double {
    guard longestRest > 0, Int.random(in: 0..<10_000, using: &random) == 0 else { return 0 }
    return Double.random(in: 0...longestRest, using: &random)
  }

  private mutating func send(_ row: Int, _ time: inout Double) {
    read(until: time)
    if buffered + rowSize > capacity(row) {
      // The server sleeps until there is room.
      time = max(time, nextRead ?? time)
      read(at: time)
      time += Self.unblockTime
    }
    buffered += rowSize
    oldest = oldest ?? time
    if nextRead == nil {
      time += wakeCost
      nextRead = max(time + Self.wakeTime, busyUntil)
    }
  }

  private mutating func read(until time: Double) {
    while let next = nextRead, next <= time { read(at: next) }
  }

  private mutating func read(at time: Double) {
    let count = buffered
    outcome.reads += 1
    buffered = 0
    if let oldest { outcome.longestWait = max(outcome.longestWait, time - oldest) }
    oldest = nil
    pace.read(count, at: start + .seconds(time))
    busyUntil = time + 3e-6 + Double(count) * byteCost
    nextRead = pace.readBy.map { max(($0 - start) / .seconds(1) + Self.timerSlack, busyUntil) }
  }
}
