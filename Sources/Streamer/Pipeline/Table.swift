import PGWire

/// A table whose rows are being streamed: the server's description and what identifies a row.
struct Table {
  /// The table as the last Relation message described it.
  private(set) var relation: Relation
  /// The positions of the key's columns among the relation's, rising; empty for no key.
  private(set) var key: [Int]
  /// The same in the order of the key's own columns, where the catalog says it.
  private(set) var keyOrder: [Int]
  /// Whether columns of the key may be null: a sink's rule may name any.
  private(set) var isKeyNullable = false
  /// The columns that decide the partition; nil for those of the key.
  private(set) var partition: [Int]?
  /// Whether a record without a value follows each delete; nil for what the format says.
  private(set) var tombstones: Bool?
  /// "schema.table".
  let qualifiedName: String
  /// Whether a name of it holds U+FFFD, which stands for bytes that are no text.
  let hasInvalidName: Bool
  /// Whether a null of a whole old row may stand for a value that was not sent.
  ///
  /// The server calls the old row of a partition whole when the root's identity is, whatever the
  /// partition's own identity left out of it.
  let hasPartialOldRows: Bool

  /// What stands last in a catalog's key, where a column's name never is empty: the table has
  /// partitions whose own replica identity is not the whole row.
  ///
  /// So it is remembered and recorded together with the key.
  static let partialOldRows = ""

  /// What a catalog's key is where the replica identity names the key and a part of it is not
  /// published: then there is none.
  static let unsentKey = ""

  /// Takes the key from the replica identity, or, where that is the whole row or nothing, from the
  /// primary key that the catalog names.
  init(_ relation: Relation, catalogKey: [String]) {
    self.relation = relation
    self.qualifiedName = "\(relation.schema).\(relation.name)"
    let columns = relation.columns.indices
    hasInvalidName = ([relation.schema, relation.name] + relation.columns.map(\.name))
      .contains { $0.unicodeScalars.contains("\u{FFFD}") }
    hasPartialOldRows =
      relation.replicaIdentity == .full && catalogKey.last == Self.partialOldRows
    let names = catalogKey.filter { $0 != Self.partialOldRows }
    switch relation.replicaIdentity {
    case .primaryKey, .index:
      key = catalogKey == [Self.unsentKey] ? [] : columns.filter { relation.columns[$0].isKey }
    case .full, .nothing:
      let found = columns.filter { names.contains(relation.columns[$0].name) }
      key = found.count == names.count ? found : []
    }
    let ordered = names.compactMap { name in
      relation.columns.firstIndex { $0.name == name }
    }
    keyOrder = ordered.sorted() == key ? ordered : key
  }

  /// The same with what a sink's rule says of its key; nil with a reason when it does not fit.
  func adopting(_ rule: TableRules.Rule) throws(TableRules.Misfit) -> Table {
    var table = self
    if let names = rule.key {
      table.keyOrder = try rule.positions(of: names, in: relation, key: "key")
      table.key = table.keyOrder.sorted()
      table.isKeyNullable = true
    }
    table.partition = try rule.partitionBy.map { (names) throws(TableRules.Misfit) in
      try rule.positions(of: names, in: relation, key: "partitionBy")
    }
    table.tombstones = rule.tombstones
    return table
  }

  /// The same as a sink sees it that gets only the columns at these places, described by `relation`.
  func showing(_ relation: Relation, _ kept: [Int]) -> Table {
    func places(_ columns: [Int]) -> [Int] { columns.compactMap { kept.firstIndex(of: $0) } }
    var table = self
    table.relation = relation
    table.key = places(key)
    table.keyOrder = places(keyOrder)
    table.partition = partition.map(places)
    return table
  }

  /// Whether an update changed the key, compared byte by byte with the old image.
  func changesKey(_ change: borrowing Change) -> Bool {
    changes(key, change.oldImage, change.old, change.new)
  }

  /// Whether an update that the server's key did not change changes that of a sink, or its partition.
  func changesKey(_ event: borrowing RowEvent) -> Bool {
    changes(key, event.oldImage, event.old, event.row)
      || changes(partition ?? [], event.oldImage, event.old, event.row)
  }

  private func changes(
    _ columns: [Int], _ image: Change.OldImage, _ old: borrowing TupleData,
    _ new: borrowing TupleData
  ) -> Bool {
    guard image != .none else { return false }
    for index in columns {
      switch (old.value(at: index), new.value(at: index)) {
      case (_, .unchangedToast), (.null, .null): continue
      case (.null, _) where image.leavesOutNulls(ofPartial: hasPartialOldRows): continue
      case (.text(let old), .text(let new)), (.binary(let old), .binary(let new)):
        if !old.equals(new) { return true }
      default: return true
      }
    }
    return false
  }

  /// Whether a row has as many values as the table has columns; anything else is malformed.
  func fits(_ change: borrowing Change) -> Bool {
    let count = relation.columns.count
    return (change.kind == .delete || change.new.count == count)
      && (change.oldImage == .none || change.old.count == count)
  }
}

extension Change.OldImage {
  /// Whether nulls of such an old row are values that were not sent; `isPartial` is
  /// ``Table/hasPartialOldRows``.
  ///
  /// The columns of an identity's index are never null: where one is, a partition has another
  /// identity than the root that it is published as.
  @inline(__always)
  func leavesOutNulls(ofPartial isPartial: Bool) -> Bool {
    self == .key || (self == .full && isPartial)
  }
}
