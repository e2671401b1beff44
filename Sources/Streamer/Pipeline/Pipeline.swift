import KafkaBridge
import PGWire

/// The way of a change from the server's bytes to the sinks, without sockets, clocks or threads.
///
/// It consumes the window of received bytes message by message, gives each event to every lane, and
/// stops in mid-window when the in-flight budget is spent, a tracker is full, or a table has to be
/// looked up first. What it stopped at is simply not consumed.
struct Pipeline: ~Copyable {
  /// The sinks' ways, in the configuration's order.
  let lanes: [Lane]
  /// Bytes of records that may be read and not yet durable, over all lanes.
  let inFlightLimit: Int
  /// The database's name, for topic templates.
  let database: String

  /// Gives each table its counters.
  let observer: PipelineObserver

  private var decoder = PgOutputDecoder()
  private var plans: [UInt32: RelationPlan] = [:]
  private var lastPlan: RelationPlan?

  /// The transaction being read; nil between transactions.
  private(set) var transaction: Transaction?
  /// The look-up that has to be answered before reading goes on.
  private(set) var request: RelationRequest?
  /// Bytes of this connection's stream before the message that is read next, for errors.
  private var streamOffset: UInt64 = 0
  /// The largest position that the server itself has sent on this connection: nothing beyond it
  /// may ever be acknowledged.
  private(set) var sent = LSN.zero
  /// Whether the server wants a status update at once; the reader clears it.
  var replyRequested = false
  /// How many events were made of the source's changes.
  private(set) var eventCount = 0
  /// How many keepalives came: each is a sign of life.
  private(set) var keepalives = 0
  /// How often in a row the server asked without anything new to send: it waits for us in order
  /// to shut down.
  private(set) var pings = 0
  /// Notices that came inside the stream; the reader takes them.
  private var notices: [ServerError] = []

  init(lanes: [Lane], database: String, inFlightLimit: Int, observer: PipelineObserver) {
    self.observer = observer
    self.lanes = lanes
    self.database = database
    self.inFlightLimit = inFlightLimit
  }

  // MARK: - State

  /// Where reading has to begin: the least position among the lanes.
  var startLSN: LSN { lanes.map(\.confirmed).min() ?? .zero }

  /// Bytes of records that are not yet durable, over all lanes.
  var inFlightBytes: Int {
    var sum = 0
    for lane in lanes { sum += lane.inFlightBytes }
    return sum
  }

  /// Whether the sinks hold as much as they may.
  var isOverBudget: Bool { inFlightBytes >= inFlightLimit }

  /// Whether reading cannot go on for now.
  var isBlocked: Bool {
    request != nil || isOverBudget || (transaction == nil && lanes.contains { !$0.canBegin })
  }

  /// Whether everything that was read is delivered.
  var isSettled: Bool { lanes.allSatisfy(\.tracker.isIdle) }

  /// Takes the numbers over to status and metrics.
  func report(saved: LSN, now: ContinuousClock.Instant) {
    observer.observe(self, saved: saved, now: now)
  }

  /// Whether no transaction is open: neither the one being read nor one that a lost connection
  /// has cut, which the server sends again.
  var isBetweenTransactions: Bool { transaction == nil && !lanes.contains(where: \.tracker.isOpen) }

  /// Whether no transaction is open and everything that was read is delivered.
  var isAtRest: Bool { transaction == nil && isSettled }

  /// The notices that came inside the stream since the last call.
  mutating func takeNotices() -> [ServerError] {
    defer { notices.removeAll() }
    return notices
  }

  /// A new connection begins: what the old one said of tables is void.
  mutating func connected() {
    decoder = PgOutputDecoder()
    plans.removeAll()
    lastPlan = nil
    transaction = nil
    request = nil
    sent = .zero
    streamOffset = 0
    pings = 0
    replyRequested = false
  }

  // MARK: - Reading

  /// Reads as many whole messages of the window as it may and says how many bytes they took.
  ///
  /// With `untilCommit` it stops as soon as no transaction is open.
  mutating func consume(_ window: RawSpan, untilCommit: Bool = false) throws(StreamFault) -> Int {
    var consumed = 0
    defer { for lane in lanes { lane.flush() } }
    while !isBlocked, !(untilCommit && isBetweenTransactions) {
      guard let frame = try frame(window, at: consumed) else { break }
      let fault: StreamFault?
      do throws(DecodingError) {
        fault = try take(frame.tag, window.extracting(frame.body))
      } catch {
        let body = window.extracting(frame.body)
        throw .malformed(error, StreamPlace(frame.tag, body, streamOffset: streamOffset))
      }
      if let fault { throw fault }
      streamOffset += UInt64(frame.end - consumed)
      consumed = frame.end
    }
    return consumed
  }

