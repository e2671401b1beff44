import Glibc
import Support
import Testing

/// What real servers send where values, keys and texts are not whole, and what becomes of it.
@Suite(.serialized) struct ValuesTests {
  static let versions = [15, 18].filter { PostgresPrograms.installed[$0] != nil }

  /// One server, its tables, and a streamer from a slot that is older than the rows.
  private final class Reader {
    let server: PostgresServer
    private let directory: TemporaryDirectory

    init(version: Int, encoding: String, _ tables: String) throws {
      server = try PostgresServer(
        initdb: ["--encoding=\(encoding)", "--locale=C"], version: version)
      directory = try TemporaryDirectory("values")
      try server.psql(tables)
    }

    /// What `check` says.
    func check() throws -> String {
      let file = directory.file("check.toml")
      try FileBytes.write(
        """
        store = "\(directory.file("check.sqlite"))"
        [source.pg]
        type = "postgres"
        dsn = "\(server.dsn())"
        publication = "p"
        replicationSlot = "s"
        [sink.out]
        type = "stdout"
        sources = ["pg"]
        """, to: file)
      return try Subprocess.run(
        Binary.psqlStreamer, ["check", "--config", file], within: .seconds(60)
      ).standardOutput
    }

    /// Runs the program, with a slot made before the rows, until it has written `count` events
    /// or ends by itself.
    func read(
      _ slot: String, _ count: Int, _ lines: String = ""
    ) throws -> (events: [JSON], log: String) {
      let path = directory.file("\(slot).jsonl")
      let file = directory.file("\(slot).toml")
      try FileBytes.write(
        """
        store = "\(directory.file("\(slot).sqlite"))"
        http = "127.0.0.1:0"
        [source.pg]
        type = "postgres"
        dsn = "\(server.dsn())"
        publication = "p"
        replicationSlot = "\(slot)"
        \(lines)
        [sink.out]
        type = "file"
        sources = ["pg"]
        path = "\(path)"
        """, to: file)
      let streamer = try Subprocess(Binary.psqlStreamer, ["run", "--config", file])
      try eventually(within: .seconds(60), "\(count) events or the end") {
        if !streamer.isRunning { return true }
        return (try? FileBytes.text(of: path).split(separator: "\n").count) ?? 0 >= count
      }
      if streamer.isRunning { streamer.send(SIGTERM) }
      _ = try streamer.wait(within: .seconds(60))
      let text = (try? FileBytes.text(of: path)) ?? ""
      return (try text.split(separator: "\n").map { try JSON(String($0)) }, streamer.standardError)
    }
  }

