/// The line on a terminal that says how far copies of existing rows are.
struct CopyLine {
  typealias Instant = ContinuousClock.Instant

  private var isPossible: Bool
  /// What was seen last of the copies that are under way, and since when they are; nil when none is.
  private var shown: (status: SnapshotStatus, since: Instant)?
  /// When it is to be looked again; nil where there is no terminal for it.
  private(set) var next: Instant?

  /// Makes one that is shown on a terminal; `printsRows` says that standard output gets rows, which
  /// must not be on the same one.
  init(printsRows: Bool) {
    isPossible = LiveLine.isPossible && !(printsRows && Terminal.isInteractive)
    next = isPossible ? .now : nil
  }

  /// Whether it is shown.
  var isShown: Bool { shown != nil }

  /// Shows how far they are.
  ///
  /// When none is under way any more, takes the line away, and says what was copied unless something
  /// is left.
  @discardableResult
  mutating func look(
    _ statuses: [SnapshotStatus?], now: Instant = .now
  ) -> (status: SnapshotStatus, time: Duration)? {
    guard isPossible else { return nil }
    let all = statuses.compactMap(\.self)
    let underWay = all.filter(\.isUnderWay)
    guard !underWay.isEmpty else {
      next = now + Limits.lineLook
      guard let last = shown.take() else { return nil }
      LiveLine.end()
      let isComplete = all.allSatisfy { $0.tables == $0.tablesDone }
      return isComplete ? (Self.sum(all), now - last.since) : nil
    }
    next = now + Limits.redraw
    let sum = Self.sum(underWay)
    shown = (sum, shown?.since ?? now)
    LiveLine.show(Self.text(sum, width: LiveLine.width))
    return nil
  }

  /// Takes the line away for good.
  mutating func end() {
    shown = nil
    next = nil
    isPossible = false
    LiveLine.end()
  }

  /// What several copies make together.
  static func sum(_ statuses: [SnapshotStatus]) -> SnapshotStatus {
    guard var sum = statuses.first else { return SnapshotStatus() }
    for status in statuses.dropFirst() {
      sum.tables += status.tables
      sum.tablesDone += status.tablesDone
      sum.rows += status.rows
      sum.bytes += status.bytes
      if let one = sum.estimatedRows, let other = status.estimatedRows {
        sum.estimatedRows = one + other
      } else {
        sum.estimatedRows = nil
      }
      if let one = sum.rowsPerSecond, let other = status.rowsPerSecond {
        sum.rowsPerSecond = one + other
      } else {
        sum.rowsPerSecond = nil
      }
      if status.pauses.last > sum.pauses.last { sum.pauses = status.pauses }
    }
    return sum
  }

  /// How far it is in one line: what matters less is left out where the line is too short.
  static func text(_ status: SnapshotStatus, width: Int) -> String {
    var parts = ["copying existing rows"]
    if let fraction = status.fraction, let percent = status.percent {
      parts.append("\(ProgressBar.text(fraction))  about \(percent)%")
    }
    parts.append("\(status.tablesDone) of \(status.tables) tables")
    if status.fraction != nil, let rows = status.estimatedRows {
      parts.append("\(status.rows) of about \(rows) rows")
    } else {
      parts.append("\(status.rows) rows")
    }
    if let seconds = status.secondsLeft { parts.append("about \(time(seconds)) left") }
    parts.append(ByteSize(Int(clamping: status.bytes)).rounded)
    if status.pauses.count > 0 {
      parts.append("changes waited \(DurationText.text(status.pauses.last))")
    }
    var text = parts.removeFirst()
    for part in parts where text.count + 2 + part.count <= width { text += "  \(part)" }
    return text
  }

  /// What was copied, and how long it took.
  static func summary(_ status: SnapshotStatus, _ time: Duration) -> String {
    "copied \(status.tables) tables, \(status.rows) rows, "
      + "\(ByteSize(Int(clamping: status.bytes)).rounded) in \(DurationText.text(time))"
  }

  /// A time that is not known well, for people: "40s", "12min", "3h".
  static func time(_ seconds: Double) -> String {
    switch seconds {
    case ..<100: "\(Int(max(seconds, 1).rounded()))s"
    case ..<5_400: "\(Int((seconds / 60).rounded()))min"
    default: "\(Int(min(seconds / 3_600, 1e6).rounded()))h"
    }
  }
}
