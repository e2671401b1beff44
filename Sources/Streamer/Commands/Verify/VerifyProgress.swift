import PGWire

/// How far `verify` is, on standard error.
///
/// It is a line that is written over and over on a terminal, and now and then one elsewhere. It also keeps the rate, and hears signals.
final class VerifyProgress {
  private let interruption: Interruption
  private let rate: Int?
  private let isLive: Bool
  private var step = ""
  private var total: Int64 = 0
  private var done: Int64 = 0
  private var began = ContinuousClock.now
  private var next = ContinuousClock.now

  /// Reads `rate` rows and records in a second at most; nil for as many as there come.
  init(rate: Int?) throws(StreamerError) {
    interruption = try Interruption()
    self.rate = rate
    isLive = LiveLine.isPossible
  }

  /// Ends waits for a server once a signal has come.
  var breaker: WaitBreaker { interruption.breaker }

  /// Something else begins.
  func begin(_ step: String, total: Int64) {
    self.step = step
    self.total = total
    done = 0
    began = .now
    next = isLive ? .now : .now + Limits.verifyLine
  }

  /// That much more is done; throws when a signal has come.
  func advance(_ count: Int) throws(StreamerError) {
    done += Int64(count)
    try interruption.check()
    show()
    guard let rate, count > 0 else { return }
    let due = began + .seconds(Double(done) / Double(rate))
    if due > .now { try interruption.pause(due - .now) }
  }

  /// Waits, and throws when a signal has come.
  func pause(_ time: Duration) throws(StreamerError) {
    show()
    try interruption.pause(time)
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
