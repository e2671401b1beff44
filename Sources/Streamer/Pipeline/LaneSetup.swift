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
  /// How keys are written where the format takes it; nil for each format's standard.
  var key: KeyFormat?
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

  /// How keys are written.
  var keyFormat: KeyFormat { format.key(wanted: key) }

  /// The format of a table's events: that of its rule, or the sink's own.
  func format(schema: String, table: String) -> FormatConfiguration.Name {
    rules.rule(schema: schema, table: table).format ?? format
  }

  /// The formats in use, the sink's own first.
  var formats: [FormatConfiguration.Name] { rules.formats(beside: format) }

  /// The same where events are written in another format.
  func written(in format: FormatConfiguration.Name) -> LaneSetup {
    guard format != self.format else { return self }
    var setup = self
    setup.format = format
    return setup
  }

  /// Whether tables have to fit what the configuration says of them.
  var fitsTables: Bool { rules != TableRules() || outbox?.table != nil }

  /// Every topic that the configuration names: they must exist, or be created.
  var namedTopics: [String] {
    routing.named
      + [messageTopic, deadLetterTopic, notificationTopic, transactionTopic].compactMap(\.self)
  }
}
