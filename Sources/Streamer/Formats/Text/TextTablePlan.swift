import KafkaBridge
import PGWire

/// How the events of one table are written for people.
final class TextTablePlan: TablePlan {
  /// One column.
  private struct Column: BitwiseCopyable {
    let name: PreparedRange
    let style: TextValue.Style
    let isKey: Bool
    /// Whether the server sends it where it sends a row's identity only.
    let isIdentity: Bool
  }

  private let prepared: PreparedBytes
  /// Schema and table, with a point before each and a blank behind.
  private let table: Range<Int>
  private let columns: OwnedArray<Column>
  private let hasKey: Bool
  private let hasPartialOldRows: Bool
  /// What writes keys.
  private let native: NativeTablePlan

  init(_ table: Table, types: TypeCatalog, _ native: NativeTablePlan) {
    let relation = table.relation
    var prepared = ByteWriter()
    prepared.append(".")
    prepared.append(string: TextValue.identifier(relation.schema))
    prepared.append(".")
    prepared.append(string: TextValue.identifier(relation.name))
    prepared.append(" ")
    self.table = 0..<prepared.count
    columns = OwnedArray(count: relation.columns.count) { index in
      let column = relation.columns[index]
      let start = prepared.count
      prepared.append(string: TextValue.identifier(column.name))
      return Column(
        name: PreparedRange(start, prepared.count), style: TextValue.Style(column.type, types),
        isKey: table.key.contains(index), isIdentity: column.isKey)
    }
    self.prepared = PreparedBytes(prepared)
    hasKey = !table.key.isEmpty
    hasPartialOldRows = table.hasPartialOldRows
    self.native = native
  }

  var ownedBytes: Int { prepared.count + native.ownedBytes }

  var holdsComposites: Bool { native.holdsComposites }

  // MARK: - Events

  func encode(
    _ event: borrowing RowEvent, _ route: borrowing Route, ticket: UInt64,
    _ state: inout EncodingState, into batch: inout RecordBatch
  ) {
    let key = native.appendKey(event, &state, to: &batch.bytes)
    let start = batch.bytes.count
    batch.bytes.append(state.head.bytes)
    prepared.append(table, to: &batch.bytes)
    switch event.action {
    case .insert: batch.bytes.append("INSERT")
    case .update: batch.bytes.append("UPDATE")
    case .delete: batch.bytes.append("DELETE")
    default: batch.bytes.append("READ")
    }
    if hasKey { appendKey(event, to: &batch.bytes) }
    if event.part != .none { batch.bytes.append(" (the key changed)") }
    appendColumns(event, to: &batch.bytes)
    batch.add(
      key: key, value: start..<batch.bytes.count, route: route, ticket: ticket,
      partitionHash: native.partitionHash(event, &state))
  }

  func encode(
    truncate record: RecordPlace, _ state: inout EncodingState, into batch: inout RecordBatch
  ) {
    let start = batch.bytes.count
    batch.bytes.append(state.head.bytes)
    prepared.append(table, to: &batch.bytes)
    batch.bytes.append("TRUNCATE")
    batch.add(
      key: nil, value: start..<batch.bytes.count, route: record.route, ticket: record.ticket)
  }

  func agrees(_ change: borrowing Change, _ state: inout EncodingState) -> Bool {
    native.agrees(change, &state)
  }

  // MARK: - Parts

  private func appendKey(_ event: borrowing RowEvent, to line: inout ByteWriter) {
    for index in columns.indices where columns[index].isKey {
      line.append(" ")
      prepared.append(columns[index].name.offsets, to: &line)
      line.append("=")
      switch event.row.value(at: index) {
      case .text(let text): TextValue.append(text, columns[index].style, to: &line)
      case .unchangedToast:
        if event.oldImage != .none, case .text(let text) = event.old.value(at: index) {
          TextValue.append(text, columns[index].style, to: &line)
        } else {
          line.append("(not sent)")
        }
      case .null, .binary: line.append("NULL")
      }
    }
  }

  /// What of the other columns is worth telling: of an update whose old row is known what differs.
  private func appendColumns(_ event: borrowing RowEvent, to line: inout ByteWriter) {
    var isFirst = true
    for index in columns.indices {
      let column = columns[index]
      if column.isKey || (event.isKeyOnly && !column.isIdentity) { continue }
      let start = line.count
      line.append(isFirst ? ": " : ", ")
      prepared.append(column.name.offsets, to: &line)
      if append(valueOf: index, event, to: &line) {
        isFirst = false
      } else {
        line.truncate(to: start)
      }
    }
    if isFirst, event.action == .update { line.append(": nothing else changed") }
  }

  /// Appends a blank and a value, with its old one where both are known and differ; says whether it is
  /// worth telling.
  private func append(
    valueOf index: Int, _ event: borrowing RowEvent, to line: inout ByteWriter
  ) -> Bool {
    let style = columns[index].style
    let knowsOld = event.action == .update && event.oldImage == .full
    switch event.row.value(at: index) {
    case .text(let new):
      if knowsOld {
        switch event.old.value(at: index) {
        case .text(let old):
          if old.equals(new) { return false }
          line.append(" ")
          TextValue.append(old, style, to: &line)
          line.append(" ->")
        case .null where !hasPartialOldRows: line.append(" NULL ->")
        default: break
        }
      }
      line.append(" ")
      TextValue.append(new, style, to: &line)
    case .null, .binary:
      if event.action == .delete, event.oldImage.leavesOutNulls(ofPartial: hasPartialOldRows) {
        return false
      }
      if knowsOld {
        guard case .text(let old) = event.old.value(at: index) else { return false }
        line.append(" ")
        TextValue.append(old, style, to: &line)
        line.append(" ->")
      }
      line.append(" NULL")
    case .unchangedToast:
      guard event.action != .update else { return false }
      guard event.oldImage == .full, case .text(let old) = event.old.value(at: index) else {
        line.append(" (not sent)")
        return true
      }
      line.append(" ")
      TextValue.append(old, style, to: &line)
    }
    return true
  }
}
