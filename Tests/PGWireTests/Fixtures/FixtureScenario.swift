import PGWire
import Support

/// What is done on a real server while its stream is recorded.
struct FixtureScenario: Sendable {
  /// How a recording ends.
  enum End: Sendable {
    /// When the server says that everything is sent.
    case caughtUp
    /// When the server asks for a status update by itself.
    case asked
    /// When the server reports an error, or, from 18 on, warns instead.
    case error
    /// When the server shuts down.
    case shutdown
  }

  let name: String
  /// Runs before the slot exists: tables and types; the publication `p` is there already.
  var setup = ""
  /// Runs while the stream is recorded.
  var sql = ""
  /// The publication that is asked for.
  var publication = "p"
  var end = End.caughtUp
  /// The first major version that has what it shows.
  var since = 13
  /// What is asked of the plugin beside protocol 1.
  var options: @Sendable (inout PgOutputOptions) -> Void = { _ in }
  /// Runs instead of ``sql`` where several sessions overlap.
  var overlapping: (@Sendable (PostgresServer) throws -> Void)?

  static let all =
    [
      types, userTypes, identities, toast, truncate, relations, transactions, messages, origin,
      keepalives, missingPublication, shutdown,
    ] + streaming

  private static let types = FixtureScenario(
    name: "types",
    setup: """
      CREATE TABLE types (id int PRIMARY KEY, i2 int2, i8 int8, f4 float4, f8 float8, n numeric(12,3),
        b bool, t text, c char(4), v varchar(20), y bytea, d date, ts timestamp, tz timestamptz,
        tm time, tmz timetz, iv interval, u uuid, j json, jb jsonb, ip inet, m macaddr, bi bit(3),
        p point, r int4range, a int[], ta text[], mo money, x xml);
      """,
    sql: #"""
      INSERT INTO types VALUES (1, -32768, 9223372036854775807, 1.5, 'NaN', 12345.678, true,
        E'héllo\n"€"\\', 'ab', 'v', '\x00ff', '2024-02-29', '2024-02-29 12:34:56.789',
        '2024-02-29 12:34:56+02', '24:00', '12:34:56+05:30', '1 year 2 mons 3 days 04:05:06.7',
        '6f0c1c9e-0000-4000-8000-000000000000', '{"a" : 1}', '{"b": [1, null]}', '10.0.0.1/8',
        '08:00:2b:01:02:03', '101', '(1,2)', '[1,6)', '{1,NULL,3}', '{"a,b",NULL,""}', 12.34,
        :xml);
      INSERT INTO types (id) VALUES (2);
      INSERT INTO types (id, t, d, ts, f8) VALUES
        (3, '', 'infinity', '0044-03-15 00:00:00 BC', '-Infinity');
      """#)

  private static let userTypes = FixtureScenario(
    name: "user-types",
    setup: #"""
      CREATE TYPE mood AS ENUM ('sad', 'ok', 'it''s "fine"');
      CREATE DOMAIN positive AS int CHECK (VALUE > 0);
      CREATE TYPE pair AS (a int, b text);
      CREATE TYPE span AS RANGE (subtype = float8);
      CREATE SCHEMA "Other Schema";
      CREATE TABLE "Other Schema"."Odd ""Table""" (id positive PRIMARY KEY, "mood?" mood,
        moods mood[], pair pair, pairs pair[], span span, numbers positive[]);
      """#,
    sql: #"""
      INSERT INTO "Other Schema"."Odd ""Table""" VALUES
        (1, 'sad', '{ok,"it''s \"fine\""}', '(1,"a,""b""")', '{"(1,x)","(,)"}', '[1.5,2.5)', '{1,2}'),
        (2, NULL, '{}', '(,)', NULL, 'empty', '{}');
      ALTER TYPE mood ADD VALUE 'great';
      UPDATE "Other Schema"."Odd ""Table""" SET "mood?" = 'great' WHERE id = 1;
      """#)

  private static let identities = FixtureScenario(
    name: "identities",
    setup: """
      CREATE TABLE by_key (a int, id int, b text, PRIMARY KEY (id));
      CREATE TABLE by_index (id int PRIMARY KEY, code text NOT NULL UNIQUE, b text);
      ALTER TABLE by_index REPLICA IDENTITY USING INDEX by_index_code_key;
      CREATE TABLE by_row (id int PRIMARY KEY, b text);
      ALTER TABLE by_row REPLICA IDENTITY FULL;
      CREATE TABLE by_nothing (id int PRIMARY KEY, b text);
      ALTER TABLE by_nothing REPLICA IDENTITY NOTHING;
      CREATE TABLE keyless (b text);
      """,
    sql: """
      INSERT INTO by_key VALUES (10, 1, 'one'), (20, 2, NULL);
      UPDATE by_key SET b = 'uno' WHERE id = 1;
      UPDATE by_key SET id = 3 WHERE id = 1;
      DELETE FROM by_key WHERE id = 3;
      INSERT INTO by_index VALUES (1, 'x', 'one');
      UPDATE by_index SET b = NULL;
      UPDATE by_index SET code = 'y';
      DELETE FROM by_index;
      INSERT INTO by_row VALUES (1, 'one'), (2, NULL);
      UPDATE by_row SET b = 'uno' WHERE id = 1;
      UPDATE by_row SET id = 3 WHERE id = 2;
      DELETE FROM by_row;
      INSERT INTO by_nothing VALUES (1, 'one');
      INSERT INTO keyless VALUES ('one'), (NULL), ('');
      """)

  private static let toast = FixtureScenario(
    name: "toast",
    setup: """
      CREATE TABLE big (id int PRIMARY KEY, v int, t text, u text);
      CREATE TABLE big_full (id int PRIMARY KEY, v int, t text);
      ALTER TABLE big_full REPLICA IDENTITY FULL;
      ALTER TABLE big ALTER t SET STORAGE EXTERNAL, ALTER u SET STORAGE EXTERNAL;
      ALTER TABLE big_full ALTER t SET STORAGE EXTERNAL;
      """,
    sql: """
      INSERT INTO big VALUES (1, 1, repeat('x', 2100), NULL);
      UPDATE big SET v = 2;
      UPDATE big SET u = repeat('y', 2100);
      UPDATE big SET id = 2;
      INSERT INTO big_full VALUES (1, 1, repeat('z', 2100));
      UPDATE big_full SET v = 2;
      DELETE FROM big_full;
      """)

  private static let truncate = FixtureScenario(
    name: "truncate",
    setup: """
      CREATE TABLE parent (id serial PRIMARY KEY);
      CREATE TABLE child (id serial PRIMARY KEY, parent int REFERENCES parent);
      CREATE TABLE lone (id int PRIMARY KEY);
      """,
    sql: """
      INSERT INTO parent DEFAULT VALUES;
      TRUNCATE lone;
      TRUNCATE parent, lone RESTART IDENTITY CASCADE;
      TRUNCATE child RESTART IDENTITY;
      BEGIN; INSERT INTO lone VALUES (1); TRUNCATE lone; INSERT INTO lone VALUES (2); COMMIT;
      """)

  private static let relations = FixtureScenario(
    name: "relations",
    setup: "CREATE TABLE r (id int PRIMARY KEY, a text); CREATE TABLE s (id int PRIMARY KEY);",
    sql: """
      BEGIN; INSERT INTO r VALUES (1, 'a'); INSERT INTO s VALUES (1); INSERT INTO r VALUES (2, 'b');
      COMMIT;
      ALTER TABLE r ADD COLUMN b numeric(8,2) DEFAULT 1.5;
      INSERT INTO r VALUES (3, 'c', 2.25);
      ALTER TABLE r DROP COLUMN a;
      UPDATE r SET b = 9 WHERE id = 1;
      ALTER TABLE r RENAME TO "R";
      BEGIN; INSERT INTO "R" VALUES (4, 1); ALTER TABLE "R" ADD COLUMN c int; ALTER TABLE "R" ALTER b
      TYPE text; INSERT INTO "R" VALUES (5, '2', 3); COMMIT;
      CREATE TABLE t (a int, b int GENERATED ALWAYS AS (a * 2) STORED, PRIMARY KEY (a));
      INSERT INTO t VALUES (1);
      CREATE TABLE part (id int PRIMARY KEY, v int) PARTITION BY RANGE (id);
      CREATE TABLE part1 PARTITION OF part FOR VALUES FROM (0) TO (10);
      CREATE TABLE part2 PARTITION OF part FOR VALUES FROM (10) TO (20);
      INSERT INTO part VALUES (1, 1); UPDATE part SET id = 11;
      """)

  private static let transactions = FixtureScenario(
    name: "transactions",
    setup: "CREATE TABLE tx (id int PRIMARY KEY, v text);",
    sql: """
      BEGIN; INSERT INTO tx VALUES (1, 'kept'); SAVEPOINT a; INSERT INTO tx VALUES (2, 'lost');
      ROLLBACK TO a; SAVEPOINT b; INSERT INTO tx VALUES (3, 'kept'); RELEASE b; COMMIT;
      BEGIN; INSERT INTO tx VALUES (4, 'lost'); ROLLBACK;
      BEGIN; SELECT 1; COMMIT;
      INSERT INTO tx SELECT n, 'many' FROM generate_series(10, 29) n;
      """)

  private static let messages = FixtureScenario(
    name: "messages",
    setup: "CREATE TABLE m (id int PRIMARY KEY);",
    sql: #"""
      SELECT pg_logical_emit_message(false, 'alone', 'content');
      BEGIN; INSERT INTO m VALUES (1); SELECT pg_logical_emit_message(true, 'inside', '');
      SELECT pg_logical_emit_message(true, 'bytes', '\x00ff80'::bytea); COMMIT;
      BEGIN; SELECT pg_logical_emit_message(true, 'lost', 'x');
      SELECT pg_logical_emit_message(false, 'at once', 'x'); ROLLBACK;
      BEGIN; INSERT INTO m VALUES (2); SELECT pg_logical_emit_message(false, 'last', 'x'); COMMIT;
      """#)

  private static let origin = FixtureScenario(
    name: "origin",
    setup:
      "CREATE TABLE o (id int PRIMARY KEY); SELECT pg_replication_origin_create('node \"b\"');",
    sql: """
      SELECT pg_replication_origin_session_setup('node "b"');
      BEGIN; SELECT pg_replication_origin_xact_setup('16/B374D848', '2024-01-01 00:00:00+00');
      INSERT INTO o VALUES (1); COMMIT;
      SELECT pg_replication_origin_session_reset();
      INSERT INTO o VALUES (2);
      """)

  private static let keepalives = FixtureScenario(
    name: "keepalives", setup: "CREATE TABLE k (id int PRIMARY KEY);",
    sql: "INSERT INTO k VALUES (1); SELECT pg_switch_wal();", end: .asked)

  private static let missingPublication = FixtureScenario(
    name: "missing-publication", setup: "CREATE TABLE n (id int PRIMARY KEY);",
    sql: "INSERT INTO n VALUES (1);", publication: "nowhere", end: .error)

  private static let shutdown = FixtureScenario(
    name: "shutdown", setup: "CREATE TABLE e (id int PRIMARY KEY);",
    sql: "INSERT INTO e VALUES (1);", end: .shutdown)
}
