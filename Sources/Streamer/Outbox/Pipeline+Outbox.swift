import PGWire

/// A topic of a sink's outbox that is not known: the sink is asked for it, while reading goes on.
struct TopicRequest: Sendable {
  /// The lane's number.
  let lane: Int
  /// How often its sink had been replaced: an answer of another one is void.
  let generation: Int
  /// The topic.
  let topic: OutboxTopics.Unknown
}

/// Asks sinks for topics.
struct TopicJob: Sendable {
  /// The topics.
  let requests: [TopicRequest]
  /// The sinks of all lanes.
  let sinks: SinkList

  /// Asks each sink once for all of its topics; blocks.
  func run() -> [Result<TopicID, StreamerError>] {
    let rows = requests.map { request in
      sinks.sinks.indices.map { $0 == request.lane ? request.topic.name : nil }
    }
    return zip(requests, sinks.answers(rows)).compactMap { $1[$0.lane] }
  }
}

/// What of an outbox was passed over, for the log.
struct OutboxNotice: Sendable {
  /// The sink's name.
  let sink: String
  /// The table's qualified name, or what else it is.
  let table: String
  /// Where it stands.
  let lsn: LSN
  /// Why.
  let why: String
  /// Whether the log calls it an error.
  let isError: Bool
}

/// Outboxes: events that name their topics themselves.
extension Pipeline {
  /// Sees to an event of which a lane's outbox has made a record without a topic's number, or none.
  @inline(never)
  mutating func outboxed(
    _ event: borrowing RowEvent, _ table: KnownTable, _ lane: TableLane, from first: Int,
    lane index: Int
  ) {
    encodings[index].state.setback = nil
    let name = lane.route.table
    guard let fault = encodings[index].state.outbox.fault.take() else {
      ask(lane: index)
      return lanes[index].setAside(from: first, event.place, table: name)
    }
    if leavesOut(fault, name, event.place, lane: index) {
      lane.metrics.leaveOut()
      return
    }
    let why = "an event of \(name) cannot go anywhere: \(fault.why)"
    guard let route = lanes[index].deadLetters else {
      return lanes[index].refused(event.place, undeliverable(fault, why, event.place, lane: index))
    }
    let bytes = event.row.byteCount
    var letter = letter(fault, why, name, event.place, size: bytes, lane: index)
    letter.digest = event.row.digest(of: bytes)
    letter.key = lane.rules == nil ? event.row.key(table.table.key, of: table.table.relation) : nil
    lanes[index].bury(letter, into: route)
  }

  /// The same of a message.
  mutating func outboxed(
    _ message: borrowing LogicalMessage, _ place: EventPlace, from first: Int, size: Int,
    lane index: Int
  ) {
    encodings[index].state.setback = nil
    let name = Self.outboxMessages
    guard let fault = encodings[index].state.outbox.fault.take() else {
      ask(lane: index)
      return lanes[index].setAside(from: first, place, table: name)
    }
    if leavesOut(fault, name, place, lane: index) { return }
    let why = "a logical message of the outbox cannot go anywhere: \(fault.why)"
    guard let route = lanes[index].deadLetters else {
      return lanes[index].refused(place, undeliverable(fault, why, place, lane: index))
    }
    var letter = letter(fault, why, name, place, size: size, lane: index)
    if size <= Limits.hashedBytes { letter.digest = SHA256.digest(of: message.content.copied) }
    lanes[index].bury(letter, into: route)
  }

  /// Has the sink asked for the topics that have been met.
  private mutating func ask(lane index: Int) {
    for topic in encodings[index].state.outbox.topics.takeUnasked() {
      topicRequests.append(
        TopicRequest(lane: index, generation: lanes[index].generation, topic: topic))
    }
  }

  /// Whether the configuration passes over such an event; counts and notes it.
  private mutating func leavesOut(
    _ fault: OutboxFault, _ table: String, _ place: EventPlace, lane index: Int
  ) -> Bool {
    let setup = encodings[index].setup
    var isError = false
    switch fault {
    case .update:
      let action = setup.outbox?.onInvalidOperation ?? .warn
      guard action != .fatal else { return false }
      isError = action == .error
    case .topicName where setup.onTableError == .exclude && lanes[index].deadLetters == nil: break
    default: return false
    }
    lanes[index].passed(place)
    lanes[index].counts.excluded += 1
    note(table, place.lsn, fault.why, isError: isError, lane: index)
    return true
  }

  private mutating func note(
    _ table: String, _ lsn: LSN, _ why: String, isError: Bool = false, lane index: Int
  ) {
    guard outboxNotices.count < Limits.notices else { return }
    outboxNotices.append(
      OutboxNotice(sink: lanes[index].name, table: table, lsn: lsn, why: why, isError: isError))
  }

  private func undeliverable(
    _ fault: OutboxFault, _ why: String, _ place: EventPlace, lane index: Int
  ) -> StreamerError {
    StreamerError(
      what: "sink \(lanes[index].name)",
      why: "\(why) (LSN \(place.lsn), transaction \(transaction?.commitLSN ?? .zero))",
      hint: fault.remedy(lanes[index].name))
  }

