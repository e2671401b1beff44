import KafkaBridge
import PGWire

/// The database that a stream comes from; another connection may lead to another one.
struct StreamOrigin: Hashable, Sendable {
  /// The server's system identifier.
  var systemIdentifier: UInt64 = 0
  /// The server as the configuration names it.
  var host = ""
  /// The database's name.
  var database = ""
  /// Whether its texts may hold bytes that are no text: the database is in SQL_ASCII.
  var holdsAnyBytes = false
}

/// What of a lane depends on the connection: its formats, and where logical messages go.
struct LaneEncoding: ~Copyable {
  /// How the lane's events are routed and written.
  private(set) var setup: LaneSetup
  /// The formats that its events are written in: the sink's own first, then those of tables' rules.
  var formats: OwnedArray<LaneFormat>
  /// Where logical messages go; nil excludes them.
  private(set) var messageRoute: Route?
  /// Where it goes what is told of transactions, and how it is written; nil tells nothing.
  var metadataRoute: Route?
  private(set) var metadata: TransactionMetadata?
  /// How logical messages that are events of an outbox become records; nil where none are.
  private(set) var messagePlan: OutboxMessagePlan?
  /// What the prefixes of those begin with.
  private(set) var outboxPrefix: [UInt8]?

  init(_ setup: LaneSetup) {
    self.setup = setup
    formats = LaneFormat.all(of: setup, StreamOrigin())
  }

  /// The sink's own format: that of all that is no row of a table, and of most tables.
  var format: any Format { formats[0].format }

  /// What the sink's own format keeps from row to row.
  var state: EncodingState {
    @inline(__always) _read { yield formats[0].state }
    @inline(__always) _modify { yield &formats[0].state }
  }

  /// Which of the formats a table's events are written in.
  func formatIndex(of relation: Relation) -> Int {
    let name = setup.format(schema: relation.schema, table: relation.name)
    return formats.indices.first { formats[$0].name == name } ?? 0
  }

  /// A new connection begins.
  mutating func connected(_ origin: StreamOrigin, messageTopic: TopicID?) {
    var formats = LaneFormat.all(of: setup, origin)
    for index in formats.indices { formats[index].state.lastEnd = state.lastEnd }
    // What the lane's own keeps outlives its connections.
    swap(&formats[0].state, &self.formats[0].state)
    swap(&formats, &self.formats)
    messageRoute = messageTopic.map { Route(topic: $0, table: "") }
    metadata =
      setup.format == .debezium && metadataRoute != nil
      ? TransactionMetadata(setup.debezium, key: setup.keyFormat) : nil
    messagePlan = setup.outbox.flatMap { OutboxMessagePlan($0, setup.routing.names) }
    outboxPrefix = setup.outbox?.messages.map { Array($0.utf8) }
  }

  /// Events are routed and written by another setup from now on.
  mutating func adopt(_ setup: LaneSetup, _ origin: StreamOrigin, messageTopic: TopicID?) {
    self.setup = setup
    connected(origin, messageTopic: messageTopic)
  }

  /// Reading begins, or begins again, at a position.
  mutating func start(at position: LSN) { end(position) }

  /// A transaction begins: the events that follow are its own.
  mutating func begin(_ transaction: Transaction) {
    for index in formats.indices { formats[index].begin(transaction) }
  }

  /// The transaction ends.
  mutating func end(_ endLSN: LSN) {
    for index in formats.indices { formats[index].state.lastEnd = endLSN }
  }
}

/// What one lane does with one table: its route, its format's plan, its counters.
///
/// It dies with the table's description.
final class TableLane {
  /// Where the events go.
  let route: Route
  /// How they are written.
  let plan: any TablePlan
  /// Which of the lane's formats the plan is of.
  let format: Int
  /// What the sink's rules make of the rows; nil where there are none.
  let rules: RowRules?
  /// The table's counters in the lane's sink.
  let metrics: SinkTableMetrics

  init(
    route: Route, plan: any TablePlan, format: Int = 0, rules: RowRules? = nil,
    metrics: SinkTableMetrics
  ) {
    self.route = route
    self.plan = plan
    self.format = format
    self.rules = rules
    self.metrics = metrics
  }
}
