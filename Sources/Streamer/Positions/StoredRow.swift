import PGWire

/// The rows of a position store: written with a checksum, and read only when it fits.
enum StoredRow {
  typealias Value = SQLiteDatabase.Value
  typealias Statement = SQLiteDatabase.Statement

  // MARK: - Writing

  /// Stores a position in place of the one before.
  static func upsert(_ position: Position) -> Statement {
    Statement(
      """
      INSERT OR REPLACE INTO position
        (source, sink, system_identifier, timeline, database, slot, publications, lsn, checksum)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
      """,
      checked([
        .text(position.source), .text(position.sink), .text(position.systemIdentifier),
        .integer(Int64(position.timeline)), .text(position.database), .text(position.slot),
        .text(NameList.text(position.publications)), .text(position.lsn.description),
      ]))
  }

  /// Stores the override that was applied to a source.
  static func upsert(override lsn: LSN, source: String) -> Statement {
    Statement(
      "INSERT OR REPLACE INTO applied_override (source, lsn, checksum) VALUES (?, ?, ?)",
      checked([.text(source), .text(lsn.description)]))
  }

  /// Stores what the catalog said of a table's key.
  static func upsert(_ entry: KeyHistory.Entry, of table: DescribedTable) -> Statement {
    Statement(
      """
      INSERT OR REPLACE INTO key_columns
        (source, system_identifier, database, relation_oid, lsn, columns, key, checksum)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?)
      """,
      checked(
        place(of: table) + [
          .text(sortable(entry.lsn)), .text(NameList.text(entry.columns)),
          .text(NameList.text(entry.key)),
        ]))
  }

  /// Stores a copy that somebody wants.
  static func upsert(_ request: CopyRequest, of origin: SourceOrigin) -> Statement {
    Statement(
      """
      INSERT OR REPLACE INTO copy_request
        (source, system_identifier, database, request, tables, filter, mark, state, error, checksum)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
      """,
      checked(
        place(of: origin) + [
          .integer(Int64(request.number)), .text(NameList.text(request.tables)),
          text(request.keys ?? request.filter), text(request.mark), .text(request.state.rawValue),
          text(request.error),
        ]))
  }

  /// Stores how far a partition of a signal topic is read.
  static func upsert(
    signalOffset: Int64, of partition: Int32, topic: String, source: String
  ) -> Statement {
    Statement(
      """
      INSERT OR REPLACE INTO signal_offset (source, topic, partition, offset, checksum)
      VALUES (?, ?, ?, ?, ?)
      """,
      checked([
        .text(source), .text(topic), .integer(Int64(partition)), .integer(signalOffset),
      ]))
  }

  /// Stores what a source owes.
  static func upsert(_ owed: OwedComparison) -> Statement {
    Statement(
      """
      INSERT OR REPLACE INTO owed_comparison (source, system_identifier, database, since, checksum)
      VALUES (?, ?, ?, ?, ?)
      """, checked(place(of: owed.origin) + [.integer(owed.since.microseconds)]))
  }

  /// Stores how far the copy of a table is.
  static func upsert(_ progress: TableProgress, of origin: SourceOrigin) -> Statement {
    Statement(
      """
      INSERT OR REPLACE INTO copied_table
        (source, system_identifier, database, request, relation_oid, number, name, last_key, rows,
        is_done, checksum)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
      """,
      checked(
        place(of: origin) + [
          .integer(Int64(progress.request)), .integer(Int64(progress.relation)),
          .integer(Int64(progress.number)), .text(progress.name),
          .text(NameList.text(progress.lastKey)), .integer(progress.rows),
          .integer(progress.isDone ? 1 : 0),
        ]))
  }

  /// What selects the rows of one database.
  static func place(of origin: SourceOrigin) -> [Value] {
    [.text(origin.source), .text(origin.systemIdentifier), .text(origin.database)]
  }

  /// Adds an entry to the ledger under a number of the source's.
  static func insert(_ gap: Gap, number: Int64) -> Statement {
    Statement(
      """
      INSERT INTO gap (source, number, since, until, kind, cause, action, at, checksum)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
      """,
      checked([
        .text(gap.source), .integer(number), text(gap.from), text(gap.to),
        .text(gap.kind.rawValue), .text(gap.cause), .text(gap.action.rawValue),
        .integer(gap.at.microseconds),
      ]))
  }

  private static func text(_ lsn: LSN?) -> Value { text(lsn?.description) }

  private static func text(_ text: String?) -> Value { text.map { .text($0) } ?? .null }

  /// What selects the rows of one table's key.
  static func place(of table: DescribedTable) -> [Value] {
    place(of: table.origin) + [.integer(Int64(table.relationOID))]
  }

  /// An LSN with all its digits: its text sorts as it does.
  static func sortable(_ lsn: LSN) -> String {
    let digits = String(lsn.value, radix: 16, uppercase: true)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }

  private static func checked(_ values: [Value]) -> [Value] {
    values + [.integer(RowChecksum.of(values))]
  }

  // MARK: - Reading

