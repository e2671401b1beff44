import PGWire

/// The plans of the tables that Relation messages have described.
///
/// What a streamed transaction says of a table is its own until it commits, so while one is read
/// its plans stand beside the connection's. When it has committed, the server takes its Relation
/// messages as sent for good: the one of each table that was *received* last counts from then on,
/// whichever was read last.
struct KnownTables {
  private struct Entry {
    let plan: KnownTable
    /// The number of the Relation message that described it last.
    var number: UInt64
  }

  private var shared: [UInt32: Entry] = [:]
  private var stream: [UInt32: Entry]?
  private var last: KnownTable?
  private var counted: UInt64 = 0
  private var asked: UInt64 = 0

  /// Numbers a Relation message that has been received.
  mutating func count() -> UInt64 {
    counted += 1
    return counted
  }

  /// The plan of a table; nil when nothing has described it.
  @inline(__always)
  mutating func plan(_ oid: UInt32) -> KnownTable? {
    if let last, last.table.relation.oid == oid { return last }
    guard let entry = stream == nil ? shared[oid] : stream?[oid] else { return nil }
    last = entry.plan
    return entry.plan
  }

  /// Takes a description that changes nothing; false when the table has to be looked up, and is
  /// unknown until ``learn(_:)``.
  ///
  /// A table with types of users is looked up whenever it is described: they may have changed.
  mutating func knows(_ relation: Relation, number: UInt64) -> Bool {
    let oid = relation.oid
    let own = stream == nil ? shared[oid] : stream?[oid]
    if let known = own ?? shared[oid], known.plan.table.relation == relation,
      !relation.columns.contains(where: { $0.type >= TypeCatalog.firstUserType })
    {
      learn(known.plan, number: number)
      return true
    }
    last = nil
    if stream == nil { shared[oid] = nil } else { stream?[oid] = nil }
    asked = number
    return false
  }

  /// A table that is known is looked up again, and ``learn(_:)`` tells what was found.
  mutating func refresh(_ oid: UInt32) {
    asked = (stream == nil ? shared[oid] : stream?[oid])?.number ?? 0
  }

  /// Takes the plan of the table that was asked for last.
  mutating func learn(_ plan: KnownTable) { learn(plan, number: asked) }

  private mutating func learn(_ plan: KnownTable, number: UInt64) {
    let entry = Entry(plan: plan, number: number)
    let oid = plan.table.relation.oid
    last = nil
    if stream == nil { shared[oid] = entry } else { stream?[oid] = entry }
  }

  /// A streamed transaction is read: it knows only what it says itself.
  mutating func beginStream() {
    stream = [:]
    last = nil
  }

  /// The transaction has been read: what it said of tables is the connection's, where nothing was
  /// received later.
  mutating func endStream() {
    for (oid, entry) in stream ?? [:] where entry.number > shared[oid]?.number ?? 0 {
      shared[oid] = entry
    }
    stream = nil
    last = nil
  }
}
