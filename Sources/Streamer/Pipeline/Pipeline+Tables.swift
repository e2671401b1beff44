import PGWire

/// Tables: what a Relation message says, and the look-up of what it does not say.
extension Pipeline {
  /// The table of a row that has come; nil when its look-up has not been answered: the row waits.
  @inline(__always)
  mutating func table(_ relation: UInt32) throws(DecodingError) -> KnownTable? {
    switch tables.find(relation) {
    case .known(let table): return table
    case .awaited:
      awaitedTable = relation
      return nil
    case .unknown: throw violation("a row precedes its relation")
    }
  }

  /// A table is described; `number` counts such messages as they were received.
  mutating func described(
    _ relation: Relation, number: UInt64, at place: KnownTables.MessagePlace, _ lsn: LSN
  ) {
    if tables.takes(relation, number: number, at: place) { return }
    let request = request(for: relation, at: transaction?.commitLSN ?? max(lsn, sent))
    requests.append(request)
    tables.ask(request, describedBy: number)
  }

  /// Makes a look-up of a table that was described at a position.
  mutating func request(
    for relation: Relation, at position: LSN, isRefresh: Bool = false
  ) -> TableRequest {
    lastRequest += 1
    let topics = routes(of: relation, by: encodings.indices.map { encodings[$0].setup })
    return TableRequest(
      number: lastRequest, connection: connection, relation: relation, topics: topics,
      writers: schemaWriters(of: relation), position: position, isRefresh: isRefresh)
  }

  /// What writes a table's schemas for the lanes; empty where it is in no format that has some.
  private func schemaWriters(of relation: Relation) -> [SchemaWriter?] {
    let writers: [SchemaWriter?] = encodings.indices.map { index in
      let setup = encodings[index].setup
      let format = setup.format(schema: relation.schema, table: relation.name)
      return format.hasSchemas ? SchemaWriter(setup.written(in: format), origin) : nil
    }
    return writers.contains { $0 != nil } ? writers : []
  }

  private func routes(of relation: Relation, by setups: [LaneSetup]) -> [String?] {
    setups.map {
      $0.topic(database: origin.database, schema: relation.schema, table: relation.name)
    }
  }

  /// The topics that the tables which were described would have by these setups.
  func routes(by setups: [LaneSetup]) -> [(name: TablePolicy.Name, topics: [String?])] {
    tables.descriptions.map { (TablePolicy.Name($0.relation), routes(of: $0.relation, by: setups)) }
  }

  /// The lanes go by other setups from here on; no transaction may be open.
  ///
  /// Every table is looked up again, as it was described and for where that was, so that its key
  /// stays what it is.
  mutating func adopt(_ setups: [LaneSetup], messageTopics: [TopicID?]) {
    for index in encodings.indices {
      encodings[index].adopt(setups[index], origin, messageTopic: messageTopics[index])
      encodings[index].state.outbox.topics.forget()
    }
    requests = []
    for old in tables.restart() {
      let request = request(for: old.relation, at: old.position)
      requests.append(request)
      tables.ask(request, describedBy: old.number)
    }
  }

  /// Keeps a row waiting until the types of its table have been looked up again.
  ///
  /// The server describes a table anew when the table has changed, but not when a type has.
  mutating func hold(rowOf table: KnownTable) {
    let relation = table.table.relation
    awaitedTable = relation.oid
    let request = request(
      for: relation, at: transaction?.commitLSN ?? sent, isRefresh: true)
    requests.append(request)
    tables.askAgain(request)
  }

  /// The look-ups to be made that nobody has taken yet: each is given once.
  ///
  /// Many at once cost hardly more than one.
  mutating func takeRequests() -> [TableRequest] {
    defer { requests.removeAll() }
    return requests
  }

  /// What an outbox has instead of a topic's number: its rows name their topics.
  private static let noTopic: TopicID = -1

  /// Whether a lane has a table as its outbox, and nothing is in the way.
  private func isOutbox(_ relation: Relation, _ left: [LeftOut?], lane index: Int) -> Bool {
    encodings[index].setup.isOutbox(schema: relation.schema, table: relation.name)
      && (index >= left.count || left[index] == nil)
  }

  /// Takes the answer to a look-up: its table's rows may be read.
  ///
  /// One that belongs to an older connection is void.
  mutating func answer(_ request: TableRequest, _ answer: TableAnswer) {
    guard request.connection == connection, tables.isOutstanding(request.number) else { return }
    let table = Table(request.relation, catalogKey: answer.catalogKey)
    var topics = answer.topics
    var left = answer.left
    var rules: [RowRules?] = topics.map { _ in nil }
    for index in encodings.indices where isOutbox(request.relation, left, lane: index) {
      topics[index] = Self.noTopic
    }
    for index in encodings.indices where topics[index] != nil {
      let rule = encodings[index].setup.rules.rule(
        schema: request.relation.schema, table: request.relation.name)
      guard !rule.isEmpty else { continue }
      rules[index] = try? RowRules(rule, table, answer.types)
      guard rules[index] == nil else { continue }
      // What does not fit was found when the topics were; values that a rule masks are never shown.
      topics[index] = nil
      if index < left.count { left[index] = .rule }
    }
    let metrics = observer.table(
      request.relation, hasTopic: topics.map { $0 != nil }, left: left)
    var tableLanes: [TableLane?] = []
    for index in encodings.indices {
      guard let topic = topics[index] else {
        tableLanes.append(nil)
        continue
      }
      let schemas = index < answer.schemas.count ? answer.schemas[index] : nil
      if let refusal = schemas?.refusal {
        lanes[index].hold(
          topic, of: table.qualifiedName, at: "LSN \(request.position)", because: refusal)
      }
      let rules = rules[index]
      let shown = rules?.view ?? table
      let outbox =
        topic == Self.noTopic
        ? try? encodings[index].setup.outboxPlan(shown.relation, answer.types) : nil
      // What it lacks was found when its topics were.
      guard topic != Self.noTopic || outbox != nil else {
        tableLanes.append(nil)
        continue
      }
      // What an outbox keeps is the sink's own.
      let format = outbox == nil ? encodings[index].formatIndex(of: request.relation) : 0
      tableLanes.append(
        TableLane(
          route: Route(topic: topic, table: table.qualifiedName),
          plan: outbox
            ?? encodings[index].formats[format].format.plan(
              shown, types: answer.types,
              schemas: schemas),
          format: format, rules: rules, metrics: metrics.sinks[index]))
    }
    tables.learn(
      KnownTable(
        table: table, at: request.position, lanes: tableLanes, metrics: metrics,
        binary: answer.binary, mayRefresh: !request.isRefresh,
        isSignal: settings.signalTable?.matches(
          schema: request.relation.schema, table: request.relation.name) ?? false),
      for: request.number)
  }
}
