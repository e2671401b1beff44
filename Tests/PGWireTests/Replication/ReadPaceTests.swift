import PGWire
import Support
import Testing

@Suite struct ReadPaceTests {
  private let start = ContinuousClock.now

  @Test func aLoneTransactionIsNeverDelayed() {
    var pace = ReadPace()
    pace.read(300, at: start)
    #expect(pace.mode == .calm)
    #expect(pace.readBy == nil)
  }

  @Test func manyBytesInAWindowBeginABurst() {
    var pace = ReadPace()
    pace.read(40_000, at: start)
    pace.read(40_000, at: start + .milliseconds(9))
    #expect(pace.mode == .burst)
    #expect(pace.readBy == start + .milliseconds(9) + ReadPace.firstPause)
  }

  @Test func theSameBytesOverALongerTimeDoNot() {
    var pace = ReadPace()
    for step in 0..<20 { pace.read(30_000, at: start + .milliseconds(11 * step)) }
    #expect(pace.mode == .calm)
  }

  @Test func manyWakeUpsInAWindowBeginADrizzle() throws {
    var pace = ReadPace()
    var now = start
    for _ in 0..<ReadPace.drizzleReads {
      #expect(pace.mode == .calm)
      pace.read(200, at: now)
      now += .microseconds(100)
    }
    #expect(pace.pause == ReadPace.drizzlePause)
    // As long as most pauses find something it goes on, and never longer than that.
    for _ in 0..<300 {
      now = try #require(pace.readBy)
      pace.read(400, at: now)
      #expect(try #require(pace.pause) <= ReadPace.drizzlePause)
    }
    // Few that do end it.
    for _ in 0..<30 {
      pace.read(200, at: now)
      now += .milliseconds(5)
    }
    #expect(pace.pause == nil)
  }

  @Test func aDrizzleThatBringsMuchBecomesABurst() throws {
    var pace = ReadPace()
    var now = start
    for _ in 0..<ReadPace.drizzleReads {
      pace.read(200, at: now)
      now += .microseconds(100)
    }
    for _ in 0..<400 {
      let next = try #require(pace.readBy)
      pace.read(Int((next - now) / .microseconds(1)) * 20, at: next)
      now = next
    }
    #expect(try #require(pace.pause) > ReadPace.drizzlePause)
  }

  /// The server may only have rested: the next byte wakes, and the burst goes on behind it.
  @Test func aReadThatFindsNothingWaitsForTheFirstByte() {
    var pace = ReadPace()
    pace.read(100_000, at: start)
    pace.read(0, at: start + .milliseconds(2))
    #expect(pace.mode == .calm)
    #expect(pace.readBy == nil)
    #expect(pace.pause != nil)
    pace.read(300, at: start + .milliseconds(5))
    #expect(pace.mode == .burst)
  }

  @Test func littleForALongerTimeEndsABurst() throws {
    var pace = ReadPace()
    pace.read(100_000, at: start)
    var now = start
    while let next = pace.readBy {
      try #require(next < start + ReadPace.memory + ReadPace.longestPause)
      now = next
      pace.read(1000, at: now)
    }
    #expect(now >= start + ReadPace.memory)
    #expect(pace.mode == .calm)
    #expect(pace.pause == nil)
  }

  /// A reader that is itself too slow finds the buffers full whatever the pause: it must not conclude
  /// that the pause has to be the shortest.
  @Test func aSlowReaderKeepsItsPause() throws {
    var pace = ReadPace()
    var now = start
    for _ in 0..<500 {
      now += .milliseconds(30)
      pace.read(1 << 20, at: now)
    }
    #expect(try #require(pace.pause) >= ReadPace.firstPause)
  }
}

/// The pace against a model of server and buffers.
@Suite struct ReadPaceSimulationTests {
  /// Buffers from those of a Unix socket, where small messages count much more than their bytes, to
  /// TCP's largest by default.
  private static let capacities = [
    52 << 10, 128 << 10, 400 << 10, 1 << 20, 2 << 20, 4 << 20, 6 << 20,
  ]

  /// The server is never slower than without a reader by more than a little.
  @Test(arguments: [10e6, 50e6, 100e6, nil] as [Double?], capacities)
  func theServerIsNotHeldUp(offered: Double?, capacity: Int) {
    for seed in 1...2 as ClosedRange<UInt64> {
      for longestRest in [0, 5e-3] {
        var simulation = ReadPaceSimulation(seed: seed, offered: offered) { _ in capacity }
        if offered == 100e6 { simulation.rowCost = 1.2e-6 }
        simulation.longestRest = longestRest
        let rows = 100_000
        let outcome = simulation.run(rows: rows)
        let ratio = outcome.seconds / outcome.ideal
        #expect(ratio < 1.1, "seed \(seed), rests \(longestRest)")
        #expect(outcome.reads < rows / 20, "seed \(seed), rests \(longestRest)")
        #expect(outcome.longestWait < 0.025, "seed \(seed), rests \(longestRest)")
      }
    }
  }

  /// At a rate that is no burst each row is read as it comes.
  @Test(arguments: capacities) func aModestRateIsReadAtOnce(capacity: Int) {
    var simulation = ReadPaceSimulation(seed: 1, offered: 1e6) { _ in capacity }
    let outcome = simulation.run(rows: 20_000)
    #expect(outcome.longestWait < 100e-6)
  }

  /// Where a wake-up costs so much that a reader which is always woken never sees many bytes in a
  /// short time, it lets the server be all the same.
  @Test(arguments: capacities) func wakeUpsHoldNoServerBack(capacity: Int) {
    var simulation = ReadPaceSimulation(seed: 1) { _ in capacity }
    simulation.wakeCost = 100e-6
    let outcome = simulation.run(rows: 100_000)
    #expect(outcome.seconds / outcome.ideal < 1.2)
    #expect(outcome.reads < 5000)
  }

  /// A single commit, from the middle of a flood to long behind it.
  @Test(arguments: [0, 0.001, 0.005, 0.03, 0.1, 1], capacities)
  func aSingleCommitAfterAFlood(silence: Double, capacity: Int) {
    var simulation = ReadPaceSimulation(seed: 1) { _ in capacity }
    let outcome = simulation.run(rows: 100_000, thenOneAfter: silence)
    #expect(outcome.lastWait < (silence >= 0.03 ? 200e-6 : 0.025))
  }

  /// TCP moves its buffers while it runs; what was learnt is unlearnt.
  @Test(arguments: [(128 << 10, 4 << 20), (4 << 20, 128 << 10), (6 << 20, 1 << 20)])
  func buffersThatChange(before: Int, after: Int) {
    let rows = 600_000
    var simulation = ReadPaceSimulation(seed: 1) { $0 < rows / 2 ? before : after }
    let outcome = simulation.run(rows: rows)
    #expect(outcome.seconds / outcome.ideal < 1.1)
    #expect(outcome.reads < rows / 100)
  }

  /// A reader that needs longer than the server finds nothing more to gain, and loses nothing.
  @Test func aReaderThatIsTheSlowerOne() {
    var simulation = ReadPaceSimulation(seed: 1) { _ in 1 << 20 }
    simulation.byteCost = 30e-9
    let rows = 300_000
    let outcome = simulation.run(rows: rows)
    let own = Double(rows * simulation.rowSize) * simulation.byteCost
    #expect(outcome.seconds < own * 1.05)
  }
}
