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

  /// Where the stream stands.
  var decoder = PgOutputDecoder()
  /// What the connection knows of its tables.
  var tables = KnownTables()

  /// Open transactions that come in chunks.
  var spool: Spool
  /// The kept transaction that is being read; nil when the window is.
  var replay: StreamReplay?
  /// Bytes of a kept transaction that one call of ``consume(_:untilCommit:)`` reads at most.
  var replaySliceBytes = Limits.replaySliceBytes
  /// The prepared transaction that is kept although it does not come in chunks.
  var keptPrepare: UInt32?
  /// Where the connection began to read.
  private(set) var connectionStart = LSN.zero
  /// What came of streamed transactions; the reader takes it.
  private var streamEnds: [StreamReplay.Summary] = []

  /// The transaction being read; nil between transactions.
  var transaction: Transaction?
  /// The look-up that has to be answered before reading goes on.
  var request: TableRequest?
  /// The message read last is a row that waits for ``request``: it is read again.
  var holdsRow = false
  /// The row that came in binary, as text; nil while it is used.
  var rowText: ByteWriter? = ByteWriter()
  /// A row in binary that cannot be read: the connection has to begin again in text.
  var binaryFault: BinaryFault?
  /// Bytes of this connection's stream before the message that is read next, for errors.
  private(set) var streamOffset: UInt64 = 0
  /// The largest position that the server itself has sent on this connection: nothing beyond it
  /// may ever be acknowledged.
  private(set) var sent = LSN.zero
  /// Whether the server wants a status update at once; the reader clears it.
  var replyRequested = false
  /// How many events were made of the source's changes.
  var eventCount = 0
  /// How many keepalives came: each is a sign of life.
  private(set) var keepalives = 0
  /// How often in a row the server asked without anything new to send: it waits for us in order
  /// to shut down.
  private(set) var pings = 0
  /// Notices that came inside the stream; the reader takes them.
  private var notices: [ServerError] = []

  init(
    lanes: [Lane], database: String, inFlightLimit: Int, spool: Spool.Settings,
    observer: PipelineObserver
  ) {
    self.spool = Spool(spool)
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
    request != nil || binaryFault != nil || isOverBudget
      || (transaction == nil && lanes.contains { !$0.canBegin })
  }

  /// Whether a kept transaction is being read, and not what the server sends.
  var isReplaying: Bool { replay != nil }

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

  /// What came of streamed transactions since the last call.
  mutating func takeStreamEnds() -> [StreamReplay.Summary] {
    defer { streamEnds.removeAll() }
    return streamEnds
  }

  /// Notes what came of a streamed transaction.
  mutating func streamEnded(_ summary: StreamReplay.Summary) { streamEnds.append(summary) }

  /// The connection is lost: the server sends open transactions again.
  mutating func disconnected() {
    replay = nil
    spool.removeAll()
  }

  /// A new connection begins at `start`: what the old one said of tables is void.
  mutating func connected(at start: LSN) {
    disconnected()
    connectionStart = start
    keptPrepare = nil
    decoder = PgOutputDecoder()
    tables = KnownTables()
    transaction = nil
    request = nil
    holdsRow = false
    binaryFault = nil
    sent = .zero
    streamOffset = 0
    pings = 0
    replyRequested = false
  }

  // MARK: - Reading

  /// Reads as many whole messages of the window as it may and says how many bytes they took.
  ///
  /// A transaction that came in chunks is read from what was kept, before the window is read on, and
  /// a slice of it at each call. With `untilCommit` it stops as soon as no transaction is open.
  mutating func consume(_ window: RawSpan, untilCommit: Bool = false) throws(StreamFault) -> Int {
    var consumed = 0
    var slice = replaySliceBytes
    defer { for lane in lanes { lane.flush() } }
    try replayOn(&slice)
    while !isReplaying, !isBlocked, !(untilCommit && isBetweenTransactions) {
      guard let frame = try frame(window, at: consumed) else { break }
      let fault: StreamFault?
      do throws(DecodingError) {
        fault = try take(frame.tag, window.extracting(frame.body))
      } catch {
        let body = window.extracting(frame.body)
        throw .malformed(error, StreamPlace(frame.tag, body, streamOffset: streamOffset))
      }
      if let fault { throw fault }
      if holdsRow {
        holdsRow = false
        break
      }
      streamOffset += UInt64(frame.end - consumed)
      consumed = frame.end
      try replayOn(&slice)
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
    case .copyData:
      try copyData(body)
      return spool.fault.map { .spool($0) } ?? binaryFault.map { .binary($0) }
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
      if decoder.stream != nil || keptPrepare != nil, try keep(payload, at: start) { break }
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
    case .relation(let relation): described(relation, number: tables.count())
    case .truncate(let truncate): try truncated(truncate, at: lsn)
    case .message(let message): try logical(message)
    case .origin, .type: break
    case .streamStart(let start): try chunkStarted(start)
    case .streamStop: spool.chunkEnded()
    case .streamCommit(let xid, let commit):
      try replay(
        xid,
        as: Transaction(xid: xid, commitLSN: commit.commitLSN, commitTime: commit.commitTime),
        endLSN: commit.endLSN, ending: .commit)
    case .streamAbort(let abort): spool.rollBack(abort.subtransaction, of: abort.xid)
    case .beginPrepare(let prepare): try began(prepare)
    case .prepare(let prepare): try prepared(prepare)
    case .streamPrepare(let prepare): try streamPrepared(prepare)
    case .commitPrepared(let commit): try committed(commit)
    case .rollbackPrepared(let rollback): try rolledBack(rollback)
    }
  }

  mutating func open(_ transaction: Transaction) {
    self.transaction = transaction
    for lane in lanes { lane.begin(transaction) }
  }

  mutating func close(endLSN: LSN) {
    if let transaction { observer.committed(events: transaction.nextOrdinal) }
    transaction = nil
    sent = max(sent, endLSN)
    for lane in lanes { lane.commit(endLSN: endLSN) }
  }

  // MARK: - Errors

  func violation(_ text: StaticText) -> DecodingError {
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
  /// Open transactions could not be kept.
  case spool(SpoolFault)
  /// A row in binary could not be read.
  case binary(BinaryFault)
}

/// A row in binary that could not be read.
struct BinaryFault: Error, Hashable, CustomStringConvertible {
  /// The table's qualified name.
  let table: String
  /// What was wrong.
  let error: DecodingError

  var description: String { "a binary row of \(table) cannot be read: \(error)" }
}
