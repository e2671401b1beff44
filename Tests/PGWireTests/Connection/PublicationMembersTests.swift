import Support
import Testing

@testable import PGWire

/// What the catalog says of publications, beside what the server's own view says of them.
@Suite(.serialized)
struct PublicationMembersTests {
  private static let tables = """
    CREATE SCHEMA a; CREATE SCHEMA b;
    CREATE TABLE a.plain (id int PRIMARY KEY, v int, w text); ALTER TABLE a.plain DROP COLUMN v;
    CREATE UNLOGGED TABLE a.unlogged (id int);
    CREATE VIEW a.view AS SELECT 1 AS x;
    CREATE TABLE a.parts (id int, r text, x int, PRIMARY KEY (id, r)) PARTITION BY LIST (r);
    CREATE TABLE a.one PARTITION OF a.parts FOR VALUES IN ('1');
    CREATE TABLE b.two PARTITION OF a.parts FOR VALUES IN ('2') PARTITION BY RANGE (id);
    CREATE TABLE b.three PARTITION OF b.two FOR VALUES FROM (0) TO (10);
    CREATE TABLE a.four PARTITION OF b.two FOR VALUES FROM (10) TO (20);
    CREATE TABLE a.parent (id int PRIMARY KEY); CREATE TABLE a.child () INHERITS (a.parent);
    CREATE TABLE b.made (id int PRIMARY KEY, v int, g int GENERATED ALWAYS AS (v * 2) STORED);
    """

  /// Each with what makes it.
  private static func publications(_ version: Int) -> [String] {
    var all: [String] = []
    for root in ["false", "true"] {
      let rest = "WITH (publish_via_partition_root = \(root))"
      all += [
        "FOR ALL TABLES \(rest)", rest, "FOR TABLE a.plain, a.parts \(rest)",
        "FOR TABLE a.parts, a.one, b.two \(rest)", "FOR TABLE b.two, a.one \(rest)",
        "FOR TABLE b.three \(rest)", "FOR TABLE a.parent \(rest)",
        "FOR TABLE ONLY a.parent, b.made \(rest)",
      ]
      guard version >= 15 else { continue }
      all += [
        "FOR TABLES IN SCHEMA a \(rest)", "FOR TABLES IN SCHEMA b \(rest)",
        "FOR TABLES IN SCHEMA b, TABLE a.parts \(rest)",
        "FOR TABLES IN SCHEMA a, TABLE b.two, a.plain WHERE (id > 3) \(rest)",
        "FOR TABLE a.plain (id), b.made (v, id) WHERE (id > 3) \(rest)",
      ]
      guard version >= 18 else { continue }
      let made = "(publish_generated_columns = stored, publish_via_partition_root = \(root))"
      all += ["FOR TABLE b.made WITH \(made)", "FOR ALL TABLES WITH \(made)"]
    }
    if version >= 15 {
      all.append(
        "FOR TABLE a.parts WHERE (id > 2), a.one WHERE (id > 7) "
          + "WITH (publish_via_partition_root = true)")
    }
    if version >= 18 { all.append("FOR TABLE b.made (id, g)") }
    return all
  }

  private static func mine(_ name: String, _ version: Int) -> String {
    let columns =
      version >= 15
      ? "(SELECT array_agg(a.attname::text ORDER BY a.attnum) FROM pg_attribute a "
        + "WHERE a.attrelid = c.oid AND a.attnum = ANY (p.columns)), pg_get_expr(p.filter, c.oid)"
      : "NULL, NULL"
    return "SELECT p.relid::regclass::text, \(columns) "
      + "FROM (\(Publication.members(name, serverMajor: version))) p "
      + "JOIN pg_class c ON c.oid = p.relid ORDER BY 1"
  }

  private static func view(_ name: String, _ version: Int) -> String {
    // Without a list it names all columns.
    let listed =
      version >= 15
      ? "CASE WHEN EXISTS (SELECT FROM pg_publication_rel r JOIN pg_publication o "
        + "ON o.oid = r.prpubid WHERE o.pubname = p.pubname AND r.prattrs IS NOT NULL "
        + "AND r.prrelid = format('%I.%I', p.schemaname, p.tablename)::regclass) "
        + "THEN p.attnames::text[] END, p.rowfilter" : "NULL, NULL"
    return "SELECT DISTINCT format('%I.%I', p.schemaname, p.tablename)::regclass::text, \(listed) "
      + "FROM pg_publication_tables p WHERE p.pubname = '\(name)' ORDER BY 1"
  }

  @Test(arguments: [13, 15, 16, 17, 18].filter { PostgresPrograms.installed[$0] != nil })
  func `The members of a publication are those that the server's view names`(version: Int) throws {
    let server = try PostgresServer(version: version)
    try server.psql(Self.tables)
    var connection = try Connection.open(
      ConnectionParameters(ConnectionString(server.dsn())), replication: false,
      timeout: .seconds(20))
    var total = 0
    for (number, text) in Self.publications(version).enumerated() {
      _ = try connection.query("CREATE PUBLICATION p\(number) \(text)")
      let mine = try connection.query(Self.mine("p\(number)", version)).first?.rows
      let view = try connection.query(Self.view("p\(number)", version)).first?.rows
      #expect(mine == view, "\(text)")
      total += view?.count ?? 0
      _ = try connection.query("DROP PUBLICATION p\(number)")
    }
    #expect(total > 30)
    connection.close()
  }
}
