import Glibc
import Support
import Testing

extension Integration.SecondThird {
  /// S8: the key of a table whose replica identity does not name it is that of the catalog at the
  /// table's description, whatever was remembered before.
  @Suite struct KeysOfTheCatalog {
    /// One statement that changes a key, and what the row after it has as its key.
    private typealias Step = (sql: String, key: [String]?, restarts: Bool)

    @Test func `A key that is added, replaced and dropped on a table of identity FULL`() throws {
      let run = try LocalRun(
        "keys",
        tables: """
          CREATE TABLE t (a int NOT NULL, b int NOT NULL, v text);
          ALTER TABLE t REPLICA IDENTITY FULL
          """)
      var streamer = try run.start()
      let steps: [Step] = [
        ("SELECT 1", nil, false),
        ("ALTER TABLE t ADD PRIMARY KEY (a)", ["a"], false),
        ("SELECT 1", ["a"], true),
        ("ALTER TABLE t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (b)", ["b"], false),
        ("SELECT 1", ["b"], true),
        (
          "ALTER TABLE t DROP CONSTRAINT t_pkey; ALTER TABLE t ADD PRIMARY KEY (a, b)",
          ["a", "b"], true
        ),
        ("ALTER TABLE t DROP CONSTRAINT t_pkey", nil, false),
        ("SELECT 1", nil, true),
        ("ALTER TABLE t ADD PRIMARY KEY (b)", ["b"], true),
      ]
      for (number, step) in steps.enumerated() {
        try run.psql(step.sql)
        if step.restarts {
          #expect(try run.stop(streamer) == .exited(0))
          streamer = try run.start()
        }
        try run.psql("INSERT INTO t VALUES (\(number), \(number + 100), 'v')")
        let key = try #require(try run.events(number + 1, from: streamer).last)["Key"]
        #expect(key?.names ?? [] == step.key ?? [], "step \(number): \(step.sql)")
      }
      #expect(try run.stop(streamer) == .exited(0))
    }

    @Test(arguments: ["FULL", "NOTHING"])
    func `Columns that a key's index only carries are no part of it`(identity: String) throws {
      let run = try LocalRun(
        "carried",
        tables: """
          CREATE TABLE t (tenant int, no int, note text, PRIMARY KEY (tenant, no) INCLUDE (note));
          ALTER TABLE t REPLICA IDENTITY \(identity)
          """)
      // The server refuses updates of a published table that has no identity.
      if identity == "NOTHING" {
        try run.psql("ALTER PUBLICATION everything SET (publish = 'insert')")
      }
      let streamer = try run.start()
      try run.psql("INSERT INTO t VALUES (1, 2, 'x')")
      if identity == "FULL" { try run.psql("UPDATE t SET note = 'y'") }
      let events = try run.events(identity == "FULL" ? 2 : 1, from: streamer)
      #expect(
        events.map { $0["Action"]?.string ?? "" }
          == Array(["insert", "update"].prefix(events.count)))
      #expect(events.allSatisfy { $0["Key"]?.names == ["tenant", "no"] })
      #expect(try run.stop(streamer) == .exited(0))
      #expect(try run.events().count == events.count)
    }
  }
}
