import PGWire

/// Reading: the window's messages, one after the other.
extension Pipeline {
  /// Reads as many whole messages of the window as it may, and says how many bytes they took and
  /// why it stopped.
  ///
  /// A transaction that came in chunks is read from what was kept, before the window is read on, and
  /// a slice of it at each call. With `untilCommit` it stops as soon as no transaction is open.
  mutating func consume(
    _ window: RawSpan, untilCommit: Bool = false
  ) throws(StreamFault) -> Consumed {
    var consumed = 0
    defer { lanes.flush() }
    let pause = try read(window, &consumed, untilCommit: untilCommit)
    if pause == .lookUp { lookAhead(window, from: consumed) }
    return Consumed(count: consumed, pause: pause)
  }

  private mutating func read(
    _ window: RawSpan, _ consumed: inout Int, untilCommit: Bool
  ) throws(StreamFault) -> Pause {
    var slice = replaySliceBytes
    while true {
      try replayOn(&slice)
      let pause = pause
      guard pause == .needsBytes else { return pause }
      awaitedTable = nil
      if untilCommit, isBetweenTransactions { return .betweenTransactions }
      guard let frame = try frame(window, at: consumed) else { return .needsBytes }
      let fault: StreamFault?
      do throws(DecodingError) {
        fault = try take(frame.tag, window.extracting(frame.body))
      } catch {
        let body = window.extracting(frame.body)
        throw .malformed(error, StreamPlace(frame.tag, body, streamOffset: streamOffset))
      }
      if let fault { throw fault }
      // The message is a row that waits: it is read again.
      if awaitedTable != nil { return .lookUp }
      if isHeldBack {
        isHeldBack = false
        return self.pause
      }
      streamOffset += UInt64(frame.end - consumed)
      consumed = frame.end
    }
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
    case .noticeResponse:
      let notice = try ServerError.decode(body)
      if stopsWithoutPublication, notice.isVanishedPublication { return .server(notice) }
      if notices.count < Limits.notices { notices.append(notice) } else { noticesLeftOut += 1 }
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
      replyRequested = replyRequested || wantsReply
      passed(walEnd)
    }
  }

  /// The server has nothing to send below that position: what lies there and is delivered counts.
  mutating func passed(_ walEnd: LSN) {
    sent = max(sent, walEnd)
    guard transaction == nil else { return }
    for index in lanes.indices {
      lanes[index].endCut(before: walEnd)
      lanes[index].keepalive(walEnd: walEnd)
    }
  }

  /// Whether what was consumed last stands inside a chunk of an open transaction.
  var isInChunk: Bool { decoder.stream != nil }

  private mutating func message(_ payload: RawSpan, at lsn: LSN) throws(DecodingError) {
    let size = payload.byteCount
    switch try decoder.decode(payload) {
    case .change(let change): try row(change, at: lsn, size: size)
    case .abridged(let abridged): try refuse(abridged, decoder, at: lsn)
    case .begin(let begin):
      guard transaction == nil else { throw violation("a transaction begins inside another") }
      if waits(begin.xid, at: begin.finalLSN) { break }
      var transaction = Transaction(
        xid: begin.xid, commitLSN: begin.finalLSN, commitTime: begin.commitTime)
      transaction.beginLSN = lsn
      open(transaction)
    case .commit(let commit):
      guard let transaction, transaction.commitLSN == commit.commitLSN else {
        throw violation("a commit does not belong to the open transaction")
      }
      close(endLSN: commit.endLSN)
    case .relation(let relation):
      described(relation, number: tables.count(), at: .stream(streamOffset), lsn)
    case .truncate(let truncate): try truncated(truncate, at: lsn)
    case .message(let message): try logical(message, size: size)
    case .origin, .type: break
    case .streamStart(let start): try chunkStarted(start)
    case .streamStop: spool.chunkEnded()
    case .streamCommit(let xid, let commit):
      if waits(xid, at: commit.commitLSN) { break }
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
