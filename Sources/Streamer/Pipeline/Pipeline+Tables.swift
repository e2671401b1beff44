import PGWire

/// Tables: what a Relation message says, and the look-up of what it does not say.
extension Pipeline {
  /// The plan of a table whose row has come.
  mutating func plan(_ relation: UInt32) throws(DecodingError) -> KnownTable {
    guard let plan = tables.plan(relation) else { throw violation("a row precedes its relation") }
    return plan
  }

  /// A table is described; `number` counts such messages as they were received.
  mutating func described(_ relation: Relation, number: UInt64) {
    if tables.knows(relation, number: number) { return }
    request = request(for: relation)
  }

  private func request(for relation: Relation) -> TableRequest {
    let topics = lanes.map { lane in
      lane.routing.topic(database: database, schema: relation.schema, table: relation.name)
    }
    return TableRequest(relation: relation, topics: topics)
  }

  /// Keeps a row waiting until the types of its table have been looked up again.
  ///
  /// The server describes a table anew when the table has changed, but not when a type has.
  mutating func hold(rowOf plan: KnownTable) {
    holdsRow = true
    tables.refresh(plan.table.relation.oid)
    request = request(for: plan.table.relation)
    request?.isRefresh = true
  }

  /// Answers the open ``request``: reading may go on.
  mutating func answer(_ answer: TableAnswer) {
    guard let request else { return }
    self.request = nil
    let table = Table(request.relation, catalogKey: answer.catalogKey)
    let name = table.qualifiedName
    let lanePlans = zip(lanes, answer.topics).map { (lane, topic) -> KnownTable.LanePlan? in
      guard let topic else { return nil }
      return KnownTable.LanePlan(
        route: Route(topic: topic, table: name),
        encoding: lane.encoder.plan(table, types: answer.types))
    }
    tables.learn(
      KnownTable(
        table: table, lanes: lanePlans,
        metrics: observer.table(request.relation, hasTopic: lanePlans.map { $0 != nil }),
        binary: answer.binary, mayRefresh: !request.isRefresh))
  }
}
