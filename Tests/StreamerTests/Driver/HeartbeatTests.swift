import PGWire
import Testing

@testable import Streamer

/// A heartbeat that an expectation may change.
private final class SomeHeartbeat {
  private var value: Heartbeat

  init(_ interval: Duration, now: ContinuousClock.Instant) {
    value = Heartbeat(interval: interval, now: now)
  }

  func begins(now: ContinuousClock.Instant) -> Bool { value.begins(now: now) }
  func answered(_ answer: Heartbeat.Answer) -> Heartbeat.Remark? { value.answered(answer) }
  func confirmed(_ lsn: LSN, now: ContinuousClock.Instant) -> Duration? {
    value.confirmed(lsn, now: now)
  }
  func waiting(_ numbers: [UInt64], now: ContinuousClock.Instant) -> ContinuousClock.Instant? {
    value.waiting(numbers, now: now)
  }
  func connected(now: ContinuousClock.Instant) { value.connected(now: now) }
  func disconnected() { value.disconnected() }
}

@Suite struct HeartbeatTests {
  private let start = ContinuousClock.now
  private let heartbeat: SomeHeartbeat

  init() { heartbeat = SomeHeartbeat(.seconds(10), now: start) }

  private func after(_ seconds: Int) -> ContinuousClock.Instant { start + .seconds(seconds) }

  @Test func `One is on its way at a time, and back when its place is confirmed`() {
    #expect(!heartbeat.begins(now: after(9)))
    #expect(heartbeat.begins(now: after(10)))
    #expect(!heartbeat.begins(now: after(20)))
    #expect(heartbeat.answered(.sent(LSN(100))) == nil)
    #expect(heartbeat.confirmed(LSN(99), now: after(11)) == nil)
    #expect(!heartbeat.begins(now: after(40)))
    #expect(heartbeat.confirmed(LSN(100), now: after(41)) == .seconds(31))
    #expect(heartbeat.confirmed(LSN(100), now: after(41)) == nil)
    #expect(heartbeat.begins(now: after(41)))
  }

  @Test func `It is waited for while nothing moves, from the last move on`() {
    #expect(heartbeat.waiting([1, 1], now: after(1)) == nil)
    #expect(heartbeat.begins(now: after(10)))
    _ = heartbeat.answered(.sent(LSN(100)))
    #expect(heartbeat.waiting([1, 1], now: after(30)) == after(10))
    // A backlog that is worked off is no silence.
    #expect(heartbeat.waiting([2, 1], now: after(35)) == after(35))
    #expect(heartbeat.waiting([2, 1], now: after(70)) == after(35))
    heartbeat.disconnected()
    #expect(heartbeat.waiting([2, 1], now: after(71)) == nil)
  }

  @Test func `What was written to a lost connection is not waited for`() {
    #expect(heartbeat.begins(now: after(10)))
    heartbeat.connected(now: after(11))
    #expect(heartbeat.answered(.sent(LSN(100))) == nil)
    #expect(heartbeat.waiting([], now: after(60)) == nil)
    #expect(heartbeat.begins(now: after(21)))
  }

  @Test func `A refusal is told once, and ends them until the next connection`() {
    let error = StreamerError(what: "source db", why: "permission denied")
    #expect(heartbeat.begins(now: after(10)))
    #expect(heartbeat.answered(.refused(error)) == .off(error))
    #expect(!heartbeat.begins(now: after(100)))
    heartbeat.connected(now: after(100))
    #expect(heartbeat.begins(now: after(110)))
    #expect(heartbeat.answered(.refused(error)) == nil)
  }

