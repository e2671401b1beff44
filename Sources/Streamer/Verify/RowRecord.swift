import PGWire

/// A column of a row, as two hashes: of its name, and of its value as the format writes it.
///
/// Hashes are this process's own and are never kept.
struct ColumnDigest: Hashable, Sendable, BitwiseCopyable {
  /// Of the name.
  let name: UInt64
  /// Of the value's bytes.
  let value: UInt64

  /// The hash of some bytes.
  static func hash(_ bytes: RawSpan) -> UInt64 {
    var hasher = Hasher()
    // SAFETY: the bytes are read during the call only.
    unsafe bytes.withUnsafeBytes { buffer in unsafe hasher.combine(bytes: buffer) }
    return UInt64(bitPattern: Int64(hasher.finalize()))
  }

  /// The hash of a text's bytes.
  static func hash(_ text: String) -> UInt64 {
    let bytes = Array(text.utf8)
    return hash(unsafe bytes.span.bytes)
  }
}

/// What one record of a topic says of a row.
struct RowRecord: Hashable, Sendable {
  /// What became of the row.
  enum Content: Hashable, Sendable {
    /// It has these values; a column that is missing has the value that it had before.
    case row([ColumnDigest])
    /// It is gone.
    case gone
    /// All rows of the table are gone.
    case emptied
  }

  /// What became of the row.
  var content: Content
  /// Where its change lies in the server's log; 0 where the record does not say.
  var lsn: UInt64 = 0
  /// The transaction's number; nil where the record does not say.
  var xid: UInt32?
  /// Which of the tables it is of; nil where the record does not say.
  var table: Int?
}

/// Reads what records say of rows, for one sink: of its own format, of the tables that are compared.
struct RowRecordReader {
  /// A table by the hashes of its names as JSON has them.
  private struct Name: Hashable {
    let schema: UInt64
    let table: UInt64
  }

  private let format: FormatConfiguration.Name
  /// Whether records are rows without an envelope.
  private let isRow: Bool
  private let tables: [Name: Int]
  private let database: UInt64
  /// The hashes of what stands for values that were not sent.
  private let standIns: Set<UInt64>
  /// The hashes of the names of members that are no columns.
  private let extras: Set<UInt64>

  /// For a sink that is set up so, and these tables in their order.
  init(_ setup: LaneSetup, database: String, tables: [(schema: String, table: String)]) {
    format = setup.format
    isRow = setup.format.isRow(setup.schemas)
    self.database = Self.hash(name: database)
    var numbers: [Name: Int] = [:]
    for (index, table) in tables.enumerated() {
      numbers[
        Name(schema: Self.hash(name: table.schema), table: Self.hash(name: table.table))] = index
    }
    self.tables = numbers
    standIns =
      format == .psqlStreamer
      ? [] : Set(Self.standIns(setup.debezium.unavailable).map(ColumnDigest.hash))
    var names = setup.flat.fields.map(\.name)
    if setup.flat.deletes.isRow { names.append(FlatTablePlan.deleted) }
    extras = isRow ? Set(names.map(Self.hash(name:))) : []
  }

  /// Whether records say which table they are of.
  var namesTables: Bool { !isRow }

  /// Whether a record without a value is the end of a row also in a topic of several tables; where it
  /// is not, another record has said so before.
  var tellsBare: Bool { isRow }

  /// The hash of a name between its quotes.
  private static func hash(name: String) -> UInt64 {
    var json = ByteWriter()
    json.append(jsonString: name)
    return ColumnDigest.hash(json.bytes(1..<max(json.count - 1, 1)))
  }

  /// What stands for a value that was not sent, for every type and mode.
  static func standIns(_ text: String) -> [String] {
    let bytes = Array(text.utf8)
    var base = ByteWriter()
    Base64.append(unsafe bytes.span.bytes, to: &base)
    let base64 = base.bytes.text.filter { $0 != "\"" }
    let url = base64.replacing("+", with: "-").replacing("/", with: "_")
    let hex = bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
    let quoted = quote(text)
    let map = "{\(quoted):\(quoted)}"
    let single = [quoted, "\"\(base64)\"", "\"\(url)\"", "\"\(hex)\"", map, quote(map)]
    let codes = text.unicodeScalars.map { "\($0.value)" }.joined(separator: ",")
    return single + single.map { "[\($0)]" } + ["[\(codes)]"]
  }

  private static func quote(_ text: String) -> String {
    var json = ByteWriter()
    ConnectText.append(string: text, to: &json)
    return json.bytes.text
  }

  // MARK: - Reading

  /// What a record says, which is JSON; nil when it is none of a row of these tables.
  func read(_ value: RawSpan?) -> RowRecord? {
    guard let value else { return RowRecord(content: .gone) }
    if format == .psqlStreamer { return native(value) }
    return isRow ? flat(value) : envelope(value)
  }

