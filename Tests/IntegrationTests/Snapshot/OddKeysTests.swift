import Glibc
import Support
import Testing

extension Integration.SecondThird {
  /// Tables whose keys are no numbers: every row of them comes, in parts where that can be, else whole.
  @Suite struct OddKeys {
    private static let rows = 3_000

    /// Copies them in rounds of some thousand rows, and compares how often each row has come.
    private func expectEachRowOnce(
      _ title: String, encoding: String? = nil, source: [String] = [], tables: String,
      _ names: [String]
    ) throws {
      let run = try LocalRun(
        title, encoding: encoding,
        lines: Scenario.Lines(
          source: [#"snapshot = "initial""#, #"snapshotPause = "10ms""#] + source), tables: tables)
      let streamer = try run.start()
      try eventually(within: .seconds(60), "the end of the copy") {
        try Scenario.requireAlive(streamer)
        return streamer.standardError.contains("existing rows are copied")
      }
      #expect(try run.stop(streamer) == .exited(0))
      #expect(!streamer.standardError.contains("could not be read"), "\(streamer.standardError)")
      var found: [String: [Int: Int]] = [:]
      for event in try run.events() where event["Action"]?.string == "read" {
        let row = event["Columns"]?["row"]?.int ?? -1
        found[event["Table"]?.string ?? "", default: [:]][row, default: 0] += 1
      }
      for name in names {
        let rows = found[name] ?? [:]
        #expect(rows.count == Self.rows, "\(name)")
        #expect(rows.allSatisfy { $0.value == 1 }, "\(name)")
      }
    }

    /// One whose last column is not published says nothing of what comes behind it; an extension compares
    /// in a way of its own; an index may take two keys for different that are one in the table's order.
    @Test func `Every row comes, whatever its key is`() throws {
      let series = "generate_series(1, \(Self.rows)) i"
      try expectEachRowOnce(
        "keys",
        tables: """
          CREATE EXTENSION citext;
          CREATE EXTENSION ltree;
          CREATE TYPE mood AS ENUM ('low', 'high');
          CREATE COLLATION either (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
          CREATE TABLE tail (row int, g int GENERATED ALWAYS AS (row) STORED, t int, PRIMARY KEY (t, g));
          INSERT INTO tail (row, t) SELECT i, 1 FROM \(series);
          CREATE TABLE listed (a int, b int, row int, PRIMARY KEY (a, b));
          INSERT INTO listed SELECT 1, i, i FROM \(series);
          CREATE TABLE caseless (code citext PRIMARY KEY, row int);
          INSERT INTO caseless
            SELECT CASE WHEN i % 2 = 0 THEN 'k' ELSE 'K' END || i, i FROM \(series);
          CREATE TABLE mixed (code citext, id int, row int, PRIMARY KEY (id, code));
          INSERT INTO mixed SELECT 'x' || i, i % 10, i FROM \(series);
          CREATE TABLE trees (path ltree PRIMARY KEY, row int);
          INSERT INTO trees SELECT text2ltree('a.' || md5(i::text)), i FROM \(series);
          CREATE TABLE moods (m mood, d numeric, x text[], row int, PRIMARY KEY (m, d, x));
          INSERT INTO moods
            SELECT CASE WHEN i % 2 = 0 THEN 'low' ELSE 'high' END::mood, i / 10.0, ARRAY['a', i::text], i
            FROM \(series);
          CREATE TABLE tied (k text COLLATE either NOT NULL, row int);
          CREATE UNIQUE INDEX tied_key ON tied (k COLLATE "C");
          ALTER TABLE tied REPLICA IDENTITY USING INDEX tied_key;
          INSERT INTO tied
            SELECT CASE WHEN i % 2 = 0 THEN 'K' ELSE 'k' END || i / 2, i FROM \(series);
          DROP PUBLICATION everything;
          CREATE PUBLICATION everything
            FOR TABLE tail, listed (a, row), caseless, mixed, trees, moods, tied
            WITH (publish = 'insert');
          """, ["tail", "listed", "caseless", "mixed", "trees", "moods", "tied"])
    }

    @Test func `Every row comes whose key is no text`() throws {
      try expectEachRowOnce(
        "bytes", encoding: "SQL_ASCII", source: [#"invalidUTF8 = "base64""#],
        tables: """
          CREATE TABLE t (k text PRIMARY KEY, row int);
          INSERT INTO t SELECT (CASE WHEN i % 2 = 0 THEN E'caf\\351' ELSE E'caf\\352' END) || i, i
            FROM generate_series(1, \(Self.rows)) i;
          CREATE TABLE n (id bigint PRIMARY KEY, v text, row int);
          INSERT INTO n SELECT i, E'\\351', i FROM generate_series(1, \(Self.rows)) i;
          """, ["t", "n"])
    }

    @Test func `What a condition does is refused, and holds nobody up`() throws {
      let run = try LocalRun(
        "refused", lines: Scenario.Lines(top: [#"httpToken = "secret""#]),
        tables: """
          CREATE TABLE p (id int PRIMARY KEY);
          INSERT INTO p SELECT generate_series(1, 100);
          CREATE SEQUENCE q;
          CREATE DOMAIN always AS int NOT NULL;
          CREATE TABLE filled (id int PRIMARY KEY, v always);
          """)
      let streamer = try run.start()
      func ask(_ body: String) throws -> String {
        try Subprocess.check(
          "curl",
          [
            "-s", "-w", " %{http_code}", "-X", "POST", "-H", "Authorization: Bearer secret", "-H",
            "Content-Type: application/json", "-d", body,
            "http://127.0.0.1:\(run.httpPort)/snapshot",
          ])
      }
      func states() throws -> [String] {
        let list = try JSON(Scenario.get("/snapshot", port: run.httpPort).body)["copies"]?.elements
        return list?.compactMap { $0["state"]?.string } ?? []
      }
      try eventually("its ears") { (try? states()) != nil }
      #expect(
        try ask(#"{"tables":["public.p"],"where":"nextval('public.q') > 0"}"#).hasSuffix(" 202"))
      #expect(try ask(#"{"tables":["public.filled"],"gone":[{"id":7}]}"#).hasSuffix(" 202"))
      #expect(try ask(#"{"tables":["public.p"]}"#).hasSuffix(" 202"))
      let refused = try ask(#"{"tables":["public.p"],"gone":[{"id":1},{"x":77}]}"#)
      #expect(refused.contains(#"a key of public.p has no "id""#), "\(refused)")
      try eventually(within: .seconds(30), "copies: \(streamer.standardError)") {
        try Scenario.requireAlive(streamer)
        return try states().suffix(3) == ["failed", "failed", "done"]
      }
      #expect(try run.stop(streamer) == .exited(0))
      #expect(try run.events().allSatisfy { $0["Action"]?.string == "read" })
    }
  }
}
