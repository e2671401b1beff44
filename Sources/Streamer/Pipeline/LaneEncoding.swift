import KafkaBridge
import PGWire

/// How a lane's events are routed and written, taken from the configuration: what of a sink may
/// change while its source streams.
struct LaneSetup: Hashable, Sendable {
  /// How the sink's topics are chosen.
  var routing: TopicRouting
  /// The topic of logical messages; nil excludes them.
  var messageTopic: String?
  /// The topic of changes that cannot be delivered; nil stops the source over them.
  var deadLetterTopic: String?
  /// The topic of what is told of copies of existing rows; nil tells nothing.
  var notificationTopic: String?
  /// The topic of what is told of transactions; nil tells nothing.
  var transactionTopic: String?
  /// How values are written.
  var values = ValueOptions()
  /// The headers that records carry.
  var headers = EventHeaders.none
  /// What the trouble of one table with its topic does; nil depends on when the table appeared.
  var onTableError: TableErrorAction?
  /// Whether the configuration routes each table to a topic of its own choice.
  var routesTables = false
  /// Whose rows and messages name their topics themselves; nil for none.
  var outbox: OutboxOptions?
  /// How events are written.
  var format = FormatConfiguration.Name.psqlStreamer
  /// How keys are written.
  var key = KeyFormat.json
  /// How Debezium's formats are written.
  var debezium = DebeziumOptions()
  /// How rows without an envelope are written.
  var flat = FlatOptions()
  /// Where the attributes of CloudEvents stand.
  var cloudEvents = CloudEventsMode.structured
  /// What records have that name schemas.
  var schemas = SchemaOptions()
  /// What is different for single tables.
  var rules = TableRules()

  /// The topic of a table, or of logical messages when it has no name; nil leaves its events out.
  func topic(database: String, schema: String, table: String) -> String? {
    if isOutbox(schema: schema, table: table) { return nil }
    return table.isEmpty
      ? messageTopic : routing.topic(database: database, schema: schema, table: table)
  }

  /// Whether a table is the sink's outbox: it has no topic of its own, its rows have.
  func isOutbox(schema: String, table: String) -> Bool {
    outbox?.covers(schema: schema, table: table) ?? false
  }

  /// Whether tables have to fit what the configuration says of them.
  var fitsTables: Bool { rules != TableRules() || outbox?.table != nil }

  /// Every topic that the configuration names: they must exist, or be created.
  var namedTopics: [String] {
    routing.named
      + [messageTopic, deadLetterTopic, notificationTopic, transactionTopic].compactMap(\.self)
  }
}

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

/// What of a lane depends on the connection: its format, and where logical messages go.
struct LaneEncoding: ~Copyable {
  /// How the lane's events are routed and written.
  private(set) var setup: LaneSetup
  /// Turns changes into records.
  private(set) var format: any Format
  /// What the format keeps from row to row.
  var state = EncodingState()
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
    format = Self.format(setup, StreamOrigin())
  }

  private static func format(_ setup: LaneSetup, _ origin: StreamOrigin) -> any Format {
    switch setup.format {
    case .psqlStreamer: NativeFormat(origin, options: setup.values, headers: setup.headers)
    case .debezium:
      DebeziumFormat(
        origin, options: setup.debezium, key: setup.key,
        countsTransactions: setup.transactionTopic != nil)
    case .flat: FlatFormat(origin, setup.flat, setup.debezium, key: setup.key)
    case .cloudEvents: CloudEventsFormat(origin, options: setup.values, setup.cloudEvents)
    case .text: TextFormat(origin, options: setup.values)
    case .avro: AvroFormat(setup, origin)
    case .jsonSchema: JSONSchemaFormat(setup, origin)
    case .protobuf: ProtobufFormat(setup, origin)
    }
  }

  /// A new connection begins.
  mutating func connected(_ origin: StreamOrigin, messageTopic: TopicID?) {
    format = Self.format(setup, origin)
    messageRoute = messageTopic.map { Route(topic: $0, table: "") }
    metadata =
      setup.format == .debezium && metadataRoute != nil
      ? TransactionMetadata(setup.debezium, key: setup.key) : nil
    messagePlan = setup.outbox.flatMap { OutboxMessagePlan($0, setup.routing.names) }
    outboxPrefix = setup.outbox?.messages.map { Array($0.utf8) }
  }

  /// Events are routed and written by another setup from now on.
  mutating func adopt(_ setup: LaneSetup, _ origin: StreamOrigin, messageTopic: TopicID?) {
    self.setup = setup
    connected(origin, messageTopic: messageTopic)
  }

  /// Reading begins, or begins again, at a position.
  mutating func start(at position: LSN) { state.lastEnd = position }

  /// A transaction begins: the events that follow are its own.
  mutating func begin(_ transaction: Transaction) { format.begin(transaction, &state) }

  /// The transaction ends.
  mutating func end(_ endLSN: LSN) { state.lastEnd = endLSN }
}

/// What one lane does with one table: its route, its format's plan, its counters.
///
/// It dies with the table's description.
final class TableLane {
  /// Where the events go.
  let route: Route
  /// How they are written.
  let plan: any TablePlan
  /// What the sink's rules make of the rows; nil where there are none.
  let rules: RowRules?
  /// The table's counters in the lane's sink.
  let metrics: SinkTableMetrics

  init(route: Route, plan: any TablePlan, rules: RowRules? = nil, metrics: SinkTableMetrics) {
    self.route = route
    self.plan = plan
    self.rules = rules
    self.metrics = metrics
  }
}
