import PGWire

/// Which events of a table a sink gets.
struct RowActions: OptionSet, Hashable, Sendable {
  let rawValue: UInt8

  static let insert = RowActions(rawValue: 1)
  static let update = RowActions(rawValue: 2)
  static let delete = RowActions(rawValue: 4)
  static let truncate = RowActions(rawValue: 8)
  static let read = RowActions(rawValue: 16)
  static let all: RowActions = [.insert, .update, .delete, .truncate, .read]

  /// Their names in the configuration.
  static let names: [(name: String, action: RowActions)] = [
    ("insert", .insert), ("update", .update), ("delete", .delete), ("truncate", .truncate),
    ("read", .read),
  ]

  /// Whether an event belongs to them.
  func take(_ action: EventAction) -> Bool {
    switch action {
    case .insert: contains(RowActions.insert)
    case .update: contains(RowActions.update)
    case .delete: contains(RowActions.delete)
    case .truncate: contains(RowActions.truncate)
    case .read: contains(RowActions.read)
    default: true
    }
  }
}

/// A column that a table does not have: every row has the same text there.
private struct AddedColumn: ~Copyable {
  private var text = ByteWriter(capacity: 16)

  init(_ text: String) { self.text.append(string: text) }

  /// Appends it to a row.
  func append(to buffer: inout ByteWriter) { buffer.append(column: text.bytes) }
}

/// What the rules of one sink make of the rows of one table, before any format sees them.
final class RowRules {
  /// What becomes of an event.
  enum Verdict {
    /// It goes on as it is.
    case deliver
    /// The sink does not get it.
    case drop
    /// An update after which the row is none of the sink's: a delete.
    case leave
    /// An update after which the row is the sink's for the first time: an insert.
    case enter
  }

  /// One published column.
  struct Column: BitwiseCopyable {
    let isKept: Bool
    let isIdentity: Bool
    /// The number of its mask; -1 for none.
    let mask: Int32
  }

  /// The table as formats see it.
  let view: Table
  /// Which events pass.
  let actions: RowActions
  /// The table as the server sends it, with the sink's key and partition.
  private let keyed: Table
  /// Whether the key or the partition is the sink's own, so that an update may change it here only.
  private let hasOwnKey: Bool
  private let filter: WhereProgram?
  private let skipsUnchanged: Bool
  private let columns: OwnedArray<Column>
  private let masks: OwnedArray<ColumnMask>
  private let keptCount: Int
  /// The texts of the columns that the table does not have, as a row has them.
  private let added: OwnedArray<AddedColumn>
  /// Whether rows are written anew.
  let rewrites: Bool

  /// Works a rule out for a table; throws where it does not fit.
  init(
    _ rule: TableRules.Rule, _ table: Table, _ types: TypeCatalog
  ) throws(TableRules.Misfit) {
    let relation = table.relation
    keyed = try table.adopting(rule)
    hasOwnKey = rule.key != nil || rule.partitionBy != nil
    filter = try rule.filter.map { (text) throws(TableRules.Misfit) in
      try WhereCompiler.compile(text, for: relation, types)
    }
    let shape = try RowShape(rule, keyed)
    view = keyed.showing(shape.relation, shape.kept)
    let kept = Set(shape.kept)
    columns = OwnedArray(count: relation.columns.count) { index in
      Column(
        isKept: kept.contains(index), isIdentity: relation.columns[index].isKey,
        mask: Int32(shape.masks.firstIndex { $0.column == index } ?? -1))
    }
    masks = OwnedArray(count: shape.masks.count) { index in
      ColumnMask(shape.masks[index].mask, for: relation.columns[shape.masks[index].column])
    }
    keptCount = shape.kept.count
    added = OwnedArray(count: shape.added.count) { AddedColumn(shape.added[$0]) }
    rewrites =
      keptCount < relation.columns.count || !shape.masks.isEmpty || !shape.added.isEmpty
    actions = rule.actions ?? .all
    skipsUnchanged = rule.skipUnchanged == true
  }

  // MARK: - Which events

  /// What becomes of an event by `where` and `skipUnchanged`.
  func verdict(_ event: borrowing RowEvent) -> Verdict {
    let verdict = filtered(event)
    if verdict == .deliver, skipsUnchanged, event.action == .update, isUnchanged(event) {
      return .drop
    }
    return verdict
  }

