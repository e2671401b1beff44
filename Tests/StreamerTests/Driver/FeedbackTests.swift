import PGWire
import Testing

@testable import Streamer

@Suite struct FeedbackTests {
  private let start = ContinuousClock.now

  private func feedback(_ saved: [LSN], walRetain: UInt64 = 0) -> Feedback {
    Feedback(
      saved: saved, saveInterval: .seconds(1), statusInterval: .seconds(10),
      walRetain: walRetain, now: start)
  }

  @Test func savesFirstAndAcknowledgesSecond() throws {
    var feedback = feedback([LSN(10)])
    feedback.connected(statusInterval: .seconds(10), now: start)
    #expect(feedback.status(sent: LSN(100), now: start)?.flushed == LSN(10))
    #expect(feedback.positionsToSave([LSN(50)], atOnce: true, now: start) == [LSN(50)])
    feedback.statusRequested()
    #expect(feedback.status(sent: LSN(100), now: start)?.flushed == LSN(10), "not saved yet")
    feedback.saveEnded([LSN(50)], true)
    let answer = feedback.status(sent: LSN(100), now: start)
    let status = try #require(answer)
    #expect(status.flushed == LSN(50))
    #expect(status.written == LSN(100))
  }

  @Test func aSaveThatFailedAcknowledgesNothing() {
    var feedback = feedback([LSN(10)])
    _ = feedback.positionsToSave([LSN(50)], atOnce: true, now: start)
    feedback.saveEnded([LSN(50)], false)
    feedback.statusRequested()
    #expect(feedback.status(sent: LSN(100), now: start)?.flushed == LSN(10))
    let soon = feedback.positionsToSave([LSN(50)], atOnce: true, now: start)
    #expect(soon == nil, "a full disk is not tried at every turn")
    let later = start + .seconds(1)
    #expect(feedback.positionsToSave([LSN(50)], atOnce: true, now: later) == [LSN(50)], "again")
  }

  @Test func acknowledgesTheLeastOfTheSinksAndNeverMoreThanTheServerSent() {
    let feedback = feedback([LSN(300), LSN(200)])
    #expect(feedback.acknowledgeable(sent: LSN(1000)) == LSN(200))
    #expect(feedback.acknowledgeable(sent: LSN(150)) == LSN(150))
  }

  @Test func walRetainOnlyLowers() {
    #expect(feedback([LSN(200)], walRetain: 50).acknowledgeable(sent: LSN(999)) == LSN(150))
    #expect(feedback([LSN(200)], walRetain: 500).acknowledgeable(sent: LSN(999)) == .zero)
  }

  @Test func waitsForTheIntervalOrEnoughBytes() {
    var feedback = feedback([LSN(10)])
    #expect(feedback.positionsToSave([LSN(20)], atOnce: false, now: start) == nil)
    feedback.delivered(bytes: Limits.saveAfterBytes)
    #expect(feedback.positionsToSave([LSN(20)], atOnce: false, now: start) == [LSN(20)])
    feedback.saveEnded([LSN(20)], true)
    let later = start + .seconds(1)
    #expect(feedback.positionsToSave([LSN(30)], atOnce: false, now: later) == [LSN(30)])
  }

  @Test func aStatusIsDueByTimeAlone() {
    var feedback = feedback([LSN(10)])
    #expect(feedback.status(sent: LSN(20), now: start + .seconds(9)) == nil)
    #expect(feedback.status(sent: LSN(20), now: start + .seconds(10)) != nil)
    feedback.heard(now: start + .seconds(10))
    #expect(feedback.statusDeadline == start + .seconds(20))
    #expect(feedback.saveDeadline([LSN(10)]) == nil, "nothing has moved")
    #expect(feedback.saveDeadline([LSN(11)]) == start + .seconds(1))
  }

  @Test func neverGoesBackOnOneConnection() {
    var feedback = feedback([LSN(100)])
    feedback.statusRequested()
    #expect(feedback.status(sent: LSN(100), now: start)?.flushed == LSN(100))
    feedback.statusRequested()
    #expect(feedback.status(sent: LSN(90), now: start)?.flushed == LSN(100))
  }

  @Test func aSilentServerIsAskedAndThenGivenUp() {
    var feedback = feedback([LSN(10)])
    feedback.connected(statusInterval: .seconds(3), now: start)
    var now = start
    var asked: [Duration] = []
    while !feedback.isSilent(now: now), now < start + .seconds(100) {
      if feedback.status(sent: LSN(20), now: now)?.replyRequested == true {
        asked.append(now - start)
      }
      now += .seconds(1)
    }
    #expect(asked == [.seconds(10), .seconds(20), .seconds(30)])
    #expect(now - start == .seconds(40))
    feedback.heard(now: now)
    #expect(!feedback.isSilent(now: now), "any byte is a sign of life")
    #expect(feedback.status(sent: LSN(20), now: now + .seconds(10))?.replyRequested == true)
  }

  @Test func anAnswerFromBeforeARestartChangesNothing() {
    var feedback = feedback([LSN(10)])
    _ = feedback.positionsToSave([LSN(50)], atOnce: true, now: start)
    feedback.restart(at: [LSN(20)])
    feedback.saveEnded([LSN(50)], true)
    #expect(feedback.saved == [LSN(20)])
    // It may have been written over what the start has stored, which is stored again at once.
    #expect(!feedback.isSaved([LSN(20)]) && feedback.saveDeadline([LSN(20)]) != nil)
    #expect(feedback.positionsToSave([LSN(20)], atOnce: false, now: start) == [LSN(20)])
    feedback.saveEnded([LSN(20)], true)
    #expect(feedback.isSaved([LSN(20)]))
    #expect(feedback.positionsToSave([LSN(20)], atOnce: true, now: start) == nil)
  }

  /// What the server may forget is behind neither of the two.
  @Test func aSaveThatMayComeLaterHoldsTheAcknowledgementBack() {
    var feedback = feedback([LSN(10)])
    _ = feedback.positionsToSave([LSN(15)], atOnce: true, now: start)
    feedback.restart(at: [LSN(20)])
    #expect(feedback.acknowledgeable(sent: LSN(100)) == LSN(15))
    _ = feedback.positionsToSave([LSN(20)], atOnce: false, now: start)
    feedback.saveEnded([LSN(20)], true)
    #expect(feedback.acknowledgeable(sent: LSN(100)) == LSN(20))
  }
}
