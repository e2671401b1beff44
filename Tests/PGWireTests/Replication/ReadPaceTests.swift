import PGWire
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
    #expect(pace.readBy == start + .milliseconds(9) + ReadPace.gulp)
  }

  @Test func theSameBytesOverALongerTimeDoNot() {
    var pace = ReadPace()
    for step in 0..<20 { pace.read(30_000, at: start + .milliseconds(11 * step)) }
    #expect(pace.mode == .calm)
  }

  @Test func oneThinGulpDoesNotEndABurstButSeveralDo() {
    var pace = ReadPace()
    pace.read(100_000, at: start)
    for gulp in 1..<ReadPace.thinGulps { pace.read(1000, at: start + ReadPace.gulp * gulp) }
    #expect(pace.mode == .burst)
    pace.read(1000, at: start + ReadPace.gulp * ReadPace.thinGulps)
    #expect(pace.mode == .calm)
    #expect(pace.readBy == nil)
  }

  @Test func aFullGulpStartsTheCountAnew() {
    var pace = ReadPace()
    pace.read(100_000, at: start)
    for gulp in 1...20 {
      pace.read(gulp % 2 == 0 ? 70_000 : 1000, at: start + ReadPace.gulp * gulp)
    }
    #expect(pace.mode == .burst)
  }
}
