/// A copy of existing rows, for whoever lists them.
struct CopyStatus: Hashable, Sendable {
  /// What becomes of it.
  enum State: String, CaseIterable, Sendable {
    case waiting, running, paused, done, stopped, failed
  }

  /// Its id.
  let number: Int
  /// The tables that were asked for, as patterns; empty for all.
  let patterns: [String]
  /// The condition for their rows.
  let filter: String?
  /// Whether it tells keys that have no row as deleted, instead of copying rows.
  let isOfGone: Bool
  let state: State
  /// What the server says of the condition.
  let error: String?
  /// How many tables it has, and how many of them are complete.
  let tables: Int
  let tablesDone: Int
  /// How many rows have been handed to the sinks.
  let rows: Int64

  init(_ request: CopyRequest, _ progress: [TableProgress], isCurrent: Bool) {
    number = request.number
    patterns = request.tables
    filter = request.filter
    isOfGone = request.keys != nil
    error = request.error
    tables = progress.count
    tablesDone = progress.count { $0.isDone }
    rows = progress.reduce(0) { $0 + $1.rows }
    let hasEnded = tables == tablesDone
    state =
      switch request.state {
      case .stopped: .stopped
      case .failed: .failed
      case .active, .paused:
        hasEnded ? .done : request.state == .paused ? .paused : isCurrent ? .running : .waiting
      }
  }

  /// Writes it as a value.
  func write(to json: inout JSONText, source: String) {
    json.object { json in
      json.key("source")
      json.value(source)
      json.key("id")
      json.value(UInt64(number))
      json.key("state")
      json.value(state.rawValue)
      json.key("tables")
      json.array { json in for pattern in patterns { json.value(pattern) } }
      json.key("where")
      json.value(filter)
      json.key("gone")
      json.value(isOfGone)
      json.key("tablesTotal")
      json.value(UInt64(tables))
      json.key("tablesDone")
      json.value(UInt64(tablesDone))
      json.key("rows")
      json.value(UInt64(max(rows, 0)))
      json.key("error")
      json.value(error)
    }
  }
}
