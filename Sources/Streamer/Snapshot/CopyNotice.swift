import PGWire

/// What is told of a copy of existing rows to whoever reads a topic, in the shape of Debezium's
/// notifications.
struct CopyNotice: Hashable, Sendable {
  /// What has become of it; the raw values are Debezium's.
  enum Kind: String, Sendable {
    case started = "STARTED"
    case inProgress = "IN_PROGRESS"
    case tableScanCompleted = "TABLE_SCAN_COMPLETED"
    case completed = "COMPLETED"
    case paused = "PAUSED"
    case resumed = "RESUMED"
    case aborted = "ABORTED"

    /// Whether it says that a copy waits, or does so no longer.
    var isPause: Bool { self == .paused || self == .resumed }
  }

  /// How a table's copy has ended; the raw values are Debezium's.
  enum Scan: String, Sendable {
    case succeeded = "SUCCEEDED"
    case empty = "EMPTY"
    case skipped = "SKIPPED"
  }

  var kind: Kind
  var request: CopyRequest
  /// The names of the copy's tables.
  var tables: [String]
  /// The table that it is about, where it is about one.
  var table: TableProgress?
  /// How that table's copy has ended.
  var scan: Scan?
  /// When it came to be.
  var time = UTCTime.now

  /// What somebody's decision about a copy is told as; nil where it changes nothing.
  static func kind(of state: CopyRequest.State, after before: CopyRequest.State) -> Kind? {
    switch (state, before) {
    case (.stopped, _) where before != .stopped, (.failed, _) where before != .failed: .aborted
    case (.paused, .active): .paused
    case (.active, .paused): .resumed
    default: nil
    }
  }

  /// The copy's name: that of the signal that has asked for it, else its number.
  private var id: String {
    guard let mark = request.mark, let end = mark.firstIndex(of: " ") else {
      return "\(request.number)"
    }
    // LSN, name, and the table where a condition makes it one of several copies.
    let rest = mark[mark.index(after: end)...]
    let part = request.filter == nil ? "" : request.tables.joined()
    return rest.hasSuffix(" \(part)") ? String(rest.dropLast(part.count + 1)) : String(rest)
  }

  /// The record's key, by which all that is told of a copy goes to one partition.
  var key: [UInt8] {
    var json = JSONText()
    json.object { json in
      json.key("id")
      json.value(id)
    }
    return json.bytes
  }

  /// The record's value; `source` is the source's name.
  func value(source: String) -> [UInt8] {
    var json = JSONText()
    json.object { json in
      json.key("id")
      json.value(id)
      json.key("aggregate_type")
      json.value(
        request.number == CopyRequest.start ? "Initial Snapshot" : "Incremental Snapshot")
      json.key("type")
      json.value(kind.rawValue)
      json.key("additional_data")
      json.object { json in
        for (name, text) in details(source) {
          json.key(name)
          json.value(text)
        }
      }
      json.key("timestamp")
      json.value(time.microseconds / 1_000)
    }
    return json.bytes
  }

  private func details(_ source: String) -> [(String, String)] {
    var all = [
      ("connector_name", source), ("copy", "\(request.number)"),
      ("data_collections", tables.joined(separator: ",")),
    ]
    if let table {
      switch kind {
      case .inProgress: all.append(("current_collection_in_progress", table.name))
      default: all += [("scanned_collection", table.name), ("total_rows_scanned", "\(table.rows)")]
      }
    }
    if let scan { all.append(("status", scan.rawValue)) }
    if let error = request.error { all.append(("error", error)) }
    return all
  }
}

/// What a copy tells, and where: the records stand in the stream like rows that are read.
extension Snapshot {
  /// What is said of a copy.
  func notice(
    _ kind: CopyNotice.Kind, of request: CopyRequest, _ table: TableProgress? = nil,
    _ scan: CopyNotice.Scan? = nil
  ) -> CopyNotice {
    CopyNotice(
      kind: kind, request: request, tables: book.tables(of: request.number).map(\.name),
      table: table, scan: scan)
  }

  /// Somebody has decided about copies: that is told between two rounds.
  mutating func note(_ changed: [CopyRequest]) {
    for request in changed {
      guard let before = book[request.number],
        let kind = CopyNotice.kind(of: request.state, after: before.state)
      else { continue }
      // All of it has been read, which is told already.
      if kind != .aborted, book.hasEnded(request.number) { continue }
      notices.append(notice(kind, of: request))
    }
  }

  /// Tells that nothing is left of a copy, once all that is left is in the round.
  func tellEnd(of copy: CopyRequest, _ pipeline: inout Pipeline) {
    guard book.hasEnded(copy.number), copy.state == .active || copy.state == .paused else { return }
    pipeline.tell(notice(.completed, of: copy))
  }

  /// Tells that the first rows of a table come.
  func tellBegin(of table: SnapshotTable, _ request: Int, _ pipeline: inout Pipeline) {
    guard let copy = book[request], let index = book.index(of: table.relation.oid, in: request),
      book.tables[index].rows == 0
    else { return }
    pipeline.tell(notice(.inProgress, of: copy, book.tables[index]))
  }

  /// What was told may not have arrived.
  mutating func repeatNotices() {
    notices = telling + notices
    telling = []
    begun = nil
  }
}
