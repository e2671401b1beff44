import PGWire

/// Existing rows: what is asked of the server, on a connection of its own.
extension PostgresSession {
  func snapshot(_ step: SnapshotStep) -> SnapshotAnswer {
    do throws(StreamerError) {
      switch step {
      case .lock(let tables, let uncounted):
        copied = tables.first?.request ?? CopyRequest.start
        estimates = try lock(tables, uncounted: uncounted)
        return .locked
      case .open(let tables, let filter, let keys):
        copied = tables.first?.request ?? CopyRequest.start
        return .opened(try openSnapshot(tables, filter: filter, goneKeys: keys))
      case .read(let table, let last, let limit, let block):
        try startRows(of: table, table.query(after: last, limit: limit))
        return .rows(try fill(block, of: table))
      case .readOn(let table, let block): return .rows(try fill(block, of: table))
      case .close:
        closeSnapshot()
        return .closed
      case .save(let changes, let origin):
        try store.save(changes, of: origin)
        return .saved
      }
    } catch {
      if case .save = step { return .failed(error) }
      snapshotConnection = nil
      estimates = nil
      isReadingRows = false
      guard copied != CopyRequest.start, !error.isRetryable else { return .failed(error) }
      // A copy that somebody has asked for is no reason for the source to stop.
      do throws(StreamerError) { return .refused(try refuse(copied, because: error)) } catch {
        return .failed(error)
      }
    }
  }