  @Test func `A failure is told once while it lasts, and a standby needs none`() {
    let error = StreamerError(what: "source db", why: "too many connections")
    for (time, answer, remark) in [
      (10, Heartbeat.Answer.failed(error), Heartbeat.Remark?.some(.failed(error))),
      (20, .failed(error), nil), (30, .notNow, nil), (40, .sent(LSN(1)), nil),
    ] {
      #expect(heartbeat.begins(now: after(time)))
      #expect(heartbeat.answered(answer) == remark, "\(time)")
    }
    #expect(heartbeat.confirmed(LSN(1), now: after(50)) != nil)
    #expect(heartbeat.begins(now: after(50)))
    #expect(heartbeat.answered(.failed(error)) == .failed(error))
  }

  @Test func `No interval means none`() {
    let none = SomeHeartbeat(.zero, now: start)
    #expect(!none.begins(now: after(1_000)))
  }

  @Test(arguments: [
    ("psql_streamer_heartbeat/slot", true), ("psql_streamer_heartbeat/", false),
    ("psql_streamer_heartbeat", false), ("psql_streamer_heartbeats", false), ("", false),
    ("Psql_streamer_heartbeat/x", false), ("x psql_streamer_heartbeat/slot", false),
  ])
  func `Only what bears the whole prefix is a heartbeat`(prefix: String, isOne: Bool) {
    let bytes = Array(prefix.utf8)
    let isFound = unsafe Heartbeat.isHeartbeat(bytes.span.bytes)
    #expect(isFound == isOne)
  }
}

@Suite struct WALGuardTests {
  private let start = ContinuousClock.now

  private func budget(_ sizes: Int...) -> WALBudget {
    WALBudget(
      warn: ByteSize(sizes[0]), pauseSnapshot: ByteSize(sizes[1]), stop: ByteSize(sizes[2]),
      dropSlot: sizes.count > 3 ? ByteSize(sizes[3]) : nil)
  }

  @Test func `Each step holds above its amount, and is told when it changes`() {
    var guardian = WALGuard(budget(10, 20, 30, 40))
    let looks: [(UInt64, WALGuard.Step, WALGuard.Step?)] = [
      (10, .none, nil), (11, .warn, WALGuard.Step.none), (20, .warn, nil),
      (21, .pauseSnapshot, .warn), (5, .none, .pauseSnapshot), (31, .stop, WALGuard.Step.none),
      (41, .dropSlot, .stop),
    ]
    for (index, (held, step, before)) in looks.enumerated() {
      let sight = guardian.look(held: held, safe: nil, now: start + .seconds(index))
      #expect(sight.step == step && sight.stepBefore == before, "\(held)")
      #expect(sight.secondsLeft == nil)
    }
    var none = WALGuard(WALBudget())
    let unlimited = none.look(held: .max, safe: nil, now: start)
    #expect(unlimited.step == .none)
  }

  @Test func `The growth tells how long the log that is safe lasts`() {
    var guardian = WALGuard(WALBudget())
    let first = guardian.look(held: 1_000, safe: 100_000, now: start)
    #expect(first.growth == nil)
    let second = guardian.look(held: 3_000, safe: 98_000, now: start + .seconds(10))
    #expect(second.growth == 200 && second.secondsLeft == 490 && second.hasBecomeShort)
    let third = guardian.look(held: 3_000, safe: 98_000, now: start + .seconds(20))
    #expect(third.growth == 100 && third.secondsLeft == 980 && !third.hasBecomeShort)
    // Beyond the limit there is no time left; while it falls there is no end of it.
    let over = guardian.look(held: 9_000, safe: -5, now: start + .seconds(30))
    #expect(over.secondsLeft == 0)
    let falling = guardian.look(held: 0, safe: 101_000, now: start + .seconds(40))
    #expect(falling.growth == -25 && falling.secondsLeft == nil)
  }

  @Test func `Only the last looks count`() {
    var guardian = WALGuard(WALBudget())
    for second in 0..<100 {
      _ = guardian.look(held: UInt64(second * 1_000), safe: nil, now: start + .seconds(second))
    }
    for second in 100..<200 {
      let sight = guardian.look(held: 99_000, safe: nil, now: start + .seconds(second))
      if second > 100 + Limits.slotLooks { #expect(sight.growth == 0) }
    }
  }
}
