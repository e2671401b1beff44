import PGWire

/// Everything that rows of one table need, worked out once for each Relation message: the table,
/// and what each lane does with it.
///
/// A class so that a row finds it by one look-up and copies nothing of it; all of it is constant.
final class KnownTable {
  /// The table.
  let table: Table
  /// What each lane does with it, in the lanes' order; nil excludes it there.
  let lanes: [TableLane?]
  /// Where it was described, as its ``TableRequest`` says.
  let position: LSN
  /// The table's counters; holding them keeps their series.
  let metrics: TableMetrics
  /// Turns rows that came in binary into text; nil where rows come as text.
  let binary: BinaryRow?
  /// Whether a row that disagrees with what is known of its types lets them be looked up again.
  ///
  /// Not where that has just been done in vain, until a row agrees.
  let mayRefresh: Bool
  /// Whether its rows hold rows, whose number of fields tells whether a type has changed.
  let holdsComposites: Bool
  /// Whether its new rows are signals.
  let isSignal: Bool

  init(
    table: Table, at position: LSN, lanes: [TableLane?], metrics: TableMetrics,
    binary: BinaryRow? = nil, mayRefresh: Bool = true, isSignal: Bool = false
  ) {
    self.isSignal = isSignal
    self.table = table
    self.position = position
    self.lanes = lanes
    self.metrics = metrics
    self.binary = binary
    self.mayRefresh = mayRefresh
    holdsComposites = lanes.contains { $0?.plan.holdsComposites == true }
  }

  /// The same, now that a row has agreed with it.
  var refreshable: KnownTable {
    KnownTable(
      table: table, at: position, lanes: lanes, metrics: metrics, binary: binary,
      isSignal: isSignal)
  }

  /// Counts a change of a row, or a row that existed, which is an event but no change.
  @inline(__always)
  func count(_ kind: Change.Kind, isRead: Bool = false) {
    metrics.source.events.add()
    guard !isRead else { return }
    switch kind {
    case .insert: metrics.source.inserts.add()
    case .update: metrics.source.updates.add()
    case .delete: metrics.source.deletes.add()
    }
  }
}

/// What must be found out, off the pipeline's thread, before rows of a table can be read.
struct TableRequest: Sendable {
  /// Its own number.
  let number: UInt64
  /// The number of the connection it belongs to: an answer that comes later than that is void.
  let connection: Int
  /// The table.
  let relation: Relation
  /// The topic for each lane, in the lanes' order; nil excludes the table there.
  let topics: [String?]
  /// What writes the table's schemas, for each lane whose format has some; empty where none has.
  var writers: [SchemaWriter?] = []
  /// Where it was described: the commit LSN of the transaction, or the LSN of a message outside.
  let position: LSN
  /// Whether a row is waiting that disagreed with what was known of its types.
  var isRefresh = false
}

/// The answer to a ``TableRequest``.
struct TableAnswer: Sendable {
  /// The columns of the primary key, asked for where the replica identity does not name them.
  let catalogKey: [String]
  /// All types that the table's columns refer to.
  let types: TypeCatalog
  /// The number of each lane's topic, in the lanes' order.
  var topics: [TopicID?]
  /// Why lanes leave the table out, in their order; empty when nobody asked.
  var left: [LeftOut?] = []
  /// The numbers of the table's schemas, for each lane whose format has some.
  var schemas: [SchemaNumbers?] = []
  /// Turns rows that come in binary into text; nil where rows come as text.
  var binary: BinaryRow?
}