  /// Begins the transaction of a snapshot and gives the estimates.
  ///
  /// It keeps the tables from being altered until it is let go of: one that is rewritten or emptied is
  /// empty for older snapshots.
  private func lock(
    _ tables: [TableProgress], uncounted: [UInt32]
  ) throws(StreamerError) -> [UInt32: Int64] {
    var connection: Connection
    if let kept = snapshotConnection.take() {
      connection = kept
    } else {
      connection = try mapped { () throws(PGError) in
        let parameters = if let here { here } else { try source.dsn.parameters() }
        return try open(
          parameters, replication: false, until: .now + source.timeout, isLookUp: true)
      }
    }
    let major = connection.serverVersion.major
    let describe = SnapshotTable.query(
      publication: source.publication, oids: tables.map(\.relation), serverMajor: major, .known)
    deadline = .now + Limits.snapshotQuestion
    let present = SnapshotTable.all(from: try ask(&connection, describe))
    let estimates = try estimate(uncounted, &connection)
    _ = try ask(
      &connection,
      "SET row_security = off; SET lock_timeout = \(Limits.snapshotLock / .milliseconds(1)); "
        + "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
    for table in present {
      do throws(PGError) {
        _ = try connection.query(
          "LOCK TABLE \(table.source) IN ACCESS SHARE MODE", timeout: timeLeft)
      } catch { throw unreadable(table, error) }
    }
    snapshotConnection = consume connection
    return estimates
  }

  /// How many rows the server believes tables have; what cannot be said while somebody holds one of
  /// them is asked again.
  private func estimate(
    _ tables: [UInt32], _ connection: inout Connection
  ) throws(StreamerError) -> [UInt32: Int64] {
    guard !tables.isEmpty else { return [:] }
    var isMeasured = true
    let rows = try mapped { () throws(PGError) in
      try Self.measuring { (detail) throws(PGError) in
        isMeasured = detail == .measured
        let sql = Self.impatient + SnapshotTable.estimates(of: tables, detail)
        return try connection.query(sql, timeout: timeLeft).last?.rows ?? []
      }
    }
    let estimates = SnapshotTable.estimates(of: tables, from: rows)
    return isMeasured ? estimates : estimates.filter { $0.value >= 0 }
  }

  /// What keeps the questions behind it, in the same text, from waiting for a table's lock.
  static let impatient = "SET LOCAL lock_timeout = \(Limits.sizeLock / .milliseconds(1)); "

  /// Asks for the sizes of files, and does without where somebody holds one of the tables.
  static func measuring<Answer>(
    _ ask: (SnapshotTable.Detail) throws(PGError) -> Answer
  ) throws(PGError) -> Answer {
    do throws(PGError) { return try ask(.measured) } catch {
      guard isOfLock(error) else { throw error }
      return try ask(.known)
    }
  }

  /// Whether a lock was not free in the time that it was waited for.
  static func isOfLock(_ error: PGError) -> Bool { error.serverError?.code == "55P03" }

  /// Takes a snapshot that has the tables in it.
  ///
  /// No transaction of the stream begins meanwhile, so nothing here waits for anybody.
  private func openSnapshot(
    _ tables: [TableProgress], filter: String?, goneKeys: String?
  ) throws(StreamerError) -> SnapshotPoint {
    var estimates: [UInt32: Int64]
    if let known = self.estimates.take() {
      estimates = known
    } else {
      estimates = try lock(tables, uncounted: [])
    }
    guard var connection = snapshotConnection.take() else { throw lostSnapshot }
    deadline = .now + Limits.slotAnswer
    let major = connection.serverVersion.major
    let describe = SnapshotTable.query(
      publication: source.publication, oids: tables.map(\.relation), serverMajor: major, .published)
    let seen = try ask(
      &connection,
      "SELECT \(ServerSnapshot.current(serverMajor: major)), pg_catalog.pg_current_wal_insert_lsn(), "
        + "(extract(epoch FROM clock_timestamp()) * 1000000)::int8 - 946684800000000"
    ).first
    guard let seen, seen.count == 3, let snapshot = seen[0].flatMap({ ServerSnapshot($0) }),
      let limit = seen[1].flatMap({ LSN($0) }), let time = seen[2].flatMap({ Int64($0) })
    else { throw unsaidSnapshot }
    var described = SnapshotTable.all(from: try ask(&connection, describe))
    for index in described.indices {
      described[index].goneKeys = goneKeys
      if goneKeys == nil {
        described[index].condition = filter ?? source.snapshot.condition(of: described[index])
      }
      let table = described[index]
      guard let known = estimates[table.relation.oid], known < 0 || table.hasCondition else {
        continue
      }
      estimates[table.relation.oid] = try plannedRows(of: table, &connection)
    }
    snapshotConnection = consume connection
    // It makes the log be flushed and the place be passed at once; where nothing may be written, the
    // server's own keepalives come later.
    if source.heartbeat.interval > .zero { _ = heartbeat() }
    return SnapshotPoint(
      snapshot: snapshot, limit: limit, time: time, tables: described, estimates: estimates)
  }

  /// The server did not say what a snapshot sees.
  var unsaidSnapshot: StreamerError {
    StreamerError(
      what: "source \(name)", why: "the server did not say what its snapshot sees",
      exit: .preflight)
  }

  /// How many rows the planner expects of a table.
  private func plannedRows(
    of table: SnapshotTable, _ connection: inout Connection
  ) throws(StreamerError) -> Int64 {
    do throws(PGError) {
      let plan = try connection.query(
        "EXPLAIN \(table.query(after: [], limit: Int.max))", timeout: timeLeft)
      return SnapshotTable.rows(ofPlan: (plan.first?.rows.first?.first ?? nil) ?? "") ?? -1
    } catch { throw unreadable(table, error) }
  }

  /// Fills a block, and notes the key of its last row.
  private func fill(
    _ block: RowBlock, of table: SnapshotTable
  ) throws(StreamerError) -> RowBlock {
    var bytes = block.takeBytes()
    bytes.removeAll()
    bytes.shrink(to: 2 * Limits.rowBlockBytes)
    block.lastKey = []
    guard var connection = snapshotConnection.take() else { throw lostSnapshot }
    do throws(PGError) {
      block.read = try connection.readRows(
        of: table.relation.oid, into: &bytes, upTo: Limits.rowBlockBytes,
        patience: Limits.snapshotPatience, areGone: table.goneKeys != nil)
    } catch {
      // The block and what it holds go with the snapshot.
      throw unreadable(table, error)
    }
    snapshotConnection = consume connection
    isReadingRows = !block.read.isEnd
    if let last = block.read.last, !table.isReadWhole {
      block.lastKey = Self.key(table.key, ofRowAt: last, in: bytes.bytes)
    }
    block.put(bytes)
    return block
  }

  private static func key(_ columns: [Int], ofRowAt start: Int, in bytes: RawSpan) -> [String] {
    var decoder = PgOutputDecoder()
    let payload = bytes.extracting(start + 4..<bytes.byteCount)
    guard case .change(let change)? = try? decoder.decode(payload) else { return [] }
    var key: [String] = []
    for column in columns {
      guard case .text(let text) = change.new.value(at: column) else { return [] }
      key.append(text.text)
    }
    return key
  }

  /// Lets go of the snapshot; rows that nobody has read end with their connection.
  private func closeSnapshot() {
    guard var connection = snapshotConnection.take() else { return }
    guard !isReadingRows else {
      try? connection.cancelRequest?.send(timeout: Limits.release)
      isReadingRows = false
      return connection.close()
    }
    guard (try? connection.query("COMMIT", timeout: Limits.slotAnswer)) != nil else { return }
    snapshotConnection = consume connection
  }

  private func startRows(of table: SnapshotTable, _ sql: String) throws(StreamerError) {
    guard var connection = snapshotConnection.take() else { throw lostSnapshot }
    do throws(PGError) {
      try connection.startRows(sql, timeout: Limits.snapshotQuestion)
    } catch { throw unreadable(table, error) }
    snapshotConnection = consume connection
    isReadingRows = true
  }

  private var lostSnapshot: StreamerError {
    StreamerError(
      what: "source \(name)", why: "the snapshot was lost with its connection", retryable: true)
  }

  func unreadable(_ table: SnapshotTable, _ error: PGError) -> StreamerError {
    if table.condition != nil || table.goneKeys != nil, let server = error.serverError,
      Self.isOfCondition(server)
    {
      return refusedCondition(of: table, server)
    }
    guard error.serverError?.code == "42501" else { return retried(mapped(error)) }
    let user = (try? source.dsn.parameters())?.user ?? ""
    let name =
      "\(ReplicationCommand.pasted(table.relation.schema)).\(ReplicationCommand.pasted(table.relation.name))"
    return StreamerError(
      error, source: source, name: self.name,
      remedy:
        "GRANT SELECT ON \(name) TO \(ReplicationCommand.pasted(user)) (and BYPASSRLS where it has row "
        + "security), or leave it out of snapshotTables.")
  }

  /// What is altered or dropped while it is read is found again by the next snapshot.
  private func retried(_ error: StreamerError) -> StreamerError {
    error.isRetryable ? error : error.retried("It is tried again with another snapshot.")
  }
}