  private func frame(
    _ window: RawSpan, at offset: Int
  ) throws(StreamFault) -> MessageFrame? {
    do {
      guard case .complete(let frame) = try MessageFrame.scan(window, at: offset) else {
        return nil
      }
      return frame
    } catch {
      let tag = MessageTag(rawValue: window[offset])
      throw .malformed(error, StreamPlace(header: tag, streamOffset: streamOffset))
    }
  }

  /// Takes one message; returns why the stream ends when it is the server that ends it.
  private mutating func take(_ tag: MessageTag, _ body: RawSpan) throws(DecodingError)
    -> StreamFault?
  {
    switch tag {
    case .copyData: try copyData(body)
    case .errorResponse: return .server(try ServerError.decode(body))
    case .noticeResponse: notices.append(try ServerError.decode(body))
    case .copyDone:
      try ByteReader(body).finish()
      return .ended
    // A server that shuts down sends it without CopyDone.
    case .commandComplete:
      _ = try CommandComplete.decode(body)
      return .ended
    case .parameterStatus: _ = try ParameterStatus.decode(body)
    case .notificationResponse: _ = try NotificationResponse.decode(body)
    default: throw violation("this message does not belong into a stream")
    }
    return nil
  }

  private mutating func copyData(_ body: RawSpan) throws(DecodingError) {
    switch try ReplicationMessage(body) {
    case .xLogData(let start, _, let payload):
      try message(payload, at: start)
    case .keepalive(let walEnd, _, let wantsReply):
      keepalives += 1
      pings = wantsReply && walEnd <= sent ? pings + 1 : 0
      sent = max(sent, walEnd)
      replyRequested = replyRequested || wantsReply
      if transaction == nil { for lane in lanes { lane.keepalive(walEnd: walEnd) } }
    }
  }

  private mutating func message(_ payload: RawSpan, at lsn: LSN) throws(DecodingError) {
    switch try decoder.decode(payload) {
    case .change(let change): try row(change, at: lsn)
    case .begin(let begin):
      guard transaction == nil else { throw violation("a transaction begins inside another") }
      open(Transaction(xid: begin.xid, commitLSN: begin.finalLSN, commitTime: begin.commitTime))
    case .commit(let commit):
      guard let transaction, transaction.commitLSN == commit.commitLSN else {
        throw violation("a commit does not belong to the open transaction")
      }
      close(endLSN: commit.endLSN)
    case .relation(let relation): described(relation)
    case .truncate(let truncate): try truncated(truncate, at: lsn)
    case .message(let message): try logical(message)
    case .origin, .type: break
    case .streamStart, .streamStop, .streamCommit, .streamAbort, .beginPrepare, .prepare,
      .streamPrepare, .commitPrepared, .rollbackPrepared:
      throw violation("a message that was not asked for")
    }
  }

  private mutating func open(_ transaction: Transaction) {
    self.transaction = transaction
    for lane in lanes { lane.begin(transaction) }
  }

  private mutating func close(endLSN: LSN) {
    transaction = nil
    sent = max(sent, endLSN)
    for lane in lanes { lane.commit(endLSN: endLSN) }
  }

  // MARK: - Events

  private mutating func row(_ change: borrowing Change, at lsn: LSN) throws(DecodingError) {
    let plan = try plan(change.relation)
    plan.count(change.kind)
    guard plan.table.fits(change) else {
      throw violation("a row has another number of columns than its relation")
    }
    if change.kind == .update, plan.table.changesKey(change) {
      let first = EventPlace(lsn: lsn, ordinal: try takeOrdinal())
      emit(RowEvent(deletingOldKeyOf: change, at: first), plan)
      let second = EventPlace(lsn: lsn, ordinal: try takeOrdinal())
      emit(RowEvent(insertingNewKeyOf: change, at: second), plan)
    } else {
      let place = EventPlace(lsn: lsn, ordinal: try takeOrdinal())
      emit(RowEvent(change, at: place), plan)
    }
  }

