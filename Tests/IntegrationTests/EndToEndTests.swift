import Support
import Testing

extension Integration.FirstThird {
  /// The main road: a change commits in PostgreSQL and lies in Kafka as product.md §7 says.
  @Suite(.needsKafka) struct EndToEnd {
    @Test func `Values of many types arrive as the format says`() throws {
      let scenario = try Scenario("types", tables: Self.manyTypes)
      let streamer = try scenario.start()
      try scenario.psql(Self.oneRowOfManyTypes)
      let event = try #require(try scenario.events(1, from: streamer).first)
      let expected = try JSON(Self.expectedColumns)
      #expect(event.columns.names == expected.names)
      for name in expected.names {
        #expect(event.columns[name] == expected[name], "column \(name)")
      }
      #expect(try scenario.stop(streamer) == .exited(0))
    }

    @Test func `An event has the seed's fields first, then the additions`() throws {
      let scenario = try Scenario(
        "fields", tables: "CREATE TABLE t (id int PRIMARY KEY, note text)")
      let streamer = try scenario.start()
      let before = try scenario.psql("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn")
      try scenario.psql(
        """
        BEGIN; INSERT INTO t VALUES (7, 'w'); UPDATE t SET note = 'x' WHERE id = 7; COMMIT;
        DELETE FROM t WHERE id = 7
        """)
      let events = try scenario.events(3, from: streamer).ordered
      #expect(events.map(\.action) == ["insert", "update", "delete"])
      #expect(events.map(\.ordinal) == [0, 1, 0])
      #expect(events[0].xid == events[1].xid && events[0].commit == events[1].commit)
      #expect(events[0].commit > Int(before) ?? .max)
      let fields = [
        "Host", "Database", "Table", "Action", "WALPosition", "Timestamp", "UUID", "Columns",
        "Schema", "LSN", "CommitLSN", "XID", "Ordinal", "Key",
      ]
      for event in events {
        #expect(Array(event.value.names.prefix(fields.count)) == fields)
        #expect(event.value["Host"]?.string == "127.0.0.1")
        #expect(event.value["Database"]?.string == scenario.name)
        #expect(event.value["Schema"]?.string == "public" && event.table == "t")
        #expect(event.record.key == #"{"id":7}"#)
        #expect(event.value["Key"] == .object([.init("id", .number("7"))]))
        let commit = event.commit
        #expect(
          event.value["CommitLSN"]?.string
            == "\(String(commit >> 32, radix: 16))/\(String(commit & 0xffff_ffff, radix: 16))"
            .uppercased())
        let stamp = event.value["Timestamp"]?.string ?? ""
        #expect(stamp.wholeMatch(of: /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z/) != nil)
        #expect(event.uuid.wholeMatch(of: /[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f-]{21}/) != nil)
      }
      #expect(Set(events.map(\.uuid)).count == 3)
      _ = try scenario.stop(streamer)
    }

