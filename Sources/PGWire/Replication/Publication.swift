/// Queries about publications; they run on an ordinary connection.
public enum Publication {
  /// Asks which of the named publications exist: one row, its name, for each.
  public static func existing(_ names: [String]) -> String {
    let list = names.map(ReplicationCommand.literal).joined(separator: ", ")
    return "SELECT pubname FROM pg_catalog.pg_publication WHERE pubname IN (\(list))"
  }

  /// Asks for the tables that the named publications cover, as ``PublishedTable`` reads them.
  public static func tables(_ names: [String]) -> String {
    let list = names.map(ReplicationCommand.literal).joined(separator: ", ")
    return """
      SELECT DISTINCT n.nspname, c.relname, c.relreplident, EXISTS (SELECT FROM pg_catalog.pg_index i \
      WHERE i.indrelid = c.oid AND i.indisprimary AND i.indimmediate) \
      FROM pg_catalog.pg_publication_tables p \
      JOIN pg_catalog.pg_namespace n ON n.nspname = p.schemaname \
      JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = p.tablename \
      WHERE p.pubname IN (\(list)) ORDER BY 1, 2
      """
  }

  /// Asks for the tables that a publication may cover: one row, schema and name, for each.
  public static let candidates = """
    SELECT n.nspname, c.relname FROM pg_catalog.pg_class c \
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    WHERE c.relkind = 'r' AND c.relpersistence = 'p' AND n.nspname <> 'information_schema' \
    AND n.nspname NOT LIKE 'pg\\_%' ORDER BY 1, 2
    """

  /// What creates a publication of all tables, for people to paste.
  public static func suggestion(_ name: String) -> String {
    "CREATE PUBLICATION \(ReplicationCommand.pasted(name)) FOR ALL TABLES"
  }

  /// Creates a publication of the given tables, or of all when there are none.
  public static func create(_ name: String, tables: [(schema: String, name: String)]) -> String {
    let target =
      tables.isEmpty
      ? "ALL TABLES"
      : "TABLE "
        + tables.map {
          ReplicationCommand.identifier($0.schema) + "." + ReplicationCommand.identifier($0.name)
        }.joined(separator: ", ")
    return "CREATE PUBLICATION \(ReplicationCommand.identifier(name)) FOR \(target)"
  }
}

/// A table that a publication covers.
public struct PublishedTable: Hashable, Sendable {
  /// Its schema.
  public let schema: String
  /// Its name.
  public let name: String
  /// What its updates and deletes carry of the old row.
  public let replicaIdentity: Relation.ReplicaIdentity
  /// Whether it has a primary key that is not deferrable.
  public let hasPrimaryKey: Bool

  /// Reads one row of ``Publication/tables(_:)``; nil when it is not that.
  public init?(row: [String?]) {
    guard row.count == 4, let schema = row[0], let name = row[1],
      let identity = row[2]?.utf8.first.flatMap(Relation.ReplicaIdentity.init(rawValue:))
    else { return nil }
    self.schema = schema
    self.name = name
    self.replicaIdentity = identity
    self.hasPrimaryKey = row[3] == "t"
  }
}