  private func native(_ value: RawSpan) -> RowRecord? {
    var (action, columns) = (0..<0, 0..<0)
    var name = (database: UInt64(0), schema: UInt64(0), table: UInt64(0))
    var record = RowRecord(content: .gone)
    JSONMembers.each(of: value) { member, place in
      let key = value.extracting(member)
      switch key.byteCount {
      case 8 where key.equals("Database"): name.database = text(value, place)
      case 5 where key.equals("Table"): name.table = text(value, place)
      case 6 where key.equals("Action"): action = place
      case 6 where key.equals("Schema"): name.schema = text(value, place)
      case 7 where key.equals("Columns"): columns = place
      case 11 where key.equals("WALPosition"): record.lsn = number(value, place) ?? 0
      case 3 where key.equals("XID"):
        record.xid = number(value, place).flatMap { UInt32(exactly: $0) }
      default: break
      }
    }
    guard name.database == database,
      let table = tables[Name(schema: name.schema, table: name.table)]
    else { return nil }
    record.table = table
    let verb = value.extracting(action)
    if verb.equals("\"delete\"") { return record }
    if verb.equals("\"truncate\"") {
      record.content = .emptied
      return record
    }
    guard !columns.isEmpty else { return nil }
    record.content = .row(digests(value.extracting(columns)))
    return record
  }

  private func envelope(_ value: RawSpan) -> RowRecord? {
    var (payload, after, operation, source) = (0..<0, 0..<0, 0..<0, 0..<0)
    JSONMembers.each(of: value) { member, place in
      let key = value.extracting(member)
      if key.equals("after") { after = place }
      if key.equals("op") { operation = place }
      if key.equals("source") { source = place }
      if key.equals("payload") { payload = place }
    }
    if operation.isEmpty, !payload.isEmpty { return envelope(value.extracting(payload)) }
    guard !operation.isEmpty, var record = placed(value.extracting(source)) else { return nil }
    let verb = value.extracting(operation)
    if verb.equals("\"d\"") { return record }
    if verb.equals("\"t\"") {
      record.content = .emptied
      return record
    }
    guard verb.equals("\"c\"") || verb.equals("\"u\"") || verb.equals("\"r\"") else { return nil }
    record.content = .row(digests(value.extracting(after)))
    return record
  }

  /// A record with what Debezium's `source` says.
  private func placed(_ source: RawSpan) -> RowRecord? {
    var name = (database: UInt64(0), schema: UInt64(0), table: UInt64(0))
    var record = RowRecord(content: .gone)
    JSONMembers.each(of: source) { member, place in
      let key = source.extracting(member)
      if key.equals("db") { name.database = text(source, place) }
      if key.equals("schema") { name.schema = text(source, place) }
      if key.equals("table") { name.table = text(source, place) }
      if key.equals("lsn") { record.lsn = number(source, place) ?? 0 }
      if key.equals("txId") { record.xid = number(source, place).flatMap { UInt32(exactly: $0) } }
    }
    guard name.database == database,
      let table = tables[Name(schema: name.schema, table: name.table)]
    else { return nil }
    record.table = table
    return record
  }

  private func flat(_ value: RawSpan) -> RowRecord? {
    var payload = 0..<0
    var isDeleted = false
    var count = 0
    JSONMembers.each(of: value) { member, place in
      count += 1
      let key = value.extracting(member)
      if key.equals("payload") { payload = place }
      if key.equals("__deleted") { isDeleted = value.extracting(place).equals("\"true\"") }
    }
    if count == 2, !payload.isEmpty, value[payload.lowerBound] == 0x7B {
      return flat(value.extracting(payload))
    }
    return isDeleted ? RowRecord(content: .gone) : RowRecord(content: .row(digests(value)))
  }

  private func digests(_ row: RawSpan) -> [ColumnDigest] {
    var columns: [ColumnDigest] = []
    JSONMembers.each(of: row) { member, place in
      let column = ColumnDigest(
        name: ColumnDigest.hash(row.extracting(member)),
        value: ColumnDigest.hash(row.extracting(place)))
      if standIns.contains(column.value) || extras.contains(column.name) { return }
      columns.append(column)
    }
    return columns
  }

  /// The hash of what stands between a string's quotes.
  private func text(_ value: RawSpan, _ place: Range<Int>) -> UInt64 {
    guard place.count >= 2 else { return 0 }
    return ColumnDigest.hash(value.extracting(place.lowerBound + 1..<place.upperBound - 1))
  }

  private func number(_ value: RawSpan, _ place: Range<Int>) -> UInt64? {
    var number: UInt64 = 0
    for at in place {
      guard value[at] &- 0x30 < 10 else { return nil }
      number = number &* 10 &+ UInt64(value[at] &- 0x30)
    }
    return number
  }
}

extension RawSpan {
  /// Whether these are a text's bytes.
  fileprivate func equals(_ text: StaticString) -> Bool {
    guard byteCount == text.utf8CodeUnitCount else { return false }
    for at in 0..<byteCount where unsafe self[at] != text.utf8Start[at] { return false }
    return true
  }
}

extension FormatConfiguration.Name {
  /// Whether records are rows without an envelope.
  func isRow(_ schemas: SchemaOptions) -> Bool {
    self == .flat || hasSchemas && schemas.isRowAlone
  }
}
