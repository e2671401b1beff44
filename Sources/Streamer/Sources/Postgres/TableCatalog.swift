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
  private let connect: () throws(PGError) -> Connection
  private var connection: Connection?
  private var types = TypeCatalog()
  /// The server's major version as of the last look-up.
  private(set) var serverMajor: Int

  init(
    memory: any SourceMemory, serverMajor: Int,
    connect: @escaping () throws(PGError) -> Connection
  ) {
    self.memory = memory
    self.serverMajor = serverMajor
    self.connect = connect
  }

  /// Everything known about the types of a table's columns, after asking for those of users.
  ///
  /// They are asked for whenever a table is described or a row disagrees: ALTER TYPE may have
  /// changed them, and nothing on the wire would tell.
  func types(of relation: Relation) throws(PGError) -> TypeCatalog {
    types.hasShortestFloats = serverMajor >= 12
    types.forgetAll(relation.columns.map(\.type))
    let missing = types.missing(for: relation.columns.map(\.type))
    if !missing.isEmpty {
      let rows = try query { TypeCatalogQuery.text(for: missing, serverMajor: $0) }
      do throws(DecodingError) { types.learn(try TypeCatalogQuery.descriptions(of: rows)) } catch {
        throw .protocol(error, phase: .query, tag: nil)
      }
    }
    return types
  }

  /// The primary key's columns, where the replica identity is the whole row or nothing.
  ///
  /// Remembered for the table as it is described at `position`: a later ALTER does not change the
  /// keys of rows that are replayed. Without a position the catalog says, and nothing is remembered.
  func key(
    of relation: Relation, at position: LSN?
  ) throws(StreamerError) -> Result<[String], PGError> {
    guard relation.replicaIdentity == .full || relation.replicaIdentity == .nothing else {
      return .success([])
    }
    let table = origin.map {
      DescribedTable(
        origin: $0, relationOID: relation.oid, columns: relation.columns.map(\.name))
    }
    if let table, let position, let known = try memory.keyColumns(of: table, at: position) {
      return .success(known)
    }
    let rows: [[String?]]
    do { rows = try query { _ in Self.keyQuery(relation.oid) } } catch { return .failure(error) }
    let key = rows.compactMap { $0.first ?? nil }
    if let table, let position { try memory.rememberKeyColumns(key, of: table, at: position) }
    return .success(key)
  }

  /// A slot as the server shows it; nil when there is none of that name.
  func slot(named name: String) throws(PGError) -> ReplicationSlot? {
    let rows = try query { ReplicationSlot.query(name: name, serverVersion: $0 * 10_000) }
    return rows.lazy.compactMap(ReplicationSlot.init(row:)).first
  }

  /// Forgets the connection; the next look-up makes another.
  func disconnect() { connection = nil }

  /// A deferrable primary key identifies no row while a transaction is open: it is none.
  private static func keyQuery(_ oid: UInt32) -> String {
    """
    SELECT a.attname FROM pg_catalog.pg_index i \
    JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey) \
    WHERE i.indrelid = \(oid) AND i.indisprimary AND i.indimmediate ORDER BY a.attnum
    """
  }

  private func query(_ text: (_ serverMajor: Int) -> String) throws(PGError) -> [[String?]] {
    var connection: Connection
    if let kept = self.connection.take() { connection = kept } else { connection = try connect() }
    serverMajor = connection.serverVersion.major
    let rows = try connection.query(text(serverMajor))
    self.connection = consume connection
    return rows.first?.rows ?? []
  }
}
