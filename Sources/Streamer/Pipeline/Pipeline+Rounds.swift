import PGWire

/// Where reading stops so that existing rows can be read as a snapshot of the server has them.
///
/// A commit record is written, flushed and sent before the transaction is visible to a snapshot, and on
/// a busy server some are always in between. So the place is not a position that the server names: it
/// is in front of the first transaction that the snapshot does not see. Nothing that it sees may come
/// behind that one: transactions do not become visible in the order of their commits, but on a standby.
struct Fence {
  /// What the snapshot sees.
  let snapshot: ServerSnapshot
  /// Whatever the snapshot sees has a commit record that begins before it.
  let limit: LSN
  /// Where the transaction was committed that is not taken; nil when none has come.
  var heldAt: LSN?
  /// Whether nothing that the snapshot sees is known to come behind it.
  var isExact = false
  /// Whether something does: the snapshot is of no use.
  var isTorn = false

  init(_ snapshot: ServerSnapshot, limit: LSN) {
    self.snapshot = snapshot
    self.limit = limit
  }

  /// Whether a transaction has to wait; `xid` is nil for a message outside of transactions.
  func holds(_ xid: UInt32?, at commitLSN: LSN) -> Bool {
    heldAt != nil || commitLSN >= limit
      || xid.map { snapshot.sees($0, at: commitLSN) != true } ?? false
  }

  /// Stops in front of a transaction that ``holds(_:at:)`` has named.
  mutating func hold(_ xid: UInt32?, at commitLSN: LSN) {
    heldAt = min(commitLSN, limit)
    // Behind what a standby does not see it sees nothing.
    isExact = commitLSN >= limit || snapshot.replayed != nil
    isTorn = commitLSN < limit && xid.map { snapshot.sees($0, at: commitLSN) == nil } ?? false
  }
}

/// Existing rows between the stream's transactions.
///
/// A round is the rows of some tables as one snapshot of the server has them. It stands where the
/// stream has read everything that the snapshot sees and nothing else. It is no transaction: no position
/// moves over it, and one that is given up half-way leaves nothing to be mended.
extension Pipeline {
  /// Whether everything that the snapshot sees is read and nothing else, and nothing is open.
  var isAtFence: Bool {
    guard let fence, isBetween else { return false }
    return fence.heldAt != nil ? fence.isExact : sent >= fence.limit
  }

  /// Whether something may stand here that is no transaction.
  private var isBetween: Bool {
    transaction == nil && !lanes.hasOpenTransaction && lanes.canBegin
  }

  /// Whether reading has stopped there, or may not go on for now.
  var isHeldByFence: Bool {
    guard let fence, !isInRound else { return isInRound }
    return fence.heldAt != nil || transaction == nil && sent >= fence.limit
  }

  /// Whether what comes next has to be received, but not read, for the fence to be exact.
  var looksBehindFence: Bool {
    guard let fence, !isInRound else { return false }
    return fence.heldAt != nil && !fence.isExact && !fence.isTorn
  }

  /// Where a round stands now, behind everything that is read and in front of everything else.
  var fencePlace: LSN { fence.map { $0.heldAt ?? $0.limit } ?? .zero }

  /// Whether existing rows are being read.
  var isInRound: Bool { transaction?.isRound == true }

  /// Whether a transaction that was committed there has to wait for existing rows.
  ///
  /// Transactions come in the order of their commits, so one that a lost connection has cut and that
  /// lies before does not come again.
  mutating func holds(_ xid: UInt32?, at commitLSN: LSN) -> Bool {
    guard let fence, fence.holds(xid, at: commitLSN) else { return false }
    if fence.heldAt == nil {
      self.fence?.hold(xid, at: commitLSN)
      for index in lanes.indices { lanes[index].endCut(before: commitLSN) }
      // A part of it was delivered before the connection was lost, and the snapshot does not see it.
      if lanes.hasOpenTransaction { self.fence?.isTorn = true }
    }
    return true
  }

  /// Lets reading stop where it has everything that a snapshot sees, and nothing else.
  ///
  /// A standby has replayed what it sends; but what another server sent before may be ahead of it.
  mutating func stop(at snapshot: ServerSnapshot, limit: LSN) {
    var fence = Fence(snapshot, limit: limit)
    if let replayed = snapshot.replayed {
      fence.isTorn = connectionEnd > replayed
      for index in lanes.indices where lanes[index].reading.commitLSN >= replayed {
        fence.isTorn = true
      }
    }
    self.fence = fence
  }

