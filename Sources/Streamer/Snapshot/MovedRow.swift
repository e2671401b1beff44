import PGWire

/// A row whose key was changed while existing rows are read, and of which a value did not come: a large
/// one that was left alone.
///
/// Where its new key lies in the part that was read and its old one in the part that was not, nobody has
/// that value: such a row is read once more.
struct MovedRow: Hashable, Sendable {
  /// The table.
  var relation: UInt32
  /// The pattern that names it alone.
  var table: String
  /// Where its change stands.
  var lsn: LSN
  /// The columns of its new key.
  var key: [Column]

  /// A column and its value as the server writes it.
  struct Column: Hashable, Sendable {
    var name: String
    var value: String
  }

  /// Takes the new key of an update; nil where every value has come, or the key itself has not.
  init?(_ change: borrowing Change, of table: Table, at lsn: LSN) {
    let columns = table.relation.columns
    let isPartial = columns.indices.contains { index in
      guard case .unchangedToast = change.new.value(at: index) else { return false }
      if change.oldImage == .none { return true }
      if case .text = change.old.value(at: index) { return false }
      return true
    }
    guard isPartial, !table.key.isEmpty else { return nil }
    var key: [Column] = []
    for index in table.key {
      guard case .text(let text) = change.new.value(at: index) else { return nil }
      key.append(Column(name: columns[index].name, value: text.text))
    }
    self.init(
      relation: table.relation.oid, table: "\(TablePolicy.Name(table.relation).pattern)", lsn: lsn,
      key: key)
  }

  init(relation: UInt32, table: String, lsn: LSN, key: [Column]) {
    self.relation = relation
    self.table = table
    self.lsn = lsn
    self.key = key
  }

  /// What is true for this row alone, as SQL.
  var condition: String {
    let names = key.map { ReplicationCommand.identifier($0.name) }.joined(separator: ", ")
    let values = key.map { ReplicationCommand.literal($0.value) }.joined(separator: ", ")
    return "(\(names)) = (\(values))"
  }
}

/// The rows that were moved while their tables are read in parts, and how many of each: many ask for the
/// whole table.
struct Rereads {
  private struct Place: Hashable {
    /// The copy's mark: there may be another one of the same number, of the start.
    let copy: String
    let relation: UInt32
  }

  private var counts: [Place: Int] = [:]

  /// What has to be copied behind the copy that reads their table, so that every value arrives; nothing
  /// where that is read in one piece, or no row of it has been.
  ///
  /// A row that waits to be read once more may be moved again: so a copy with a condition counts too.
  /// `saved` is how far copies are that are delivered, `book` how far they are. A command is known by
  /// its mark: a part of the stream that comes again asks for nothing more.
  mutating func commands(
    for rows: [MovedRow], _ saved: CopyBook, _ book: CopyBook
  ) -> [CopyCommand] {
    var commands: [CopyCommand] = []
    for row in rows {
      guard let request = Self.request(reading: row.relation, saved, book) else { continue }
      let copy = book[request]?.mark ?? "\(request)"
      let place = Place(copy: copy, relation: row.relation)
      let count = counts[place, default: 0]
      // Beyond that the whole table has been asked for.
      guard count <= Limits.movedRows else { continue }
      let condition = row.condition
      // A text that is none does not say which row it is.
      let isWhole =
        count == Limits.movedRows || condition.contains("\u{FFFD}")
        || SQLCondition.fault(in: condition) != nil
      counts[place] = isWhole ? Limits.movedRows + 1 : count + 1
      commands.append(
        isWhole
          ? .copy(tables: [row.table], filter: nil, mark: "moved \(copy) \(row.table)")
          : .copy(tables: [row.table], filter: condition, mark: "moved \(row.lsn)"))
    }
    return commands
  }

  /// The last copy that reads a table and has not all of it.
  private static func request(
    reading relation: UInt32, _ saved: CopyBook, _ book: CopyBook
  ) -> Int? {
    saved.tables.last { table in
      guard table.relation == relation, !table.isDone,
        let index = book.index(of: relation, in: table.request)
      else { return false }
      return !book.tables[index].lastKey.isEmpty || book[table.request]?.filter != nil
    }?.request
  }
}
