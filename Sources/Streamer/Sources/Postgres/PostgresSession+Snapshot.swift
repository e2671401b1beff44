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
      case .seek(let table, let last, let rows, let reader):
        return .found(try seek(table, after: last, rows: rows, reader), reader: reader)
      case .read(let table, let last, let limit, let block):
        try startRows(of: table, table.query(after: last, limit: limit), block.reader)
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
      readers = [SnapshotReader()]
      estimates = nil
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
    let reader = readers[0]
    var connection = try connection(of: reader)
    let major = connection.serverVersion.major
    let describe = SnapshotTable.query(
      publication: source.publication, oids: tables.map(\.relation), serverMajor: major, .known)
    deadline = .now + Limits.snapshotQuestion
    isStandby = try ask(&connection, "SELECT pg_catalog.pg_is_in_recovery()").first?.first == "t"
    let present = SnapshotTable.all(from: try ask(&connection, describe))
    let estimates = try estimate(uncounted, &connection)
    _ = try ask(&connection, "\(Self.reading); \(Self.beginSnapshot)")
    for table in present {
      do throws(PGError) {
        _ = try connection.query(
          "LOCK TABLE \(table.source) IN ACCESS SHARE MODE", timeout: timeLeft)
      } catch { throw unreadable(table, error) }
    }
    locking = lock(present)
    reader.connection = consume connection
    reader.isAtSnapshot = true
    return estimates
  }

  /// How a session reads rows: it waits for locks for a while, and sees all rows or fails.
  private static let reading =
    "SET row_security = off; SET lock_timeout = \(Limits.snapshotLock / .milliseconds(1))"

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
    guard var connection = readers[0].connection.take() else { throw lostSnapshot }
    deadline = .now + Limits.slotAnswer
    let major = connection.serverVersion.major
    let describe = SnapshotTable.query(
      publication: source.publication, oids: tables.map(\.relation), serverMajor: major, .published)
    let what = ServerSnapshot.current(serverMajor: major)
    let time = "(extract(epoch FROM clock_timestamp()) * 1000000)::int8 - 946684800000000"
    let seen =
      try isStandby
      ? seenOnStandby(what, time, &connection)
      : ask(
        &connection, "SELECT \(what), pg_catalog.pg_current_wal_insert_lsn(), \(time)"
      ).first
    guard let seen, seen.count >= 3, var snapshot = seen[0].flatMap({ ServerSnapshot($0) }),
      let limit = seen[1].flatMap({ LSN($0) }), let time = seen[2].flatMap({ Int64($0) })
    else { throw unsaidSnapshot }
    snapshot.replayed = seen.count > 3 ? seen[3].flatMap { LSN($0) } : nil
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
    exportedSnapshot = nil
    if source.snapshot.parallelism > 1 {
      let name = try ask(&connection, "SELECT pg_catalog.pg_export_snapshot()").first?.first
      exportedSnapshot = name ?? nil
    }
    readers[0].connection = consume connection
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
    let reader = readers[block.reader]
    guard var connection = reader.connection.take() else { throw lostSnapshot }
    do throws(PGError) {
      block.read = try connection.readRows(
        of: table.relation.oid, into: &bytes, upTo: blockBytes,
        patience: patience, areGone: table.goneKeys != nil)
    } catch {
      // The block and what it holds go with the snapshot.
      throw unreadable(table, error)
    }
    reader.connection = consume connection
    reader.isReading = !block.read.isEnd
    if let last = block.read.last, !table.isReadWhole {
      block.lastKey = RowBlock.key(table.key, ofRowAt: last, in: bytes.bytes)
    }
    block.put(bytes)
    return block
  }

  /// How long the rows of a reader are waited for: those of others may come meanwhile.
  private var patience: Duration {
    readers.count > 1 ? Limits.readerPatience : Limits.snapshotPatience
  }

  /// How many bytes a block takes: those of many readers are smaller.
  private var blockBytes: Int { Limits.rowBlockBytes / max(1, source.snapshot.parallelism / 4) }

  /// Lets go of the snapshot; rows that nobody has read end with their connection.
  private func closeSnapshot() {
    for reader in readers where reader.isAtSnapshot { close(reader) }
  }

  /// Closes the connections for existing rows; they are made again for the next round.
  func letGoOfReaders() {
    for reader in readers { if let connection = reader.connection.take() { connection.close() } }
    readers = [SnapshotReader()]
  }

  private func close(_ reader: SnapshotReader) {
    reader.isAtSnapshot = false
    guard var connection = reader.connection.take() else { return }
    guard !reader.isReading else {
      try? connection.cancelRequest?.send(timeout: Limits.release)
      reader.isReading = false
      return connection.close()
    }
    guard (try? connection.query("COMMIT", timeout: Limits.slotAnswer)) != nil else { return }
    reader.connection = consume connection
  }

  private func startRows(
    of table: SnapshotTable, _ sql: String, _ number: Int
  ) throws(StreamerError) {
    let reader = try reader(number)
    guard var connection = reader.connection.take() else { throw lostSnapshot }
    do throws(PGError) {
      try connection.startRows(sql, timeout: Limits.snapshotQuestion)
    } catch { throw unreadable(table, error) }
    reader.connection = consume connection
    reader.isReading = true
  }

  /// Finds the key of the last of so many rows; nil while the server looks for it.
  private func seek(
    _ table: SnapshotTable, after last: [String], rows: Int, _ number: Int
  ) throws(StreamerError) -> [String]? {
    let reader = try reader(number)
    if !reader.isReading {
      reader.found = []
      try startRows(of: table, table.query(keyOfRow: rows, after: last), number)
    }
    guard var connection = reader.connection.take() else { throw lostSnapshot }
    var bytes = ByteWriter()
    let read: RowsRead
    do throws(PGError) {
      read = try connection.readRows(
        of: table.relation.oid, into: &bytes, upTo: blockBytes, patience: patience)
    } catch { throw unreadable(table, error) }
    reader.connection = consume connection
    reader.isReading = !read.isEnd
    if let row = read.last {
      reader.found = RowBlock.key(Array(table.key.indices), ofRowAt: row, in: bytes.bytes)
    }
    return read.isEnd ? reader.found : nil
  }

  /// A reader by its number, with the snapshot that the first has taken.
  private func reader(_ number: Int) throws(StreamerError) -> SnapshotReader {
    while readers.count <= number { readers.append(SnapshotReader()) }
    let reader = readers[number]
    guard !reader.isAtSnapshot else { return reader }
    guard let exportedSnapshot else { throw lostSnapshot }
    deadline = .now + Limits.snapshotQuestion
    var connection = try connection(of: reader)
    let name = ReplicationCommand.literal(exportedSnapshot)
    _ = try ask(
      &connection, "\(Self.reading); \(Self.beginSnapshot); SET TRANSACTION SNAPSHOT \(name)")
    reader.connection = consume connection
    reader.isAtSnapshot = true
    return reader
  }

  private func connection(of reader: SnapshotReader) throws(StreamerError) -> Connection {
    if let kept = reader.connection.take() { return kept }
    return try mapped { () throws(PGError) in
      let parameters = if let here { here } else { try source.dsn.parameters() }
      return try open(
        parameters, replication: false, until: .now + source.timeout, isLookUp: true)
    }
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
  func retried(_ error: StreamerError) -> StreamerError {
    error.isRetryable ? error : error.retried("It is tried again with another snapshot.")
  }
}

/// A connection that reads existing rows at the snapshot of a round.
///
/// A class, because there is no array of what cannot be copied.
final class SnapshotReader {
  /// The connection; nil before the first round, and after it was lost.
  var connection: Connection?
  /// Whether its transaction is open, which has the snapshot.
  var isAtSnapshot = false
  /// Whether rows come on it that nobody has read.
  var isReading = false
  /// The key that was found last.
  var found: [String] = []
}