  private func emit(_ event: borrowing RowEvent, _ plan: RelationPlan) {
    for index in lanes.indices {
      let lane = lanes[index]
      guard lane.wants(event.place.ordinal) else { continue }
      guard let lanePlan = plan.lanes[index] else {
        lane.counts.excluded += 1
        continue
      }
      plan.metrics.sinks[index].events.add()
      lane.produce(event.place, route: lanePlan.route) { encoder, json in
        encoder.row(event, lanePlan.encoding, into: &json)
      }
    }
  }

  private mutating func truncated(_ truncate: Truncate, at lsn: LSN) throws(DecodingError) {
    for relation in truncate.relations {
      let plan = try plan(relation)
      plan.metrics.source.truncates.add()
      let place = EventPlace(lsn: lsn, ordinal: try takeOrdinal())
      for (lane, lanePlan) in zip(lanes, plan.lanes) where lane.wants(place.ordinal) {
        guard let lanePlan else {
          lane.counts.excluded += 1
          continue
        }
        lane.produce(place, route: lanePlan.route) { encoder, json in
          encoder.truncate(place, lanePlan.encoding, into: &json)
        }
      }
    }
  }

  /// A transactional message counts in its transaction; another stands alone.
  ///
  /// A message's position is the end of its record, and a commit record may start right there: it
  /// is confirmed by that position itself, and its last byte stands for it in the order of commits.
  private mutating func logical(_ message: borrowing LogicalMessage) throws(DecodingError) {
    let alone = !message.isTransactional
    if alone {
      guard transaction == nil else { throw violation("a lone message came in a transaction") }
      guard message.lsn > .zero else { throw violation("a message has no position") }
      let last = LSN(message.lsn.value - 1)
      open(Transaction(xid: nil, commitLSN: last, commitTime: nil))
    }
    let place = EventPlace(lsn: message.lsn, ordinal: try takeOrdinal())
    for lane in lanes where lane.wants(place.ordinal) {
      guard let route = lane.messageRoute else {
        lane.counts.excluded += 1
        continue
      }
      lane.produce(place, route: route) { encoder, json in
        encoder.message(message, place, into: &json)
      }
    }
    if alone { close(endLSN: message.lsn) }
  }

  private mutating func takeOrdinal() throws(DecodingError) -> UInt64 {
    eventCount += 1
    guard let ordinal = transaction?.takeOrdinal() else {
      throw violation("a change came outside a transaction")
    }
    return ordinal
  }

  // MARK: - Tables

  private mutating func plan(_ relation: UInt32) throws(DecodingError) -> RelationPlan {
    if let lastPlan, lastPlan.table.relation.oid == relation { return lastPlan }
    guard let plan = plans[relation] else { throw violation("a row precedes its relation") }
    lastPlan = plan
    return plan
  }

  private mutating func described(_ relation: Relation) {
    if let known = plans[relation.oid], known.table.relation == relation { return }
    lastPlan = nil
    plans[relation.oid] = nil
    let topics = lanes.map { lane in
      lane.routing.topic(database: database, schema: relation.schema, table: relation.name)
    }
    request = RelationRequest(relation: relation, topics: topics)
  }

  /// Answers the open ``request``: reading may go on.
  mutating func answer(_ answer: RelationAnswer) {
    guard let request else { return }
    self.request = nil
    let table = Table(request.relation, catalogKey: answer.catalogKey)
    let name = table.qualifiedName
    let lanePlans = zip(lanes, answer.topics).map { (lane, topic) -> RelationPlan.LanePlan? in
      guard let topic else { return nil }
      return RelationPlan.LanePlan(
        route: Route(topic: topic, table: name),
        encoding: lane.encoder.plan(table, types: answer.types))
    }
    plans[request.relation.oid] = RelationPlan(
      table: table, lanes: lanePlans, metrics: observer.table(request.relation))
  }

  // MARK: - Errors

  private func violation(_ text: StaticText) -> DecodingError {
    DecodingError(.violation(text), at: 0)
  }
}

/// Why a stream ended.
enum StreamFault: Error {
  /// The server sent bytes that are no message; what was wrong, and where in the stream.
  case malformed(DecodingError, StreamPlace)
  /// The server reported an error.
  case server(ServerError)
  /// The server ended the stream in an orderly way: it shuts down.
  case ended
}
