import PGWire
import Support

/// What protocol 2 and later add: open transactions in chunks, prepared transactions, binary values,
/// the filter of origins.
///
/// Servers from 16 on are told to send each change at once, older ones stream what exceeds 64 kB:
/// `:rows` is as many rows as that takes.
extension FixtureScenario {
  /// Settings of the server that make it stream.
  static func settings(for version: Int) -> [String: String] {
    var settings = [
      "wal_sender_timeout": "2s", "max_prepared_transactions": "10",
      "logical_decoding_work_mem": "64kB",
    ]
    if version >= 16 { settings["debug_logical_replication_streaming"] = "immediate" }
    return settings
  }

  /// The SQL with `:rows` replaced, and `:xml`: the servers of a wheel (16 and 18) have no libxml.
  static func sql(_ text: String, for version: Int) -> String {
    func replace(_ name: String, _ value: String, in text: String) -> String {
      text.split(separator: name, omittingEmptySubsequences: false).joined(separator: value)
    }
    let sql = replace(":rows", version >= 16 ? "5" : "450", in: text)
    return replace(":xml", version == 16 || version == 18 ? "NULL" : "'<a/>'", in: sql)
  }

  static let streaming = [
    streamed, streamAborts, interleaved, parallelAborts, twoPhase, binary, originNone,
  ]

  @Sendable private static func stream(_ options: inout PgOutputOptions) {
    options.protocolVersion = 2
    options.streaming = .on
  }

  private static let table = "CREATE TABLE s (id int PRIMARY KEY);"

  private static let streamed = FixtureScenario(
    name: "streamed", setup: table + "CREATE TABLE note (v text);",
    sql: """
      INSERT INTO s VALUES (-1);
      BEGIN; INSERT INTO s SELECT generate_series(1, :rows); UPDATE s SET id = 0 WHERE id = 1;
      DELETE FROM s WHERE id = 2; SELECT pg_logical_emit_message(true, 'in', 'side');
      ALTER TABLE s ADD v text; INSERT INTO s VALUES (-2, 'v'); TRUNCATE note;
      INSERT INTO s (id) SELECT generate_series(1001, 1000 + :rows); COMMIT;
      INSERT INTO s VALUES (-3, 'w');
      """, since: 14, options: stream)

  private static let abortedSQL = """
    BEGIN; INSERT INTO s SELECT generate_series(1, :rows); SAVEPOINT a;
    INSERT INTO s SELECT generate_series(1001, 1000 + :rows); SAVEPOINT b; INSERT INTO s VALUES (-1);
    ROLLBACK TO b; ROLLBACK TO a; INSERT INTO s VALUES (-2); COMMIT;
    BEGIN; INSERT INTO s SELECT generate_series(2001, 2000 + :rows);
    INSERT INTO s SELECT generate_series(3001, 3000 + :rows); ROLLBACK;
    """

  private static let streamAborts = FixtureScenario(
    name: "stream-aborts", setup: table, sql: abortedSQL, since: 14, options: stream)

  private static let parallelAborts = FixtureScenario(
    name: "parallel-aborts", setup: table, sql: abortedSQL, since: 16,
    options: {
      $0.protocolVersion = 4
      $0.streaming = .parallel
    })

  private static let interleaved = FixtureScenario(
    name: "interleaved", setup: table, since: 14, options: stream,
    overlapping: { server in
      let version = try server.majorVersion()
      let (a, b) = (try server.session(), try server.session())
      func run(_ session: PostgresSession, _ text: String) throws {
        try session.run(FixtureScenario.sql(text, for: version))
      }
      try run(a, "BEGIN; INSERT INTO s SELECT generate_series(1, :rows)")
      try run(b, "BEGIN; INSERT INTO s SELECT generate_series(1001, 1000 + :rows)")
      try run(a, "SAVEPOINT x; INSERT INTO s SELECT generate_series(2001, 2000 + :rows)")
      try server.psql("INSERT INTO s VALUES (-1)")
      try run(b, "INSERT INTO s SELECT generate_series(3001, 3000 + :rows); COMMIT")
      try run(a, "ROLLBACK TO x; INSERT INTO s VALUES (-2); COMMIT")
      a.close()
      b.close()
    })

  private static let twoPhase = FixtureScenario(
    name: "two-phase", setup: table,
    sql: """
      BEGIN; INSERT INTO s VALUES (-1); PREPARE TRANSACTION 'kept "it"';
      COMMIT PREPARED 'kept "it"';
      BEGIN; INSERT INTO s VALUES (-2); PREPARE TRANSACTION 'lost'; ROLLBACK PREPARED 'lost';
      BEGIN; INSERT INTO s SELECT generate_series(1, :rows); PREPARE TRANSACTION 'streamed';
      INSERT INTO s VALUES (-3); COMMIT PREPARED 'streamed';
      """, since: 15,
    options: {
      $0.protocolVersion = 3
      $0.streaming = .on
      $0.twoPhase = true
    })

  private static let binary = FixtureScenario(
    name: "binary",
    setup: """
      CREATE TABLE bin (id int PRIMARY KEY, i2 int2, i8 int8, f4 float4, f8 float8, n numeric(12,3),
        b bool, t text, y bytea, d date, ts timestamp, tz timestamptz, tm time, iv interval, u uuid,
        j json, jb jsonb, ip inet, bi bit(3), r int4range, a int[], ta text[]);
      """,
    sql: #"""
      INSERT INTO bin VALUES (1, -32768, 9223372036854775807, 1.5, 'NaN', 12345.678, true, 'héllo',
        '\x00ff', '2024-02-29', '2024-02-29 12:34:56.789', '2024-02-29 12:34:56+02', '24:00',
        '1 year 2 mons 3 days 04:05:06.7', '6f0c1c9e-0000-4000-8000-000000000000', '{"a" : 1}',
        '{"b": [1, null]}', '10.0.0.1/8', '101', '[1,6)', '{1,NULL,3}', '{"a,b",NULL,""}');
      INSERT INTO bin (id, d, ts, n) VALUES (2, 'infinity', '-infinity', NULL);
      UPDATE bin SET id = 3 WHERE id = 2;
      """#, since: 14, options: { $0.binary = true })

  private static let originNone = FixtureScenario(
    name: "origin-none",
    setup: "CREATE TABLE o (id int PRIMARY KEY); SELECT pg_replication_origin_create('node');",
    sql: """
      SELECT pg_replication_origin_session_setup('node'); INSERT INTO o VALUES (1);
      SELECT pg_replication_origin_session_reset(); INSERT INTO o VALUES (2);
      """, since: 16, options: { $0.origin = PgOutputOptions.Origin.none })
}