  /// The position in a row of eight values, and a ninth with their checksum but for the first
  /// version's.
  static func position(_ row: [Value], store: String) throws(StreamerError) -> Position {
    try check(row, count: 8, store: store)
    guard case .text(let source) = row[0], case .text(let sink) = row[1],
      case .text(let system) = row[2], case .integer(let number) = row[3],
      let timeline = UInt32(exactly: number), case .text(let database) = row[4],
      case .text(let slot) = row[5], case .text(let publications) = row[6],
      case .text(let text) = row[7], let lsn = LSN(text)
    else { throw damaged(store) }
    return Position(
      source: source, sink: sink, systemIdentifier: system, timeline: timeline,
      database: database, slot: slot, publications: NameList.names(publications), lsn: lsn)
  }

  /// The source and the override in a row of two values, and a third with their checksum.
  static func override(
    _ row: [Value], store: String
  ) throws(StreamerError) -> (source: String, lsn: LSN) {
    try check(row, count: 2, store: store)
    guard case .text(let source) = row[0], case .text(let text) = row[1], let lsn = LSN(text)
    else { throw damaged(store) }
    return (source, lsn)
  }

  /// What was said of a key in a row of seven values and their checksum.
  static func keyEntry(
    _ row: [Value], store: String
  ) throws(StreamerError) -> KeyHistory.Entry {
    try check(row, count: 7, store: store)
    guard case .text(let digits) = row[4], let lsn = UInt64(digits, radix: 16),
      case .text(let columns) = row[5], case .text(let key) = row[6]
    else { throw damaged(store) }
    return KeyHistory.Entry(
      lsn: LSN(lsn), columns: NameList.names(columns), key: NameList.names(key))
  }

  /// The number and the entry in a row of eight values and their checksum.
  static func gap(
    _ row: [Value], store: String
  ) throws(StreamerError) -> (number: Int64, gap: Gap) {
    try check(row, count: 8, store: store)
    guard case .text(let source) = row[0], case .integer(let number) = row[1],
      case .text(let kind) = row[4], let kind = Gap.Kind(rawValue: kind),
      case .text(let cause) = row[5], case .text(let action) = row[6],
      let action = Gap.Action(rawValue: action), case .integer(let time) = row[7]
    else { throw damaged(store) }
    let gap = Gap(
      source: source, from: lsn(row[2]), to: lsn(row[3]), kind: kind, cause: cause, action: action,
      at: UTCTime(microseconds: time))
    return (number, gap)
  }

  /// A copy, in a row of nine values and their checksum.
  static func request(_ row: [Value], store: String) throws(StreamerError) -> CopyRequest {
    try check(row, count: 9, store: store)
    guard case .integer(let number) = row[3], case .text(let tables) = row[4],
      case .text(let name) = row[7], let state = CopyRequest.State(rawValue: name)
    else { throw damaged(store) }
    // No expression of SQL begins as a list of keys does.
    let scope = string(row[5])
    let areKeys = scope?.hasPrefix("[") == true
    return CopyRequest(
      number: Int(number), tables: NameList.names(tables), filter: areKeys ? nil : scope,
      keys: areKeys ? scope : nil, mark: string(row[6]), state: state, error: string(row[8]))
  }

  /// How far a partition of a signal topic is read, in a row of four values and their checksum.
  static func signalOffset(
    _ row: [Value], store: String
  ) throws(StreamerError) -> (partition: Int32, offset: Int64) {
    try check(row, count: 4, store: store)
    guard case .integer(let number) = row[2], let partition = Int32(exactly: number),
      case .integer(let offset) = row[3]
    else { throw damaged(store) }
    return (partition, offset)
  }

  /// What a source owes, in a row of four values and their checksum.
  static func owed(_ row: [Value], store: String) throws(StreamerError) -> OwedComparison {
    try check(row, count: 4, store: store)
    guard case .text(let source) = row[0], case .text(let system) = row[1],
      case .text(let database) = row[2], case .integer(let time) = row[3]
    else { throw damaged(store) }
    return OwedComparison(
      origin: SourceOrigin(source: source, systemIdentifier: system, database: database),
      since: UTCTime(microseconds: time))
  }

  /// How far a table is, in a row of ten values and their checksum.
  static func progress(_ row: [Value], store: String) throws(StreamerError) -> TableProgress {
    try check(row, count: 10, store: store)
    guard case .integer(let request) = row[3], case .integer(let relation) = row[4],
      let oid = UInt32(exactly: relation), case .integer(let number) = row[5],
      case .text(let name) = row[6], case .text(let key) = row[7], case .integer(let rows) = row[8],
      case .integer(let isDone) = row[9]
    else { throw damaged(store) }
    return TableProgress(
      request: Int(request), number: Int(number), relation: oid, name: name,
      lastKey: NameList.names(key), rows: rows, isDone: isDone != 0)
  }

  private static func string(_ value: Value) -> String? {
    if case .text(let text) = value { text } else { nil }
  }

  private static func lsn(_ value: Value) -> LSN? {
    if case .text(let text) = value { LSN(text) } else { nil }
  }

  private static func check(
    _ row: [Value], count: Int, store: String
  ) throws(StreamerError) {
    if row.count == count { return }
    guard row.count == count + 1, row[count] == .integer(RowChecksum.of(Array(row[..<count])))
    else { throw damaged(store) }
  }

  private static func damaged(_ store: String) -> StreamerError {
    SQLiteDatabase.corrupt(store, "a row does not fit its checksum")
  }
}
