import PGWire

/// Transactions that come in chunks before they commit, and prepared ones.
///
/// A chunk's messages are kept as they came; nothing is decoded, counted or given to a sink. At the
/// commit the transaction is read from what was kept by the code that reads one that comes whole,
/// so that its events are the same.
extension Pipeline {
  // MARK: - Chunks

  /// A chunk starts.
  mutating func chunkStarted(_ start: StreamStart) throws(DecodingError) {
    guard transaction == nil, keptPrepare == nil else {
      throw violation("a chunk starts inside a transaction")
    }
    guard spool.isOpen(start.xid) != start.isFirst else {
      throw violation(
        start.isFirst ? "a transaction starts a second time" : "a chunk's transaction is unknown")
    }
    spool.chunkStarted(start.xid)
  }

  /// Keeps a message of an open transaction; false for one that does not belong to its changes.
  ///
  /// Only its tag and its subtransaction are looked at. Instead of its position, which it lacks, a
  /// Relation message keeps its number.
  mutating func keep(_ payload: RawSpan, at lsn: LSN) throws(DecodingError) -> Bool {
    guard payload.byteCount > 0 else { return false }
    let xid: UInt32
    let tag = AbridgedMessage.message(of: payload)[0]
    if let keptPrepare {
      guard Self.isChange(tag) else { return false }
      xid = keptPrepare
    } else {
      guard let subtransaction = try decoder.subtransaction(of: payload) else { return false }
      xid = subtransaction
    }
    switch tag {
    case UInt8(ascii: "Y"): break  // types are looked up in the catalog
    case UInt8(ascii: "R"): spool.keep(relation: payload, place: tables.count(), of: xid)
    case UInt8(ascii: "M"): spool.keep(message: payload, place: lsn.value)
    default: spool.keep(payload, place: lsn.value, of: xid)
    }
    return true
  }

  private static func isChange(_ tag: UInt8) -> Bool {
    switch tag {
    case UInt8(ascii: "I"), UInt8(ascii: "U"), UInt8(ascii: "D"), UInt8(ascii: "R"),
      UInt8(ascii: "Y"), UInt8(ascii: "T"), UInt8(ascii: "M"):
      true
    default: false
    }
  }

  // MARK: - Reading what was kept

  /// A kept transaction has ended: it is read from now on.
  mutating func replay(
    _ xid: UInt32, as transaction: Transaction, endLSN: LSN, ending: StreamReplay.Ending
  ) throws(DecodingError) {
    guard self.transaction == nil, keptPrepare == nil else {
      throw violation("a streamed transaction ends inside another")
    }
    guard let kept = spool.take(xid) else {
      throw violation("a streamed transaction ends that did not start")
    }
    tables.beginStream()
    open(transaction)
    replay = StreamReplay(kept, endLSN: endLSN, ending: ending)
  }

  /// Reads on in the kept transaction, if there is one: `slice` bytes at most, and as the budget
  /// lets it.
  mutating func replayOn(_ slice: inout Int) throws(StreamFault) {
    guard var replay = replay.take() else { return }
    while slice > 0, !isHeld {
      if repeatsRecord {
        repeatsRecord = false
      } else {
        let hasNext: Bool
        do { hasNext = try replay.next() } catch { throw .spool(error) }
        guard hasNext else { return try end(replay) }
      }
      awaitedTable = nil
      slice -= replay.payload.byteCount
      do { try replayed(replay) } catch { throw .malformed(error, place(in: replay)) }
      if let binaryFault { throw .binary(binaryFault) }
      repeatsRecord = awaitedTable != nil
    }
    self.replay = consume replay
  }

  /// Whether a kept transaction cannot be read on for now.
  private var isHeld: Bool {
    if isOverBudget { return true }
    return awaitedTable.map { tables.isAwaited($0) } ?? false
  }

  /// Where a kept message lies; of the stream's bytes, those up to its transaction's end are counted.
  private func place(in replay: borrowing StreamReplay) -> StreamPlace {
    StreamPlace(kept: replay.payload, at: LSN(replay.place), streamOffset: streamOffset)
  }

  private mutating func replayed(_ replay: borrowing StreamReplay) throws(DecodingError) {
    var decoder = replay.decoder
    let place = replay.place
    let size = replay.payload.byteCount
    switch try decoder.decode(replay.payload) {
    case .change(let change): try row(change, at: LSN(place), size: size)
    case .relation(let relation):
      described(relation, number: place, at: .kept(place), LSN.zero)
    case .truncate(let truncate): try truncated(truncate, at: LSN(place))
    case .message(let message): try logical(message, size: size)
    case .abridged(let abridged): try refuse(abridged, decoder, at: LSN(place))
    default: throw violation("a kept message is no change")
    }
  }

