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

  /// What gives the tables of a publication, without waiting for anybody who holds one of them: a
  /// SELECT to stand in parentheses behind FROM.
  ///
  /// The server's own view opens the tables, in most versions, and so waits for whoever alters or locks
  /// one. This one reads the catalog alone. It has a row for each table: `relid`, `columns` (the numbers
  /// of those that are listed, NULL for all), `filter` (as the catalog keeps it), and `generated`
  /// (whether stored generated columns are published where none are listed).
  public static func members(_ name: String, serverMajor: Int) -> String {
    let byRoot = serverMajor >= 13 ? "p.pubviaroot" : "false"
    let generated = serverMajor >= 18 ? "p.pubgencols = 's'" : "false"
    let kinds = serverMajor >= 13 ? "('r', 'p')" : "('r')"
    let attached = serverMajor >= 14 ? "AND NOT i.inhdetachpending" : ""
    func children(of parents: String) -> String {
      """
      SELECT i.inhrelid AS relid FROM \(parents) t \
      JOIN pg_catalog.pg_class c ON c.oid = t.relid AND c.relkind = 'p' \
      JOIN pg_catalog.pg_inherits i ON i.inhparent = c.oid \(attached)
      """
    }
    var named = """
      SELECT c.oid AS relid FROM pub JOIN pg_catalog.pg_class c ON pub.whole \
      WHERE c.relkind IN \(kinds) AND c.relpersistence = 'p' AND c.oid >= 16384 \
      UNION SELECT r.prrelid FROM pub JOIN pg_catalog.pg_publication_rel r ON r.prpubid = pub.oid
      """
    var listed = ("NULL::int2[]", "NULL::text", "")
    if serverMajor >= 15 {
      named += """
         UNION SELECT c.oid FROM pub \
        JOIN pg_catalog.pg_publication_namespace s ON s.pnpubid = pub.oid \
        JOIN pg_catalog.pg_class c ON c.relnamespace = s.pnnspid AND c.relkind IN ('r', 'p') \
        AND c.relpersistence = 'p'
        """
      // What a whole schema or everything brings has neither.
      listed = (
        "r.prattrs::int2[]", "r.prqual",
        """
        LEFT JOIN pg_catalog.pg_publication_rel r ON r.prrelid = c.oid AND r.prpubid = pub.oid \
        AND NOT pub.whole AND NOT EXISTS (SELECT FROM pg_catalog.pg_publication_namespace s \
        WHERE s.pnpubid = pub.oid AND s.pnnspid = c.relnamespace)
        """
      )
    }
    return """
      WITH RECURSIVE pub AS (SELECT p.oid, p.puballtables AS whole, \(byRoot) AS by_root, \
      \(generated) AS generated FROM pg_catalog.pg_publication p \
      WHERE p.pubname = \(ReplicationCommand.literal(name))), \
      named AS (\(named)), \
      below AS (\(children(of: "named")) UNION \(children(of: "below"))) \
      SELECT c.oid AS relid, \(listed.0) AS columns, \(listed.1) AS filter, pub.generated \
      FROM pub CROSS JOIN (SELECT relid FROM named UNION SELECT relid FROM below) t \
      JOIN pg_catalog.pg_class c ON c.oid = t.relid \(listed.2) \
      WHERE CASE WHEN pub.by_root THEN c.oid IN (SELECT relid FROM named) \
      AND c.oid NOT IN (SELECT relid FROM below) ELSE c.relkind <> 'p' END
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
