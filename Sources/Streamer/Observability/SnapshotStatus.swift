/// How far a copy of existing rows is, for `/status`, metrics, the log and a terminal.
struct SnapshotStatus: Hashable, Sendable {
  /// How many tables are copied in all, and how many of them are complete.
  var tables = 0
  var tablesDone = 0
  /// How many rows have been handed to the sinks since the copy began.
  var rows: Int64 = 0
  /// How many bytes of rows this process has read for it, as the server writes them.
  var bytes: Int64 = 0
  /// How many rows there are, as the server believes; nil while it has counted none of a table that is
  /// left.
  var estimatedRows: Int64?
  /// The table that is read, or will be next; nil when all are complete.
  var table: String?
  /// How often the stream was paused for rows, and how long.
  var pauses = CopyPauses()
  /// How many rows came in a second lately; nil where that cannot be said.
  var rowsPerSecond: Double?
  /// Whether somebody has paused it.
  var isPaused = false

  /// Whether tables are left, and nobody has paused it.
  var isUnderWay: Bool { tablesDone < tables && !isPaused }

  /// How much of it is done, below 1; nil where the server's estimate says nothing, or less than there
  /// is.
  var fraction: Double? {
    guard tablesDone < tables, let estimatedRows, estimatedRows > rows else { return nil }
    return Double(rows) / Double(estimatedRows)
  }

  /// The same in whole percent.
  var percent: Int? { fraction.map { Int($0 * 100) } }

  /// How long the rest will take if the server's estimate is right and the pace stays, in seconds.
  var secondsLeft: Double? {
    guard isUnderWay, let estimatedRows, estimatedRows > rows, let rowsPerSecond else { return nil }
    return Double(estimatedRows - rows) / rowsPerSecond
  }

  /// Writes it as a value.
  func write(to json: inout JSONText) {
    json.object { json in
      json.key("tables")
      json.value(UInt64(tables))
      json.key("tablesDone")
      json.value(UInt64(tablesDone))
      json.key("table")
      json.value(table)
      json.key("rows")
      json.value(UInt64(max(rows, 0)))
      json.key("estimatedRows")
      json.plain(estimatedRows?.description ?? "null")
      json.key("percent")
      json.plain(percent?.description ?? "null")
      json.key("secondsLeft")
      json.plain(secondsLeft.map { Int64($0.rounded(.up)) }?.description ?? "null")
      json.key("bytes")
      json.value(UInt64(max(bytes, 0)))
      json.key("paused")
      json.value(isPaused)
      json.key("rounds")
      json.value(pauses.count)
      json.key("pauseSeconds")
      json.plain(Self.milliseconds(pauses.last))
      json.key("longestPauseSeconds")
      json.plain(Self.milliseconds(pauses.longest))
    }
  }

  private static func milliseconds(_ duration: Duration) -> String {
    ((duration.inSeconds * 1000).rounded() / 1000).description
  }
}
