import Testing

@testable import Streamer

/// What systemd is told (U18).
@Suite struct ManagerNoticesTests {
  private let now = ContinuousClock.now

  private func sight(
    isIn: Bool = false, isDecided: Bool = false, turns: UInt64? = 0
  ) -> ManagerNotices.Sight {
    ManagerNotices.Sight(isIn: isIn, isDecided: isIn || isDecided, turns: turns)
  }

  @Test func readyComesOnceAndNotBeforeEachSourceIsDecided() {
    var notices = ManagerNotices(watchdog: nil, now: now)
    func say(_ sights: [ManagerNotices.Sight], _ status: String = "s") -> String? {
      notices.message(sights, status: status, isStopping: false, now: now)
    }
    #expect(say([sight(), sight()]) == "STATUS=s")
    #expect(say([sight(isIn: true), sight()]) == nil, "the other one is still at it")
    #expect(say([sight(isIn: true), sight(isDecided: true)]) == "READY=1")
    #expect(say([sight(isIn: true), sight(isIn: true)]) == nil)
    #expect(say([sight(isIn: true), sight(isIn: true)], "t") == "STATUS=t")
  }

  @Test func nobodyIsReadyWhenAllHaveFailed() {
    var notices = ManagerNotices(watchdog: nil, now: now)
    let failed = sight(isDecided: true)
    #expect(notices.message([failed, failed], status: "", isStopping: false, now: now) == nil)
    // Nor once it stops, although changes have flowed.
    #expect(
      notices.message([sight(isIn: true)], status: "", isStopping: true, now: now) == "STOPPING=1")
    #expect(notices.message([sight(isIn: true)], status: "", isStopping: true, now: now) == nil)
  }

  @Test func aThreadThatHangsGivesNoSignOfLife() {
    let second = Duration.seconds(1)
    var notices = ManagerNotices(watchdog: second * 10, now: now)
    func say(_ turns: [UInt64?], after seconds: Int) -> String? {
      notices.message(
        turns.map { sight(turns: $0) }, status: "", isStopping: false, now: now + second * seconds)
    }
    #expect(say([1, 1], after: 0) == "WATCHDOG=1")
    #expect(say([2, 2], after: 4) == nil, "half of the time is not over")
    #expect(say([3, 3], after: 5) == "WATCHDOG=1")
    #expect(say([4, 3], after: 10) == nil, "the second one hangs")
    #expect(say([5, 3], after: 11) == nil)
    #expect(say([6, 4], after: 12) == "WATCHDOG=1", "it did not hang after all")
    #expect(say([7, nil], after: 17) == "WATCHDOG=1", "one that has ended is not missed")
    #expect(say([8, nil], after: 22) == "WATCHDOG=1")
    #expect(notices.pause == second)
    #expect(ManagerNotices(watchdog: second, now: now).pause == .milliseconds(250))
  }

  @Test func statusIsOneLineOfLimitedLength() {
    let record = StateRecord(state: .retrying, since: .now, error: "a\nb")
    let good = StateRecord(state: .streaming, since: .now, error: nil)
    let text = ManagerNotices.status([("source x\u{1B}", record), ("sink y", good)])
    #expect(text.hasSuffix("; sink y: streaming") && text.contains(": retrying (a"))
    #expect(!text.contains("\n") && !text.contains("\u{1B}"))
    let named = StateRecord(state: .retrying, since: .now, error: "source x: refused")
    #expect(ManagerNotices.status([("source x", named)]) == "source x: retrying (refused)")
    let long = StateRecord(
      state: .failed, since: .now, error: String(repeating: "x", count: 100_000))
    #expect(ManagerNotices.status([("z", long)]).count == Limits.managerStatus)
  }
}