  /// Looks through what is received and not read for a transaction that the snapshot sees.
  mutating func lookBehindFence(_ window: RawSpan) {
    guard var fence else { return }
    var ahead = decoder
    var offset = 0
    while !fence.isExact, !fence.isTorn,
      case .complete(let frame)? = try? MessageFrame.scan(window, at: offset)
    {
      offset = frame.end
      guard frame.tag == .copyData else { continue }
      switch try? ReplicationMessage(window.extracting(frame.body)) {
      case .keepalive(let walEnd, _, _): fence.isExact = walEnd >= fence.limit
      case .xLogData(_, _, let payload):
        switch try? ahead.decode(payload) {
        case .begin(let begin): fence.look(at: begin.xid, begin.finalLSN)
        case .streamCommit(let xid, let commit): fence.look(at: xid, commit.commitLSN)
        case .message(let message) where !message.isTransactional:
          fence.isExact = message.lsn >= fence.limit
        default: break
        }
      case nil: break  // It is said when it is read.
      }
    }
    self.fence = fence
  }

  /// Begins a round; reading must stand at the fence.
  ///
  /// Its tables are described here, as the snapshot has them: what the stream says of them is the
  /// stream's.
  mutating func beginRound(_ round: Transaction, _ relations: [Relation]) {
    precondition(isAtFence, "a round begins where reading has stopped for it")
    open(round: round)
    for relation in relations {
      let number = tables.count()
      described(relation, number: number, at: .kept(number), round.commitLSN)
    }
  }

  private mutating func open(round: Transaction) {
    transaction = round
    for index in lanes.indices {
      lanes[index].beginRound()
      encodings[index].begin(round)
    }
    tables.beginStream()
  }

  /// Whether what is told of copies may stand here, without a round.
  var mayTell: Bool { fence == nil && isBetween }

  /// Adds what is told of a copy to the round, for the sinks that want to know.
  mutating func tell(_ notice: CopyNotice) {
    guard let transaction, transaction.isRound else { return }
    let place = EventPlace(lsn: transaction.commitLSN, ordinal: transaction.nextOrdinal)
    for index in lanes.indices {
      guard let route = lanes[index].notices, lanes[index].wants(place.ordinal) else { continue }
      let first = lanes[index].batch.count
      lanes[index].batch.add(
        key: notice.key, value: notice.value(source: settings.source), route: route,
        ticket: lanes[index].ticket)
      lanes[index].produced(from: first, place, table: "notifications")
    }
  }

  /// Tells something of copies in a round of its own.
  mutating func tell(alone notices: [CopyNotice]) {
    precondition(mayTell, "something is told between two transactions")
    open(round: Transaction(existingRowsAt: sent, time: 0, firstOrdinal: 0))
    for notice in notices { tell(notice) }
    endRound()
    lanes.flush()
  }

  /// Reads rows of a round, which lie in a block as ``Connection/readRows(of:into:upTo:patience:)``
  /// leaves them, as far as the sinks take any; `offset` moves on.
  mutating func readRound(
    _ rows: borrowing ByteWriter, from offset: inout Int
  ) throws(StreamFault) -> Pause {
    defer { lanes.flush() }
    let block = rows.bytes
    guard let lsn = transaction?.commitLSN else { return .fence }
    var decoder = PgOutputDecoder()
    do throws(DecodingError) {
      while offset < block.byteCount {
        if isOverBudget { return .budget }
        awaitedTable = nil
        var reader = ByteReader(block.extracting(offset..<block.byteCount))
        let payload = try reader.sizedSpan()
        guard case .change(let change) = try decoder.decode(payload) else {
          throw violation("a block holds something else than rows")
        }
        try row(change, at: lsn, size: payload.byteCount)
        if awaitedTable != nil { return .lookUp }
        offset += reader.offset
      }
    } catch {
      throw .malformed(error, StreamPlace(header: .dataRow, streamOffset: streamOffset))
    }
    return .fence
  }

  /// The existing rows that were read lie before a place of their copy, for the sinks that were given them.
  mutating func copyReached(_ place: CopyPlace) {
    for index in lanes.indices where !isInRound || lanes[index].reading.isRound {
      lanes[index].copyReached(place)
    }
  }

  /// The number that the next event of the round would have.
  var nextOrdinal: UInt64 { transaction?.nextOrdinal ?? 0 }

  /// Ends the round, if there is one, and lifts the fence; the stream goes on.
  mutating func endRound() {
    guard isInRound else { return }
    transaction = nil
    awaitedTable = nil
    tables.dropStream()
    for index in lanes.indices { lanes[index].endRound() }
    fence = nil
  }
}

extension Fence {
  /// A transaction comes behind the first that the snapshot does not see.
  fileprivate mutating func look(at xid: UInt32, _ commitLSN: LSN) {
    if commitLSN >= limit {
      isExact = true
    } else {
      isTorn = snapshot.sees(xid, at: commitLSN) == true
    }
  }
}
