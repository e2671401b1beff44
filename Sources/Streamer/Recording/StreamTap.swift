import PGWire

/// Follows a server's byte stream as far as recording it needs: where a table is described, and up
/// to where what was received may be acknowledged once it is durable.
///
/// It is lenient: what it does not understand is passed on, since a recording of something malformed
/// is worth most. Only bytes that cannot be framed end the stream.
struct StreamTap {
  /// What to do with the window.
  enum Step {
    /// Record so many bytes and drop them; 0 when more are needed.
    case record(Int)
    /// The message that comes next describes a table, or commits a transaction whose chunks did:
    /// what the catalog says of the table goes first.
    case describe(Relation)
  }

  /// Whole messages that were passed on.
  private(set) var messages = 0
  /// Transactions that were passed on whole, committed or prepared.
  private(set) var transactions = 0
  /// The largest position that the server has sent on this connection.
  private(set) var sent = LSN.zero
  /// Everything before it was passed on.
  private(set) var complete = LSN.zero
  /// The server wants a status update at once; the reader clears it.
  var replyRequested = false
  /// How many transactions are passed on; the step after them stops at the end of the last.
  var transactionLimit: Int?
  /// Whether a publication that does not exist where the stream stands ends the recording.
  var stopsWithoutPublication = false
  /// The notice that changes are missing from here on; nothing behind it is passed on.
  private(set) var gap: ServerError?
  /// Why the stream is over, once the server has said so.
  private(set) var ending: String?

  private var decoder = PgOutputDecoder()
  private var isInTransaction = false
  private var isDescribed = false
  /// Tables of open transactions that come in chunks: before its commit the catalog does not show
  /// what a transaction has made, so they are described then, as a pipeline asks for them.
  private var open: [UInt32: [Relation]] = [:]
  private var asked: UInt32?
  /// Bytes left of a message that was begun to be passed on.
  private(set) var rest = 0

  /// A new connection begins at `start`.
  mutating func connected(at start: LSN) {
    decoder = PgOutputDecoder()
    isInTransaction = false
    isDescribed = false
    open.removeAll()
    asked = nil
    rest = 0
    sent = .zero
    complete = max(complete, start)
    ending = nil
    gap = nil
  }

  /// The catalog's answer to the table that ``Step/describe(_:)`` named is recorded.
  mutating func described() {
    if let xid = asked { open[xid]?.removeFirst() } else { isDescribed = true }
    asked = nil
  }

  /// Looks at received bytes that begin where the last step ended.
  ///
  /// A message that is not there whole is passed on piece by piece unless it could describe a table,
  /// so a large row takes no memory. Throws for bytes that cannot be framed.
  mutating func step(_ window: RawSpan) throws(DecodingError) -> Step {
    var end = min(rest, window.byteCount)
    rest -= end
    while rest == 0, end < window.byteCount {
      switch try MessageFrame.scan(window, at: end) {
      case .complete(let frame):
        let body = window.extracting(frame.body)
        if frame.tag == .copyData, let relation = undescribed(body) {
          return end > 0 ? .record(end) : .describe(relation)
        }
        isDescribed = false
        pass(frame.tag, body)
        end = frame.end
        if gap != nil { return .record(end) }
        if let transactionLimit, transactions >= transactionLimit { return .record(end) }
      case .incomplete(let missing):
        guard Self.isRow(window, at: end) else { return .record(end) }
        messages += 1
        rest = missing
        end = window.byteCount
      }
    }
    return .record(end)
  }

  /// Whether enough of an incomplete message is there to see that it is a row.
  private static func isRow(_ window: RawSpan, at start: Int) -> Bool {
    let plugin = start + MessageFrame.headerSize + 25
    guard window.byteCount > plugin, window[start] == UInt8(ascii: "d"),
      window[start + MessageFrame.headerSize] == UInt8(ascii: "w")
    else { return false }
    return "IUD".utf8.contains(window[plugin])
  }

  /// The table that has to be described before a message; nil for none.
  private mutating func undescribed(_ body: RawSpan) -> Relation? {
    guard body.byteCount > 25, body[0] == UInt8(ascii: "w"), "Rcp".utf8.contains(body[25]) else {
      return nil
    }
    switch try? decoder.decode(body.extracting(25..<body.byteCount)) {
    case .relation(let relation):
      guard let xid = decoder.stream else { return isDescribed ? nil : relation }
      if open[xid]?.contains(relation) != true { open[xid, default: []].append(relation) }
      return nil
    case .streamCommit(let xid, _): asked = xid
    case .streamPrepare(let prepare): asked = prepare.xid
    default: return nil
    }
    let next = asked.flatMap { open[$0]?.first }
    if next == nil { asked = nil }
    return next
  }

  private mutating func pass(_ tag: MessageTag, _ body: RawSpan) {
    messages += 1
    switch tag {
    case .copyData: if let message = try? ReplicationMessage(body) { pass(message) }
    case .errorResponse: ending = (try? ServerError.decode(body)).map { "\($0)" } ?? "an error"
    case .noticeResponse:
      guard stopsWithoutPublication, let notice = try? ServerError.decode(body) else { return }
      if notice.isVanishedPublication { gap = notice }
    case .copyDone, .commandComplete: ending = "the server ended the stream"
    default: break
    }
  }

  private mutating func pass(_ message: borrowing ReplicationMessage) {
    switch message {
    case .keepalive(let walEnd, _, let wantsReply):
      sent = max(sent, walEnd)
      replyRequested = replyRequested || wantsReply
      // In a transaction it says how far the server has decoded, not how far it has sent.
      if !isInTransaction { complete = max(complete, walEnd) }
    case .xLogData(_, _, let payload):
      // Rows are most of a stream and say nothing of positions.
      guard payload.byteCount > 0, !"IUDRYTMO".utf8.contains(payload[0]) else { return }
      switch try? decoder.decode(payload) {
      case .begin, .beginPrepare: isInTransaction = true
      case .commit(let commit): ended(at: commit.endLSN)
      case .prepare(let prepare): ended(at: prepare.endLSN)
      case .streamCommit(let xid, let commit):
        open[xid] = nil
        ended(at: commit.endLSN)
      case .streamPrepare(let prepare):
        open[prepare.xid] = nil
        ended(at: prepare.endLSN)
      case .streamAbort(let abort): if abort.isWhole { open[abort.xid] = nil }
      case .commitPrepared(let commit): settled(at: commit.endLSN)
      case .rollbackPrepared(let rollback): settled(at: rollback.rollbackEndLSN)
      default: break
      }
    }
  }

  private mutating func ended(at end: LSN) {
    transactions += 1
    settled(at: end)
  }

  private mutating func settled(at end: LSN) {
    isInTransaction = false
    sent = max(sent, end)
    complete = max(complete, end)
  }
}
