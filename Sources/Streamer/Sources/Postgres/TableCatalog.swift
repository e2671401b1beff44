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
  private let publication: String
  private let connect: () throws(PGError) -> Connection
  private var connection: Connection?
  private var types = TypeCatalog()
  /// The server's major version as of the last look-up.
  var serverMajor: Int

  init(
    memory: any SourceMemory, publication: String, serverMajor: Int, log: Log,
    connect: @escaping () throws(PGError) -> Connection
  ) {
    self.memory = memory
    self.publication = publication
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

  /// What the catalog has to say of each table's key, asked for all at once: the primary key's
  /// columns where the replica identity is the whole row or nothing; else ``Table/unsentKey`` alone
  /// where a part of the identity is not published, and the identity's columns in their own order
  /// where it has several.
  ///
  /// The former is remembered for a table as it is described at its position: a later ALTER does not
  /// change the keys of rows that are replayed.
  func keys(of requests: [TableRequest]) throws(StreamerError) -> Result<[[String]], PGError> {
    var keys = requests.map { _ in [String]() }
    var unknown: [Int] = []
    for (index, request) in requests.enumerated() {
      if Self.needsCatalog(request.relation), let table = described(request.relation),
        let known = try memory.keyColumns(of: table, at: request.position)
      {
        keys[index] = known
      } else {
        unknown.append(index)
      }
    }
    guard !unknown.isEmpty else { return .success(keys) }
    // A table may be described twice, with another identity each time: both answers are kept apart.
    var found: (primary: [UInt32: [String]], identity: [UInt32: [String]]) = ([:], [:])
    // By table, how many columns were marked.
    var unsent: [UInt32: Set<Int>] = [:]
    let relations = unknown.map { requests[$0].relation }
    do throws(PGError) {
      for row in try query({ keyQuery(relations, serverMajor: $0) }) {
        guard row.count == 4, let oid = row[0].flatMap({ UInt32($0) }), let name = row[1] else {
          continue
        }
        if let marked = row[2].flatMap({ Int($0) }), marked <= 0 {
          unsent[oid, default: []].insert(-marked)
        } else if row[3] == "t" {
          found.primary[oid, default: []].append(name)
        } else {
          found.identity[oid, default: []].append(name)
        }
      }
    } catch { return .failure(error) }
    for index in unknown {
      let request = requests[index]
      let relation = request.relation
      guard Self.needsCatalog(relation) else {
        let isUnsent = unsent[relation.oid]?.contains(Self.marked(relation)) == true
        keys[index] = isUnsent ? [Table.unsentKey] : found.identity[relation.oid] ?? []
        continue
      }
      keys[index] = found.primary[relation.oid] ?? []
      guard let table = described(relation) else { continue }
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

  /// Asks the server; an empty text asks nothing.
  func rows(
    within limit: Duration, _ text: (_ serverMajor: Int) -> String
  ) throws(PGError) -> [[String?]] { try query(within: limit, text) }

  /// Forgets the connection; the next look-up makes another.
  func disconnect() { connection = nil }

  private func keyQuery(_ relations: [Relation], serverMajor: Int) -> String {
    let asked = relations.filter(Self.needsCatalog).map { String($0.oid) }
    let named = relations.filter { !Self.needsCatalog($0) }
    var parts: [String] = []
    if !asked.isEmpty {
      parts += Self.primaryKeys(of: asked.joined(separator: ", "), serverMajor: serverMajor)
    }
    // Every column could be left out from 15 on, before that generated ones only.
    if !named.isEmpty, serverMajor >= 12 { parts.append(unsentKeys(of: named, serverMajor)) }
    let several = named.filter { Self.marked($0) > 1 }.map { String($0.oid) }
    if !several.isEmpty {
      parts.append(Self.identities(of: several.joined(separator: ", "), serverMajor))
    }
    guard !parts.isEmpty else { return "" }
    return parts.joined(separator: " UNION ALL ") + " ORDER BY 1, 3"
  }

  private static func marked(_ relation: Relation) -> Int { relation.columns.count { $0.isKey } }

  private static func keyColumns(_ serverMajor: Int) -> String {
    serverMajor >= 11 ? "(i.indkey::int2[])[0:i.indnkeyatts - 1]" : "i.indkey"
  }

  /// A deferrable primary key identifies no row while a transaction is open: it is none.
  ///
  /// Columns that an index only carries (INCLUDE, from 11) are no part of the key. The last row of a
  /// table that can be published as the root of partitions (from 13) says whether one of them has
  /// another identity than the whole row: see ``Table/partialOldRows``. The root's own is as the
  /// stream says, and may be another by now. They are found without `pg_partition_tree`, which waits
  /// for whoever holds one of them.
  private static func primaryKeys(of oids: String, serverMajor: Int) -> [String] {
    let keys = """
      SELECT i.indrelid, a.attname, \(keyPlace), true FROM pg_catalog.pg_index i \
      JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid \
      AND a.attnum = ANY (\(keyColumns(serverMajor))) \
      WHERE i.indrelid IN (\(oids)) AND i.indisprimary AND i.indimmediate
      """
    guard serverMajor >= 13 else { return [keys] }
    return [
      keys,
      """
      SELECT c.oid, '\(Table.partialOldRows)', 32767, true FROM pg_catalog.pg_class c \
      WHERE c.oid IN (\(oids)) AND c.relkind = 'p' AND EXISTS (WITH RECURSIVE tree AS (\
      SELECT c.oid AS relid UNION ALL SELECT i.inhrelid FROM tree \
      JOIN pg_catalog.pg_inherits i ON i.inhparent = tree.relid) \
      SELECT FROM tree JOIN pg_catalog.pg_class l ON l.oid = tree.relid \
      WHERE l.relkind = 'r' AND l.relreplident <> 'f')
      """,
    ]
  }

  /// Where a column stands in its index, from 1 on.
  private static let keyPlace = "pg_catalog.array_position(i.indkey::int2[], a.attnum) + 1"

  /// The columns of identities in the order of their index, which a description does not say.
  private static func identities(of oids: String, _ serverMajor: Int) -> String {
    """
    SELECT i.indrelid, a.attname, \(keyPlace), false FROM pg_catalog.pg_index i \
    JOIN pg_catalog.pg_class c ON c.oid = i.indrelid \
    JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid \
    AND a.attnum = ANY (\(keyColumns(serverMajor))) \
    WHERE i.indrelid IN (\(oids)) AND CASE c.relreplident WHEN 'i' THEN i.indisreplident \
    WHEN 'd' THEN i.indisprimary AND i.indimmediate END
    """
  }

  /// A row for each table whose identity has more columns than its description marked as such,
  /// because the publication leaves some out: by a column list, or as generated.
  ///
  /// The numbers are compared, not the names, which may have changed since. The row's last column is
  /// how many were marked, less than 1 so that it tells such rows from the others.
  private func unsentKeys(of relations: [Relation], _ serverMajor: Int) -> String {
    // A table may have been described several times, and not the same each time.
    let marked = Set(relations.map { "(\($0.oid)::oid, \(Self.marked($0)))" })
    let name = ReplicationCommand.literal(publication)
    let listed =
      serverMajor >= 15
      ? "(SELECT r.prattrs::int2[] FROM pg_catalog.pg_publication_rel r "
        + "JOIN pg_catalog.pg_publication p ON p.oid = r.prpubid "
        + "WHERE r.prrelid = c.oid AND p.pubname = \(name))" : "NULL::int2[]"
    let generated =
      serverMajor >= 18
      ? "(l.attnums IS NULL AND NOT EXISTS (SELECT FROM pg_catalog.pg_publication p "
        + "WHERE p.pubname = \(name) AND p.pubgencols = 's'))" : "true"
    return """
      SELECT c.oid, '', -v.marked, false FROM (VALUES \(marked.joined(separator: ", "))) \
      v (relation, marked) JOIN pg_catalog.pg_class c ON c.oid = v.relation \
      JOIN pg_catalog.pg_index i ON i.indrelid = c.oid AND i.indnkeyatts > v.marked \
      AND CASE c.relreplident WHEN 'i' THEN i.indisreplident WHEN 'd' THEN i.indisprimary \
      AND i.indimmediate END CROSS JOIN LATERAL (SELECT \(listed)) l (attnums) \
      WHERE EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid \
      AND a.attnum = ANY (\(Self.keyColumns(serverMajor))) \
      AND (a.attnum <> ALL (l.attnums) OR a.attgenerated <> '' AND \(generated)))
      """
  }

  private func query(
    within limit: Duration = Limits.question, _ text: (_ serverMajor: Int) -> String
  ) throws(PGError) -> [[String?]] {
    var connection: Connection
    if let kept = self.connection.take() { connection = kept } else { connection = try connect() }
    serverMajor = connection.serverVersion.major
    let sql = text(serverMajor)
    let rows = sql.isEmpty ? [] : try connection.query(sql, timeout: limit)
    self.connection = consume connection
    return rows.last?.rows ?? []
  }
}
