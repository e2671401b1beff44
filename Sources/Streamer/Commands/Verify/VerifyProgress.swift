import PGWire

/// How far `verify` is, on standard error.
///
/// It is a line that is written over and over on a terminal, and now and then one elsewhere. It also keeps the rate, and hears signals.
final class VerifyProgress {
  private let interruption: Interruption
  private let rate: Int?
  private let isLive: Bool
  private var step = ""
  /// How many rows and records there are, as far as anybody knows.
  private var total: Int64 = 0
  /// How many of them are behind us.
  private var done: Int64 = 0
  /// How many were at the end of the last part.
  private var settled: Int64 = 0
  /// How many were read since the step began, which the rate counts.
  private var read: Int64 = 0
  private var began = ContinuousClock.now
  private var next: ContinuousClock.Instant

  /// Reads `rate` rows and records in a second at most; nil for as many as there come.
  init(rate: Int?) throws(StreamerError) {
    interruption = try Interruption()
    self.rate = rate
    isLive = LiveLine.isPossible
    next = isLive ? .now : .now + Limits.verifyLine
  }

  /// Ends waits for a server once a signal has come.
  var breaker: WaitBreaker { interruption.breaker }

  /// Another sink begins, with so many rows and records.
  func start(total: Int64) {
    self.total = total
    done = 0
    settled = 0
  }

  /// So many were read by an earlier run.
  func skip(_ count: Int64) {
    done += count
    settled = done
  }

  /// A part is done that was believed to have so many.
  func settle(_ count: Int64) {
    settled += count
    done = settled
  }

  /// Something else begins.
  func begin(_ step: String) {
    self.step = step
    read = 0
    began = .now
  }

  /// That much more is done; throws when a signal has come.
  func advance(_ count: Int) throws(StreamerError) {
    done += Int64(count)
    read += Int64(count)
    try interruption.check()
    show()
    guard let rate, count > 0 else { return }
    let due = began + .seconds(Double(read) / Double(rate))
    if due > .now { try interruption.pause(due - .now) }
  }

  /// Waits, and throws when a signal has come.
  func pause(_ time: Duration) throws(StreamerError) {
    show()
    try interruption.pause(time)
  }

  /// Says something that is no part of the report.
  func note(_ line: String) {
    LiveLine.end()
    Terminal.note(line)
  }

  /// Takes the line away.
  func end() { LiveLine.end() }

  private func show() {
    guard .now >= next else { return }
    next = .now + (isLive ? Limits.redraw : Limits.verifyLine)
    if isLive { LiveLine.show(line) } else { Terminal.note(line) }
  }

  /// "reading the tables  [#####.....]  1200 of about 2400".
  private var line: String {
    guard total > 0 else { return done > 0 ? "\(step)  \(done)" : step }
    let bar = ProgressBar.text(Double(done) / Double(total))
    return "\(step)  \(bar)  \(done) of about \(max(total, done))"
  }
}
