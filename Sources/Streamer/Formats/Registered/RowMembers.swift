import PGWire

/// A member of rows behind their columns.
struct RowMember: BitwiseCopyable {
  let member: FlatOptions.Member
  /// Its number, in encodings that know fields by theirs.
  let number: Int32
  /// Its value where all rows have the same.
  let prepared: PreparedRange
}

/// What rows carry behind their columns.
final class RowMembers<Writer: RecordWriter> {
  private let prepared: PreparedBytes
  private let members: OwnedArray<RowMember>

  /// `after` says how many fields stand before them, `numbers` those of all.
  init(
    _ fields: [FlatOptions.Field], _ table: Table, _ writer: SchemaWriter, after columns: Int,
    numbers: [Int32]
  ) {
    var prepared = ByteWriter(capacity: 64)
    let texts: [FlatOptions.Member: String] = [
      .connector: "postgresql", .version: "\(DebeziumFormat.version)", .name: writer.source,
      .db: writer.database, .schema: table.relation.schema, .table: table.relation.name,
    ]
    members = OwnedArray(count: fields.count) { index in
      let start = prepared.count
      let number = FieldNumbers.number(columns + index, numbers)
      switch fields[index].member {
      case .xmin, .origin, .originLSN, .id, .totalOrder, .tableOrder:
        Writer.append(nullMember: number, to: &prepared)
      case let member:
        if let text = texts[member] {
          Writer.append(member: number, prepared: text, to: &prepared)
        }
      }
      return RowMember(
        member: fields[index].member, number: number,
        prepared: PreparedRange(start, prepared.count))
    }
    self.prepared = PreparedBytes(prepared)
  }

  /// Bytes that were prepared.
  var ownedBytes: Int { prepared.count }

  /// Appends all of them.
  func append(
    _ event: borrowing RowEvent, _ state: borrowing EncodingState, to bytes: inout ByteWriter
  ) {
    for index in members.indices {
      let member = members[index]
      guard member.prepared.isEmpty else {
        prepared.append(member.prepared.offsets, to: &bytes)
        continue
      }
      append(member, event, state, to: &bytes)
    }
  }

  private func append(
    _ member: RowMember, _ event: borrowing RowEvent, _ state: borrowing EncodingState,
    to bytes: inout ByteWriter
  ) {
    let time = state.debezium.time
    let number = member.number
    switch member.member {
    case .op: Writer.append(member: number, text: event.action.letter, to: &bytes)
    case .snapshot:
      Writer.append(member: number, text: state.debezium.isRound ? "true" : "false", to: &bytes)
    case .milliseconds:
      Writer.append(member: number, time.flooredQuotient(1_000), to: &bytes)
    case .microseconds: Writer.append(member: number, time, to: &bytes)
    case .nanoseconds:
      let (nanoseconds, overflows) = time.multipliedReportingOverflow(by: 1_000)
      Writer.append(member: number, overflows ? .max : nanoseconds, to: &bytes)
    case .lsn:
      Writer.append(
        member: number, Int64(truncatingIfNeeded: event.place.lsn.value), to: &bytes)
    case .txId:
      if let xid = state.debezium.transaction {
        Writer.append(member: number, Int64(xid), to: &bytes)
      } else {
        Writer.append(nullMember: number, to: &bytes)
      }
    case .sequence:
      Writer.append(member: number, sequence: state, lsn: event.place.lsn, to: &bytes)
    // What is null, or the same for all rows.
    default: break
    }
  }
}
