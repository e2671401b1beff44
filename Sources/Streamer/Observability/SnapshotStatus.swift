/// How far a copy of existing rows is, for `/status` and metrics.
struct SnapshotStatus: Hashable, Sendable {
  /// How many tables are copied in all, and how many of them are complete.
  var tables = 0
  var tablesDone = 0
  /// How many rows have been handed to the sinks since the copy began.
  var rows: Int64 = 0
  /// How many there are, as the server believes; nil while it has counted none of a table that is left.
  var estimatedRows: Int64?
  /// The table that is read, or will be next; nil when all are complete.
  var table: String?
  /// How often the stream was paused for rows, and how long it was the last time, in seconds.
  var rounds: UInt64 = 0
  var pauseSeconds = 0.0

  /// Whether somebody has paused it.
  var isPaused = false

  /// Whether tables are left, and nobody has paused it.
  var isUnderWay: Bool { tablesDone < tables && !isPaused }

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
      json.key("paused")
      json.value(isPaused)
      json.key("rounds")
      json.value(rounds)
      json.key("pauseSeconds")
      json.plain(((pauseSeconds * 1000).rounded() / 1000).description)
    }
  }
}