    @Test func `A changed key is a delete and an insert, a table without a key has a null one`()
      throws
    {
      let scenario = try Scenario(
        "keys",
        tables: """
          CREATE TABLE keyed (a int, b text, note text, PRIMARY KEY (a, b));
          CREATE TABLE bare (note text);
          ALTER TABLE bare REPLICA IDENTITY FULL
          """)
      let streamer = try scenario.start()
      try scenario.psql(
        """
        INSERT INTO keyed VALUES (1, 'x', 'n');
        UPDATE keyed SET b = 'y' WHERE a = 1;
        INSERT INTO bare VALUES ('p'), ('q');
        UPDATE bare SET note = 'r' WHERE note = 'p';
        DELETE FROM bare WHERE note = 'q'
        """)
      let events = try scenario.events(7, from: streamer).ordered
      let keyed = events.filter { $0.table == "keyed" }
      #expect(keyed.map(\.action) == ["insert", "delete", "insert"])
      #expect(
        keyed.map(\.record.key) == [
          #"{"a":1,"b":"x"}"#, #"{"a":1,"b":"x"}"#, #"{"a":1,"b":"y"}"#,
        ])
      #expect(keyed[1].ordinal == 0 && keyed[2].ordinal == 1 && keyed[1].commit == keyed[2].commit)
      #expect(keyed[2]["note"]?.string == "n")
      let bare = events.filter { $0.table == "bare" }
      #expect(bare.map(\.action) == ["insert", "insert", "update", "delete"])
      #expect(bare.allSatisfy { $0.record.key == nil })
      #expect(Set(bare.map(\.record.partition)).count == 1)
      #expect(bare[2].value["Old"]?["note"]?.string == "p" && bare[2]["note"]?.string == "r")
      #expect(bare[3]["note"]?.string == "q")
      _ = try scenario.stop(streamer)
    }

    @Test func `A schema change in mid-stream needs no restart`() throws {
      let scenario = try Scenario("ddl", tables: "CREATE TABLE t (id int PRIMARY KEY, a int)")
      let streamer = try scenario.start()
      try scenario.psql(
        """
        INSERT INTO t VALUES (1, 1);
        ALTER TABLE t ADD COLUMN "new ""one" text DEFAULT 'd';
        INSERT INTO t VALUES (2, 2);
        ALTER TABLE t DROP COLUMN a;
        CREATE TABLE late (id int PRIMARY KEY);
        INSERT INTO late VALUES (3);
        INSERT INTO t VALUES (4)
        """)
      let events = try scenario.events(4, from: streamer).ordered
      #expect(
        events.map(\.columns.names) == [
          ["id", "a"], ["id", "a", "new \"one"], ["id"], ["id", "new \"one"],
        ])
      _ = try scenario.stop(streamer)
    }

    @Test func `A second pipeline reads from Kafka what the first one wrote`() throws {
      let file = try TemporaryDirectory("file")
      let topic = "relay_source"
      let kafka = try Integration.kafka
      var lines = Scenario.Lines()
      lines.sink = [#"tableTopicMapping = { t = "\#(topic)" }"#]
      lines.more = [
        """
        [source.relay]
        type = "kafka"
        hosts = ["\(kafka.bootstrap)"]
        topics = ["\(topic)"]
        groupID = "relay"

        [sink.copy]
        type = "file"
        sources = ["relay"]
        path = "\(file.file("events.ndjson"))"
        """
      ]
      try kafka.createTopic(topic, partitions: 1)
      let scenario = try Scenario(
        "relay", lines: lines, tables: "CREATE TABLE t (id int PRIMARY KEY)")
      let streamer = try scenario.start()
      try scenario.psql("INSERT INTO t SELECT generate_series(1, 500); DELETE FROM t WHERE id = 9")
      let path = file.file("events.ndjson")
      try eventually(within: .seconds(90), "501 lines in the file") {
        try Scenario.requireAlive(streamer)
        guard FileBytes.exists(path) else { return false }
        return try FileBytes.text(of: path).split(separator: "\n").count >= 501
      }
      let written = try kafka.records(topic).map { try JSON($0.value ?? "") }
      let copied = try FileBytes.text(of: path).split(separator: "\n").map { try JSON(String($0)) }
      #expect(copied.map { $0["UUID"] } == written.map { $0["UUID"] })
      #expect(copied.map { $0["Columns"] } == written.map { $0["Columns"] })
      #expect(try scenario.stop(streamer) == .exited(0))
    }
  }
}

extension Integration.FirstThird.EndToEnd {
  static let manyTypes = """
    CREATE TYPE mood AS ENUM ('sad', 'happy');
    CREATE DOMAIN positive AS int CHECK (VALUE > 0);
    CREATE TYPE address AS (street text, zip int);
    CREATE TABLE t (
      id bigint PRIMARY KEY, yes bool, small int2, o oid, f4 real, f8 float8, nan float8,
      price numeric(12, 3), huge numeric, note text, code varchar(9), padded char(4), u uuid,
      bytes bytea, day date, ts timestamp, tz timestamptz, never timestamptz, span interval,
      doc json, docb jsonb, ints int[], grid text[], r int4range, nothing int4range, m mood,
      p positive, home address, ip inet, missing text)
    """

  static let oneRowOfManyTypes = #"""
    INSERT INTO t VALUES (
      9223372036854775807, true, -32768, 4294967295, 1.5, -2.5e-3, 'NaN',
      12.5, 123456789012345678901234567890.1234567890, E'tab\t "quote" é😀', 'v', 'ab',
      '6f0c7a54-0000-4000-8000-0123456789ab', '\x00ff10', '2024-02-29',
      '2024-02-29 12:34:56.789', '2024-02-29 12:34:56.789+01', 'infinity', '1 day 02:03:04',
      '{"a": [1, 2.50]}', '{"b": null}', '{1,NULL,3}', '{{a,b},{c,"NULL"}}', '[1,5)', 'empty',
      'happy', 7, ROW('Main, 1', 12), '10.0.0.1/8', NULL)
    """#

  static let expectedColumns = #"""
    {"id":9223372036854775807,"yes":true,"small":-32768,"o":4294967295,"f4":1.5,"f8":-0.0025,
     "nan":"NaN","price":"12.500","huge":"123456789012345678901234567890.1234567890",
     "note":"tab\t \"quote\" é😀","code":"v","padded":"ab  ",
     "u":"6f0c7a54-0000-4000-8000-0123456789ab","bytes":"AP8Q","day":"2024-02-29",
     "ts":"2024-02-29T12:34:56.789","tz":"2024-02-29T11:34:56.789Z","never":"infinity",
     "span":"1 day 02:03:04","doc":{"a":[1,2.50]},"docb":{"b":null},"ints":[1,null,3],
     "grid":[["a","b"],["c","NULL"]],
     "r":{"lower":1,"upper":5,"lowerInclusive":true,"upperInclusive":false},
     "nothing":{"empty":true},"m":"happy","p":7,"home":{"street":"Main, 1","zip":12},
     "ip":"10.0.0.1/8","missing":null}
    """#
}