  private mutating func end(_ replay: consuming StreamReplay) throws(StreamFault) {
    let events = transaction?.nextOrdinal ?? 0
    do throws(DecodingError) {
      switch replay.ending {
      case .commit: break
      case .prepare(let gid, let lsn): try outcome(.prepare, gid: gid, at: lsn)
      case .commitPrepared(let gid, let lsn): try outcome(.commitPrepared, gid: gid, at: lsn)
      }
    } catch { throw .malformed(error, place(in: replay)) }
    tables.endStream()
    close(endLSN: replay.endLSN)
    streamEnded(replay.summary(events: events))
    spool.giveBack(replay)
  }

  // MARK: - Prepared transactions

  /// A transaction that was prepared comes.
  ///
  /// One that was prepared before the connection's start comes only because the slot did not decode
  /// prepared transactions then; its commit follows at once, and it is part of that.
  mutating func began(_ prepare: Prepare) throws(DecodingError) {
    guard transaction == nil, keptPrepare == nil else {
      throw violation("a transaction begins inside another")
    }
    guard isLate(prepare) else {
      return open(
        Transaction(
          xid: prepare.xid, commitLSN: prepare.prepareLSN, commitTime: prepare.prepareTime))
    }
    guard !spool.isOpen(prepare.xid) else {
      throw violation("a transaction starts a second time")
    }
    keptPrepare = prepare.xid
    spool.beginWhole(prepare.xid)
  }

  /// It has come whole.
  mutating func prepared(_ prepare: Prepare) throws(DecodingError) {
    if keptPrepare == prepare.xid {
      keptPrepare = nil
      return spool.chunkEnded()
    }
    guard let transaction, transaction.commitLSN == prepare.prepareLSN else {
      throw violation("a prepare does not belong to the open transaction")
    }
    try outcome(.prepare, gid: prepare.gid, at: prepare.prepareLSN)
    close(endLSN: prepare.endLSN)
  }

  /// A transaction that came in chunks is prepared.
  mutating func streamPrepared(_ prepare: Prepare) throws(DecodingError) {
    if isLate(prepare), spool.isOpen(prepare.xid) { return }
    try replay(
      prepare.xid,
      as: Transaction(
        xid: prepare.xid, commitLSN: prepare.prepareLSN, commitTime: prepare.prepareTime),
      endLSN: prepare.endLSN, ending: .prepare(gid: prepare.gid, at: prepare.prepareLSN))
  }

  /// A prepared transaction was committed: an event of its own.
  mutating func committed(_ commit: CommitPrepared) throws(DecodingError) {
    let own = Transaction(
      xid: commit.xid, commitLSN: commit.commitLSN, commitTime: commit.commitTime)
    if spool.isOpen(commit.xid) {
      return try replay(
        commit.xid, as: own, endLSN: commit.endLSN,
        ending: .commitPrepared(gid: commit.gid, at: commit.commitLSN))
    }
    try alone(.commitPrepared, gid: commit.gid, own, endLSN: commit.endLSN)
  }

  /// A prepared transaction was rolled back: an event of its own.
  ///
  /// Where its record starts is not on the wire: its last byte stands for it, as for a message.
  mutating func rolledBack(_ rollback: RollbackPrepared) throws(DecodingError) {
    guard rollback.rollbackEndLSN > .zero else { throw violation("a rollback has no position") }
    spool.drop(rollback.xid)
    let last = LSN(rollback.rollbackEndLSN.value - 1)
    try alone(
      .rollbackPrepared, gid: rollback.gid,
      Transaction(xid: rollback.xid, commitLSN: last, commitTime: rollback.rollbackTime),
      endLSN: rollback.rollbackEndLSN)
  }

  private mutating func alone(
    _ action: EventAction, gid: String, _ own: Transaction, endLSN: LSN
  ) throws(DecodingError) {
    guard transaction == nil, keptPrepare == nil else {
      throw violation("the end of a prepared transaction came inside another")
    }
    open(own)
    try outcome(action, gid: gid, at: own.commitLSN)
    close(endLSN: endLSN)
  }

  private func isLate(_ prepare: Prepare) -> Bool { prepare.prepareLSN < connectionStart }
}
