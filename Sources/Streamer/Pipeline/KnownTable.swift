import PGWire

/// Everything that rows of one table need, worked out once for each Relation message: the table,
/// and for each lane the topic and the format's plan.
///
/// A class so that a row finds it by one look-up and copies nothing of it.
final class KnownTable {
  /// What one lane does with the table's events; nil excludes them.
  struct LanePlan {
    let route: Route
    let encoding: EventEncoder.Plan
  }

  /// The table.
  let table: Table
  /// One for each lane, in the lanes' order.
  let lanes: [LanePlan?]
  /// The table's counters.
  let metrics: TableMetrics
  /// Turns rows that came in binary into text; nil where rows come as text.
  let binary: BinaryRow?
  /// Whether a row that disagrees with what is known of its types lets them be looked up again.
  ///
  /// Not where that has just been done in vain, until a row agrees.
  var mayRefresh: Bool

  init(
    table: Table, lanes: [LanePlan?], metrics: TableMetrics, binary: BinaryRow? = nil,
    mayRefresh: Bool = true
  ) {
    self.table = table
    self.lanes = lanes
    self.metrics = metrics
    self.binary = binary
    self.mayRefresh = mayRefresh
  }

  /// Counts a change of a row.
  func count(_ kind: Change.Kind) {
    metrics.source.events.add()
    switch kind {
    case .insert: metrics.source.inserts.add()
    case .update: metrics.source.updates.add()
    case .delete: metrics.source.deletes.add()
    }
  }
}

/// What must be found out, off the pipeline's thread, before rows of a table can be read.
struct TableRequest: Sendable {
  /// The table.
  let relation: Relation
  /// The topic for each lane, in the lanes' order; nil excludes the table there.
  let topics: [String?]
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
  let topics: [TopicID?]
  /// Turns rows that come in binary into text; nil where rows come as text.
  var binary: BinaryRow?
}
