import PGWire

/// Looks up in the catalog what a Relation message does not say: types outside the built-in ones,
/// and the primary key where the replica identity does not name it.
///
/// It is used by the I/O worker alone and keeps an ordinary connection of its own, made at the
/// first need and again after a loss.
final class TableCatalog {
  private let memory: any SourceMemory
  /// The database that the stream comes from, known once the server has named its cluster.
  var origin: SourceOrigin?
  private let log: Log
  private let connect: () throws(PGError) -> Connection
  private var connection: Connection?
  private var types = TypeCatalog()
  /// The server's major version as of the last look-up.
  private(set) var serverMajor: Int

  init(
    memory: any SourceMemory, serverMajor: Int, log: Log,
    connect: @escaping () throws(PGError) -> Connection
  ) {
    self.memory = memory
    self.serverMajor = serverMajor
    self.log = log
    self.connect = connect
  }

  /// Everything known about the types of tables' columns, after asking for those of users, all at
  /// once.
  ///
  /// They are asked for whenever a table is described or a row disagrees: ALTER TYPE may have
  /// changed them, and nothing on the wire would tell.
  func types(of relations: [Relation]) throws(PGError) -> TypeCatalog {
    let wanted = relations.flatMap { $0.columns.map(\.type) }
    types.hasShortestFloats = serverMajor >= 12
    types.forgetAll(wanted)
    let missing = types.missing(for: wanted)
    if !missing.isEmpty {
      let rows = try query { TypeCatalogQuery.text(for: missing, serverMajor: $0) }
      do throws(DecodingError) { types.learn(try TypeCatalogQuery.descriptions(of: rows)) } catch {
        throw .protocol(error, phase: .query, tag: nil)
      }
    }
    return types
  }

  /// The columns of each table's primary key, where its replica identity is the whole row or
  /// nothing; the catalog is asked once for all.
  ///
  /// Remembered for a table as it is described at its position: a later ALTER does not change the
  /// keys of rows that are replayed.
  func keys(of requests: [TableRequest]) throws(StreamerError) -> Result<[[String]], PGError> {
    var keys = requests.map { _ in [String]() }
    var unknown: [Int] = []
    for (index, request) in requests.enumerated() where Self.needsCatalog(request.relation) {
      if let table = described(request.relation),
        let known = try memory.keyColumns(of: table, at: request.position)
      {
        keys[index] = known
      } else {
        unknown.append(index)
      }
    }
    guard !unknown.isEmpty else { return .success(keys) }
    let rows: [[String?]]
    do {
      rows = try query { Self.keyQuery(unknown.map { requests[$0].relation.oid }, serverMajor: $0) }
    } catch { return .failure(error) }
    var found: [UInt32: [String]] = [:]
    for row in rows {
      guard row.count == 3, let oid = row[0].flatMap({ UInt32($0) }), let name = row[1] else {
        continue
      }
      found[oid, default: []].append(name)
    }
    for index in unknown {
      let request = requests[index]
      keys[index] = found[request.relation.oid] ?? []
      guard let table = described(request.relation) else { continue }
      do throws(StreamerError) {
        try memory.rememberKeyColumns(keys[index], of: table, at: request.position)
      } catch {
        // A full disk holds back neither the stream nor this table; it is remembered when it is
        // described again.
        guard error.isRetryable else { throw error }
        complain("a table's key was not remembered", error)
      }
    }
    return .success(keys)
  }

  private func complain(_ what: StaticString, _ error: StreamerError) {
    log.limited("memory")?.warning(what, ["error": "\(error)"])
  }

  private static func needsCatalog(_ relation: Relation) -> Bool {
    relation.replicaIdentity == .full || relation.replicaIdentity == .nothing
  }

  private func described(_ relation: Relation) -> DescribedTable? {
    origin.map {
      DescribedTable(
        origin: $0, relationOID: relation.oid, columns: relation.columns.map(\.name))
    }
  }

  /// Forgets the keys that no replay can need: those before what the slot still holds.
  func prune(before position: LSN) {
    guard let origin else { return }
    // It is tried again at the next look at the slot.
    do throws(StreamerError) { try memory.prune(origin, before: position) } catch {
      complain("what is remembered of tables was not pruned", error)
    }
  }

  /// A slot as the server shows it; nil when there is none of that name.
  func slot(named name: String) throws(PGError) -> ReplicationSlot? {
    let rows = try query(within: Limits.slotAnswer) {
      ReplicationSlot.query(name: name, serverVersion: $0 * 10_000)
    }
    return rows.lazy.compactMap(ReplicationSlot.init(row:)).first
  }

  /// Forgets the connection; the next look-up makes another.
  func disconnect() { connection = nil }

  /// A deferrable primary key identifies no row while a transaction is open: it is none.
  ///
  /// Columns that an index only carries (INCLUDE, from 11) are no part of the key. The last row of a
  /// table that can be published as the root of partitions (from 13) says whether one of them has
  /// another identity than the whole row: see ``Table/partialOldRows``.
  private static func keyQuery(_ tables: [UInt32], serverMajor: Int) -> String {
    let carried =
      serverMajor >= 11 ? "(i.indkey::int2[])[0:i.indnkeyatts - 1]" : "i.indkey"
    let oids = tables.map(String.init).joined(separator: ", ")
    let partial =
      serverMajor >= 13
      ? """
       UNION ALL SELECT c.oid, '\(Table.partialOldRows)', 32767 FROM pg_catalog.pg_class c \
      WHERE c.oid IN (\(oids)) AND c.relkind = 'p' AND c.relreplident = 'f' AND EXISTS (\
      SELECT FROM pg_catalog.pg_partition_tree(c.oid) t \
      JOIN pg_catalog.pg_class l ON l.oid = t.relid \
      WHERE t.isleaf AND l.relkind = 'r' AND l.relreplident <> 'f')
      """ : ""
    return """
      SELECT i.indrelid, a.attname, a.attnum FROM pg_catalog.pg_index i \
      JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (\(carried)) \
      WHERE i.indrelid IN (\(oids)) \
      AND i.indisprimary AND i.indimmediate\(partial) ORDER BY 1, 3
      """
  }

  private func query(
    within limit: Duration = Limits.question, _ text: (_ serverMajor: Int) -> String
  ) throws(PGError) -> [[String?]] {
    var connection: Connection
    if let kept = self.connection.take() { connection = kept } else { connection = try connect() }
    serverMajor = connection.serverVersion.major
    let rows = try connection.query(text(serverMajor), timeout: limit)
    self.connection = consume connection
    return rows.first?.rows ?? []
  }
}
