import Testing

@testable import Streamer

@Suite struct RivalryTests {
  private let start = ContinuousClock.now
  private let error = StreamerError(what: "sink x", why: "fenced", retryable: true, cause: .fenced)

  /// An expired transaction fences too, but only after it was open for long.
  @Test func onlyARivalFencesTwiceAtOnce() {
    let rivalry = Rivalry()
    rivalry.begun(now: start)
    #expect(rivalry.judged(error, now: start + .seconds(1)) == error)
    rivalry.begun(now: start + .seconds(2))
    #expect(rivalry.judged(error, now: start + .seconds(20)) == error)
    rivalry.begun(now: start + .seconds(21))
    #expect(rivalry.judged(error, now: start + .seconds(22)) == error)
    rivalry.begun(now: start + .seconds(23))
    let final = rivalry.judged(error, now: start + .seconds(24))
    #expect(final.exit == .fenced && !final.isRetryable)
  }

  /// Who was left alone in between has no rival, whatever happens months later.
  @Test func timeInBetweenIsPeace() {
    let rivalry = Rivalry()
    rivalry.begun(now: start)
    #expect(rivalry.judged(error, now: start + .seconds(1)) == error)
    rivalry.begun(now: start + .seconds(2))
    rivalry.begun(now: start + .seconds(9_000))
    #expect(rivalry.judged(error, now: start + .seconds(9_001)) == error)
  }
}
