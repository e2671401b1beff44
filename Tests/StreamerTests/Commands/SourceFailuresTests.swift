import Glibc
import Testing

@testable import Streamer

/// One source's trouble stays with it (U10, A11), and what the process ends with (U9).
@Suite struct SourceFailuresTests {
  private let now = ContinuousClock.now
  private let passing = StreamerError(what: "x", exit: .failure, retryable: true)
  private let lasting = StreamerError(what: "x", exit: .preflight)

  private func failures(_ isolates: Bool = true, timeout: Duration? = nil) -> SourceFailures {
    SourceFailures(isolates: isolates, startTimeout: timeout, now: now)
  }

  @Test func othersGoOnOrStop() {
    for isolates in [true, false] {
      for hadStarted in [true, false] {
        var failures = failures(isolates)
        let isToBeSaid = failures.failed(lasting, hadStarted: hadStarted)
        #expect(isToBeSaid == !hadStarted)
        #expect(failures.isStopping == !isolates)
        #expect(failures.code == (hadStarted ? 1 : 3))
      }
    }
  }

  /// A restart would not help, and would shut the other process out again.
  @Test func aRivalEndsItWithFourWheneverItIsFound() {
    var failures = failures()
    let isUntold = failures.failed(
      StreamerError(what: "sink x", exit: .fenced, cause: .fenced), hadStarted: true)
    #expect(!isUntold && failures.code == 4)
  }

  @Test func whatMayPassComesFirst() {
    var failures = failures()
    _ = failures.failed(lasting, hadStarted: false)
    #expect(failures.code == 3)
    _ = failures.failed(passing, hadStarted: false)
    #expect(failures.code == 1)
    _ = failures.failed(lasting, hadStarted: false)
    #expect(failures.code == 1)
  }

  @Test func aStartIsGivenUpWhenNobodyCameThrough() {
    let out = SourceFailures.Sight(isIn: false, trouble: "refused")
    let trying = SourceFailures.Sight(isIn: false, trouble: nil)
    let through = SourceFailures.Sight(isIn: true, trouble: nil)
    let (due, later) = (now + .seconds(10), now + .seconds(11))
    var failures = failures(timeout: .seconds(10))
    var said = failures.expired([("a", out)], now: now)
    #expect(said == [])
    // Whoever is still at the first attempt is waited for.
    said = failures.expired([("a", out), ("b", trying)], now: due)
    #expect(said == [])
    #expect(!failures.isStopping && failures.deadline != nil)
    var others = failures
    said = others.expired([("a", out), ("b", through)], now: later)
    #expect(said == [])
    #expect(!others.isStopping && others.deadline == nil)
    said = failures.expired([("a", out), ("b", out)], now: later)
    #expect(said == ["refused", "refused"])
    #expect(failures.isStopping && failures.code == 1)
  }

  @Test(arguments: [ENOSPC, EDQUOT, EADDRINUSE, EMFILE, ENOMEM])
  func whatPassesByItselfEndsWithOne(_ code: CInt) {
    #expect(StreamerError(errno: code, "x", exit: .preflight).exit == .failure)
    #expect(StreamerError(errno: EACCES, "x", exit: .preflight).exit == .preflight)
  }

  @Test func checkEndsAsRunWould() {
    var report = CheckReport()
    report.add(.init("a", "b", .warn, ""))
    #expect(report.exit == .done)
    report.add("a", "b", passing)
    #expect(report.exit == .failure)
    report.add(.init("a", "b", .fail, ""))
    #expect(report.exit == .preflight)
  }
}