  @Test("B7 B8 B13 nothing is invented", .needsPostgres, arguments: versions)
  func unsentValues(version: Int) throws {
    let reader = try Reader(
      version: version, encoding: "UTF8",
      """
      CREATE TABLE r (a int PRIMARY KEY, b text, c text) PARTITION BY RANGE (a);
      CREATE TABLE r1 PARTITION OF r FOR VALUES FROM (0) TO (100);
      ALTER TABLE r REPLICA IDENTITY FULL;
      CREATE TABLE j (id int PRIMARY KEY, doc json);
      CREATE TABLE g (a int, b int GENERATED ALWAYS AS (a * 2) STORED, PRIMARY KEY (a, b));
      CREATE TABLE k (a int, b int, c int, PRIMARY KEY (a, b));
      CREATE PUBLICATION p FOR ALL TABLES WITH (publish_via_partition_root = true);
      SELECT pg_create_logical_replication_slot('s', 'pgoutput');
      INSERT INTO r VALUES (1, 'x', 'y');
      UPDATE r SET a = 2;
      DELETE FROM r;
      INSERT INTO j VALUES (1, '{"k":"\\ud800"}');
      BEGIN;
      INSERT INTO g VALUES (1);
      INSERT INTO k VALUES (1, 2, 3);
      COMMIT;
      """)
    let events = try reader.read("s", 7).events
    #expect(
      events.prefix(5).map { $0["Action"]?.string }
        == ["insert", "delete", "insert", "delete", "insert"])
    for index in [1, 3] where index < events.count {
      #expect(events[index]["Columns"]?.names == ["a"] && events[index]["Old"]?.names == ["a"])
    }
    #expect(events.dropFirst(4).first?["Columns"]?["doc"]?.string == #"{"k":"\ud800"}"#)
    // A generated column of the key is not published: half a key is none.
    #expect(events.dropFirst(5).map { $0["Key"]?.names } == [[], ["a", "b"]])
  }

  @Test("B19 bytes that are no text, in text and in binary", .needsPostgres, arguments: versions)
  func invalidText(version: Int) throws {
    let slots = ["stop", "replace", "base64"]
    let reader = try Reader(
      version: version, encoding: "SQL_ASCII",
      """
      CREATE TABLE t (id text PRIMARY KEY, v text[]);
      CREATE PUBLICATION p FOR ALL TABLES;
      \(slots.map { "SELECT pg_create_logical_replication_slot('\($0)', 'pgoutput');" }.joined())
      INSERT INTO t VALUES ('good', NULL);
      INSERT INTO t VALUES (E'k\\xff', ARRAY[E'a\\xc3', 'b']);
      """)
    let stopped = try reader.read("stop", 2)
    // What came before is delivered.
    #expect(stopped.events.map { $0["Key"]?["id"]?.string } == ["good"])
    for word in ["column id of public.t at LSN ", #"invalidUTF8 = \"replace\""#] {
      #expect(stopped.log.contains(word), "\(stopped.log)")
    }
    let replaced = try reader.read("replace", 2, "invalidUTF8 = \"replace\"").events.last
    #expect(replaced?["Key"]?["id"]?.string == "k\u{FFFD}")
    #expect(replaced?["Columns"]?["v"]?.elements.first?.string == "a\u{FFFD}")
    let encoded = try reader.read("base64", 2, "invalidUTF8 = \"base64\"\nbinary = true").events
      .last
    #expect(encoded?["Key"]?["id"]?.string == "a/8=")
    #expect(encoded?["Columns"]?["v"]?.string == "e2HDLGJ9")
  }

  @Test("B19 what the server cannot convert names the place", .needsPostgres)
  func unconvertible() throws {
    let reader = try Reader(
      version: 15, encoding: "WIN1252",
      """
      CREATE TABLE t (id int PRIMARY KEY, v text);
      CREATE PUBLICATION p FOR ALL TABLES;
      SELECT pg_create_logical_replication_slot('s', 'pgoutput');
      INSERT INTO t VALUES (1, E'a\\x81');
      """)
    let log = try reader.read("s", 1).log
    for word in ["22P05", "(at LSN ", "walPositionOverride"] {
      #expect(log.contains(word), "\(log)")
    }
  }

  @Test("B7 B9 B10 B21 check tells of columns and partitions", .needsPostgres, arguments: versions)
  func check(version: Int) throws {
    let reader = try Reader(
      version: version, encoding: "UTF8",
      """
      CREATE TABLE r (a int PRIMARY KEY) PARTITION BY RANGE (a);
      CREATE TABLE r1 PARTITION OF r DEFAULT;
      ALTER TABLE r REPLICA IDENTITY FULL;
      CREATE TABLE g (id int PRIMARY KEY, a int, b int GENERATED ALWAYS AS (a * 2) STORED);
      CREATE TABLE h (id int PRIMARY KEY, b int GENERATED ALWAYS AS (id * 2) STORED);
      CREATE TABLE f (id int PRIMARY KEY);
      CREATE TABLE k (id int, twice int GENERATED ALWAYS AS (id * 2) STORED, PRIMARY KEY (id, twice));
      CREATE PUBLICATION p FOR TABLE r, k, g (a), f WHERE (id > 1), h\(version >= 18 ? " (id, b)" : "")
        WITH (publish_via_partition_root = true);
      """)
    let text = try reader.check()
    for line in [
      "whole rows, but not those of public.r1", "leave out id of the key: records have no key",
      "TRUNCATE, ATTACH and DETACH of one partition send no event",
      "leave out twice of the key: records have no key\n",
      "only some rows are published: updates that take one in",
    ] {
      #expect(text.contains(line), "\(text)")
    }
    let unpublished = text.split(separator: "\n").filter { $0.contains("not published: b") }
    #expect(unpublished.count == (version >= 18 ? 1 : 2), "\(text)")
  }
}