  private func filtered(_ event: borrowing RowEvent) -> Verdict {
    guard let filter else { return .deliver }
    switch event.action {
    case .delete: return passes(truthOfOld(event, filter)) ? .deliver : .drop
    case .update:
      let new = truthOfNew(event, filter)
      let isKnown = event.oldImage != .none || filter.readsIdentityOnly
      let old =
        event.oldImage != .none ? truthOfOld(event, filter) : isKnown ? new : .unsent
      switch (passes(old), passes(new)) {
      case (true, true): return .deliver
      case (false, true): return .enter
      case (true, false): return .leave
      case (false, false): return .drop
      }
    default: return passes(truthOfNew(event, filter)) ? .deliver : .drop
    }
  }

  /// What cannot be known counts as true: nothing that a sink may have is kept from it.
  @inline(__always)
  private func passes(_ truth: WhereTruth) -> Bool { truth == .yes || truth == .unsent }

  private func truthOfNew(_ event: borrowing RowEvent, _ filter: WhereProgram) -> WhereTruth {
    filter.evaluate(
      event.row, old: event.old, hasOld: event.oldImage == .full, nullsAreUnsent: false)
  }

  private func truthOfOld(_ event: borrowing RowEvent, _ filter: WhereProgram) -> WhereTruth {
    filter.evaluate(
      event.old, old: event.old, hasOld: false,
      nullsAreUnsent: event.oldImage.leavesOutNulls(ofPartial: keyed.hasPartialOldRows))
  }

  /// Whether no column that the sink gets has another value than before.
  private func isUnchanged(_ event: borrowing RowEvent) -> Bool {
    guard event.oldImage == .full, !keyed.hasPartialOldRows else { return false }
    var old = event.old.columns
    var new = event.row.columns
    for index in columns.indices {
      let before = old.next()
      let after = new.next()
      guard columns[index].isKept else { continue }
      switch (before, after) {
      case (_, .unchangedToast), (.null, .null): continue
      case (.text(let a), .text(let b)):
        if !a.equals(b) { return false }
      default: return false
      }
    }
    return true
  }

  /// Whether an update changes this sink's own key or partition, which the server's did not.
  func changesKey(_ event: borrowing RowEvent) -> Bool {
    hasOwnKey && event.action == .update && keyed.changesKey(event)
  }

  // MARK: - Rows

  /// Writes an event's rows as the sink gets them into `buffer`, which is emptied first; the result is
  /// where the new one begins.
  func write(_ event: borrowing RowEvent, to buffer: inout ByteWriter) -> Int {
    buffer.removeAll()
    write(
      event.old, nullsAreUnsent: event.oldImage.leavesOutNulls(ofPartial: keyed.hasPartialOldRows),
      isIdentity: event.oldImage == .key, to: &buffer)
    let boundary = buffer.count
    write(event.successor, nullsAreUnsent: false, isIdentity: false, to: &buffer)
    return boundary
  }

  private func write(
    _ row: borrowing TupleData, nullsAreUnsent: Bool, isIdentity: Bool,
    to buffer: inout ByteWriter
  ) {
    guard row.count > 0 else { return }
    var cursor = row.columns
    for index in columns.indices {
      let column = columns[index]
      let value = cursor.next()
      guard column.isKept else { continue }
      // Of a row's identity nothing else is shown, even where it is at hand.
      guard !isIdentity || column.isIdentity else {
        buffer.appendNullColumn()
        continue
      }
      guard column.mask < 0 else {
        write(value, masks[Int(column.mask)], nullsAreUnsent: nullsAreUnsent, to: &buffer)
        continue
      }
      switch value {
      case .text(let text), .binary(let text): buffer.append(column: text)
      case .null: buffer.appendNullColumn()
      case .unchangedToast: buffer.appendUnchangedColumn()
      }
    }
    for index in added.indices {
      if isIdentity { buffer.appendNullColumn() } else { added[index].append(to: &buffer) }
    }
  }

  private func write(
    _ value: borrowing ColumnValue, _ mask: borrowing ColumnMask, nullsAreUnsent: Bool,
    to buffer: inout ByteWriter
  ) {
    switch value {
    case .text(let text), .binary(let text): mask.append(text, to: &buffer)
    case .null:
      if nullsAreUnsent { buffer.appendNullColumn() } else { mask.appendNull(to: &buffer) }
    case .unchangedToast: mask.appendUnsent(to: &buffer)
    }
  }

  /// How many columns a row has as the sink gets it, where the server's has so many.
  func count(_ columns: Int) -> Int { columns == 0 ? 0 : keptCount + added.count }
}