  func letter(
    _ fault: OutboxFault, _ why: String, _ table: String, _ place: EventPlace, size: Int,
    lane index: Int
  ) -> DeadLetter {
    var topic = ""
    if case .topicName(let name) = fault { topic = name }
    return DeadLetter(
      source: settings.source, sink: lanes[index].name, topic: topic, table: table, place: place,
      commitLSN: transaction?.commitLSN ?? .zero, cause: .outbox, reason: why, size: size,
      digest: [])
  }

  // MARK: - Topics

  /// The topics that sinks have to be asked for, of those that can be: each is given once.
  mutating func takeTopicRequests() -> [TopicRequest] {
    if topicRequests.isEmpty { return [] }
    defer { topicRequests = [] }
    return topicRequests.filter {
      lanes[$0.lane].isOpen && lanes[$0.lane].generation == $0.generation
    }
  }

  /// What asks the sinks for them, on the worker; nil when there is nothing to ask.
  mutating func topicJob() -> TopicJob? {
    let requests = takeTopicRequests()
    return requests.isEmpty ? nil : TopicJob(requests: requests, sinks: SinkList(lanes.sinks))
  }

  /// Takes the sinks' answers: what waited for a topic goes there.
  ///
  /// A topic that cannot be had stops the source, unless `onTableError` leaves it out.
  mutating func answer(
    _ requests: [TopicRequest], _ answers: [Result<TopicID, StreamerError>]
  ) throws(StreamerError) {
    var failure: StreamerError?
    for (request, answer) in zip(requests, answers) {
      let (index, number) = (request.lane, request.topic.number)
      guard lanes[index].generation == request.generation,
        encodings[index].state.outbox.topics.awaits(number)
      else { continue }
      switch answer {
      case .success(let topic):
        encodings[index].state.outbox.topics.learn(topic, for: number)
        lanes[index].release(number, as: topic)
      case .failure(let error):
        guard !error.isRetryable, LeftOut(error) != nil else {
          failure = failure ?? error
          continue
        }
        encodings[index].state.outbox.topics.learn(nil, for: number)
        guard encodings[index].setup.onTableError == .exclude else {
          lanes[index].refuse(topic: number, stop(error, request.topic.name, lane: index))
          continue
        }
        let count = lanes[index].leaveOut(number)
        note(
          "\(count) events", sent, "topic \(request.topic.name): \(error.why)", lane: index)
      }
    }
    if let failure { throw failure }
  }

  private func stop(_ error: StreamerError, _ topic: String, lane index: Int) -> StreamerError {
    let sink = lanes[index].name
    return StreamerError(
      what: error.what, why: "topic \(topic), which the outbox names: \(error.why)",
      hint: (error.hint.isEmpty ? "" : error.hint + " Or set ") + (error.hint.isEmpty ? "Set " : "")
        + "createTopics = \"create\" or onTableError = \"exclude\" in [sink.\(sink)].",
      cause: error.cause)
  }

  /// Has the topics asked for again that records wait for; the others are forgotten.
  mutating func askTopicsAgain() {
    topicRequests = []
    for index in lanes.indices {
      let awaited = lanes[index].awaited
      encodings[index].state.outbox.topics.askAgain(awaited.contains)
      ask(lane: index)
    }
  }

  /// What of outboxes was passed over since the last call, some of it.
  mutating func takeOutboxNotices() -> [OutboxNotice] {
    if outboxNotices.isEmpty { return [] }
    defer { outboxNotices = [] }
    return outboxNotices
  }
}

extension LaneSetup {
  /// How the rows of an outbox become records; throws where it lacks a column.
  func outboxPlan(
    _ relation: Relation, _ types: TypeCatalog
  ) throws(TableRules.Misfit) -> OutboxPlan? {
    guard let outbox else { return nil }
    return try OutboxPlan(outbox, routing.names, relation, types)
  }

  /// Why the sink's rules, or its outbox, do not fit a table, with the line of the file and the
  /// remedy; nil where they do.
  func misfit(_ table: DescribedRelation, of sink: String) -> StreamerError? {
    if let error = rules.misfit(table, of: sink) { return error }
    let (schema, name) = (table.relation.schema, table.relation.name)
    guard let outbox, outbox.covers(schema: schema, table: name) else { return nil }
    do throws(TableRules.Misfit) {
      let rule = rules.rule(schema: schema, table: name)
      let known = Table(table.relation, catalogKey: table.key)
      let view = rule.isEmpty ? nil : try RowRules(rule, known, table.types).view
      _ = try outboxPlan(view?.relation ?? table.relation, table.types)
      return nil
    } catch {
      let place = outbox.places[error.key.lowercased()] ?? outbox.places[""]
      return StreamerError(
        what: "sink \(sink)",
        why: "\(error.why), and the outbox needs it as \(error.key)"
          + (place.map { " (\($0))" } ?? ""),
        hint: "Name the table's own column in [sink.\(sink).outbox], or add it to the table.",
        exit: .preflight, cause: .tableRule)
    }
  }
}
