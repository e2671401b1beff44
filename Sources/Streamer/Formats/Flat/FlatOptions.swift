/// What Debezium's transform ExtractNewRecordState leaves to its configuration.
struct FlatOptions: Hashable, Sendable {
  /// `delete.tombstone.handling.mode`.
  enum Deletes: String, Hashable, Sendable, CaseIterable {
    /// Deletes are left out.
    case drop
    /// A delete is a record without a value.
    case tombstone
    /// A delete is the old row; every row says in `__deleted` whether it is one.
    case rewrite
    /// The same, and a record without a value behind it.
    case rewriteWithTombstone = "rewrite-with-tombstone"

    /// Whether a delete is a row.
    var isRow: Bool { self == .rewrite || self == .rewriteWithTombstone }
    /// Whether a delete leads to a record without a value.
    var isTombstone: Bool { self == .tombstone || self == .rewriteWithTombstone }
  }

  /// A member of Debezium's envelope that rows can carry.
  enum Member: String, Hashable, Sendable, CaseIterable {
    /// The envelope's own.
    case op
    /// In the envelope, and in its source.
    case milliseconds = "ts_ms"
    case microseconds = "ts_us"
    case nanoseconds = "ts_ns"
    /// Of the source.
    case version, connector, name, snapshot, db, sequence, schema, table, txId, lsn, xmin, origin
    case originLSN = "origin_lsn"
    /// Of the transaction, which is null.
    case id
    case totalOrder = "total_order"
    case tableOrder = "data_collection_order"

    /// The part of the envelope where it stands; nil for the envelope itself.
    fileprivate var parent: String? {
      switch self {
      case .op: nil
      case .id, .totalOrder, .tableOrder: "transaction"
      default: "source"
      }
    }

    /// Its type in Connect's schemas.
    var connectType: ConnectSchema.Kind {
      switch self {
      case .op, .version, .connector, .name, .snapshot, .db, .sequence, .schema, .table, .origin,
        .id:
        .string
      default: .int64
      }
    }
  }

  /// One of `add.fields`.
  struct Field: Hashable, Sendable {
    /// The name that it has in a row.
    let name: String
    /// What it says.
    let member: Member

    /// Reads `op`, `source.ts_ms` or `lsn:position`; nil for what the envelope has not.
    init?(_ text: String, prefix: String) {
      let parts = text.split(separator: ":", omittingEmptySubsequences: false)
      let path = parts[0].split(separator: ".", omittingEmptySubsequences: false)
      guard parts.count <= 2, parts.last?.isEmpty == false, path.count <= 2, let last = path.last,
        let member = Member(rawValue: String(last)),
        path.count == 1 || member.parent.map({ $0 == path[0] }) == true
      else { return nil }
      self.member = member
      name = prefix + (parts.count == 2 ? String(parts[1]) : path.joined(separator: "_"))
    }
  }

  /// What becomes of deletes.
  var deletes = Deletes.tombstone
  /// What rows carry behind their columns.
  var fields: [Field] = []
}

extension FlatOptions {
  /// Reads `flat` of a sink.
  init(in reader: inout ConfigurationReader, isUsed: Bool) {
    guard var section = reader.section("flat", subject: "the flat format") else { return }
    if !isUsed { reader.note("flat", "has no effect without format = \"flat\" or \"avro\"") }
    deletes = section.choice("deletes", default: Deletes.tombstone)
    let prefix = section.text("prefix")?.value ?? "__"
    var names: Set<String> = deletes.isRow ? [FlatTablePlan.deleted] : []
    for text in section.texts("fields") {
      guard let field = Field(text.value, prefix: prefix) else {
        let members = Member.allCases.map(\.rawValue).joined(separator: ", ")
        section.fail(
          "fields", at: text.position, found: text.shown,
          expected: "members of Debezium's envelope such as \"op\", \"source.ts_ms\" or "
            + "\"lsn:position\"", hint: "They are: \(members).")
        continue
      }
      if names.insert(field.name).inserted {
        fields.append(field)
      } else {
        section.fail(
          "fields", at: text.position, found: "\(text.shown), a second \(field.name.singleLine)",
          expected: "each name once")
      }
    }
    section.finish()
    reader.absorb(section)
  }
}
