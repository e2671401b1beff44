import Glibc
import PGWire
import Support

/// What readers of events see: keys, values that were not sent, publications that change.
extension MatrixChecks {
  static let events: [MatrixCheck] = [
    MatrixCheck(.events, "The key is the identity's: DEFAULT, USING INDEX, FULL, NOTHING") {
      server in
      let (events, _) = try events(
        server, "keyed",
        """
        CREATE TABLE kd (a int, b int, c text, PRIMARY KEY (a, b) INCLUDE (c));
        CREATE TABLE ki (LIKE kd INCLUDING ALL, u int NOT NULL UNIQUE);
        CREATE TABLE kf (LIKE kd INCLUDING ALL); CREATE TABLE kn (LIKE kd INCLUDING ALL);
        ALTER TABLE ki REPLICA IDENTITY USING INDEX ki_u_key;
        ALTER TABLE kf REPLICA IDENTITY FULL; ALTER TABLE kn REPLICA IDENTITY NOTHING
        """, publication: "FOR TABLE kd, ki, kf, kn WITH (publish = 'insert')",
        """
        INSERT INTO kd VALUES (1, 2, 'c'); INSERT INTO ki VALUES (1, 2, 'c', 3);
        INSERT INTO kf VALUES (1, 2, 'c'); INSERT INTO kn VALUES (1, 2, 'c')
        """, count: 4)
      let keys = events.map { $0["Key"]?.names ?? [] }
      return keys == [["a", "b"], ["u"], ["a", "b"], ["a", "b"]] ? .works() : .absent("\(keys)")
    },
    MatrixCheck(.events, "A key of which a part is not published is none", since: 12) { server in
      let (events, _) = try events(
        server, "halved",
        "CREATE TABLE h (a int, b int GENERATED ALWAYS AS (a * 2) STORED, PRIMARY KEY (a, b))",
        publication: "FOR TABLE h", "INSERT INTO h VALUES (1)", count: 1)
      return events.first?["Key"] == .null ? .works() : .absent("half a key")
    },
    MatrixCheck(.events, "Old rows under a root are by the partition's identity", .partitionRoot) {
      server in
      let (events, _) = try events(
        server, "rooted",
        """
        CREATE TABLE r (a int PRIMARY KEY, b text, c text) PARTITION BY RANGE (a);
        CREATE TABLE r1 PARTITION OF r DEFAULT; ALTER TABLE r REPLICA IDENTITY FULL
        """, publication: "FOR TABLE r WITH (publish_via_partition_root = true)",
        "INSERT INTO r VALUES (1, 'x', 'y'); UPDATE r SET a = 2; DELETE FROM r", count: 4)
      let old = events.compactMap { $0["Old"]?.names }
      return old == [["a"], ["a"]] ? .works() : .absent("\(old)")
    },
    MatrixCheck(.events, "TOASTed values that were not sent are named, and found in whole old rows")
    {
      server in
      let (events, _) = try events(
        server, "toasted",
        """
        CREATE TABLE td (id int PRIMARY KEY, v text); CREATE TABLE tf (LIKE td INCLUDING ALL);
        ALTER TABLE tf REPLICA IDENTITY FULL;
        ALTER TABLE td ALTER v SET STORAGE EXTERNAL; ALTER TABLE tf ALTER v SET STORAGE EXTERNAL
        """, publication: "FOR TABLE td, tf",
        """
        INSERT INTO td VALUES (1, repeat('x', 3000)); INSERT INTO tf SELECT * FROM td;
        UPDATE td SET id = 2; UPDATE tf SET id = 2
        """, count: 6)
      let unchanged = events.filter { $0["Unchanged"] != nil }
      let whole = events.last?["Columns"]?["v"]?.string?.utf8.count
      return unchanged.count == 1 && unchanged[0]["Old"]?["id"]?.int == 1 && whole == 3000
        ? .works() : .absent("\(unchanged.count) rows lack a value, \(whole ?? 0) bytes")
    },
    MatrixCheck(.events, "`invalidUTF8`: bytes of a SQL_ASCII database that are no text") {
      server in
      try server.sql("CREATE DATABASE any_bytes ENCODING 'SQL_ASCII' TEMPLATE template0")
      try server.postgres.psql(
        "CREATE TABLE n (v text PRIMARY KEY); CREATE PUBLICATION no_text FOR TABLE n",
        database: "any_bytes")
      let service = try MatrixService(
        server, "no_text", source: ["invalidUTF8 = \"base64\""], isThere: true)
      let streamer = try service.start(dsn: server.postgres.dsn(database: "any_bytes"))
      try eventually("the slot in use") { try server.slot(service.slot)?.activePID != nil }
      try server.postgres.psql("INSERT INTO n VALUES (E'k\\xff')", database: "any_bytes")
      try eventually("the row") { try service.events().count == 1 }
      try service.stop(streamer)
      let key = try service.events().first?["Key"]?["v"]?.string
      return key == "a/8=" ? .works() : .absent(key ?? "no key")
    },
    MatrixCheck(.events, "ALTER PUBLICATION: tables that come and go", since: 10) { server in
      let (events, _) = try events(
        server, "altered",
        "CREATE TABLE a1 (id int PRIMARY KEY); CREATE TABLE a2 (id int PRIMARY KEY)",
        publication: "FOR TABLE a1",
        """
        INSERT INTO a1 VALUES (1); INSERT INTO a2 VALUES (1);
        ALTER PUBLICATION altered ADD TABLE a2; INSERT INTO a2 VALUES (2);
        ALTER PUBLICATION altered DROP TABLE a1; INSERT INTO a1 VALUES (2);
        INSERT INTO a2 VALUES (3)
        """, count: 3)
      let rows = events.map { "\($0["Table"]?.string ?? "")\($0["Columns"]?["id"]?.int ?? 0)" }
      return rows == ["a11", "a22", "a23"] ? .works() : .absent("\(rows)")
    },
    MatrixCheck(.events, "A publication that has vanished stops the source, and is named") {
      server in
      let (_, log) = try events(
        server, "vanished", "CREATE TABLE v (id int PRIMARY KEY)", publication: "FOR TABLE v",
        "DROP PUBLICATION vanished; INSERT INTO v VALUES (1)", count: 1)
      return log.contains("publication \\\"vanished\\\" does not exist") ? .works() : .absent(log)
    },
    MatrixCheck(.events, "Creation of the slot is bounded, and what it waits for is told") {
      server in
      let service = try MatrixService(server, "blocked", source: ["createTimeout = \"2200ms\""])
      let other = try server.postgres.session()
      try other.run("BEGIN; SELECT txid_current()")
      let ended = try service.start()
      let code = try ended.wait(within: .seconds(60))
      try other.run("ROLLBACK")
      guard code == .exited(1), ended.standardError.contains("createTimeout") else {
        throw SupportError("ended with \(code): \(ended.standardError)")
      }
      let left = try server.slot(service.slot) != nil
      return left ? .absent("the slot is left behind") : .works()
    },
  ]

  /// The events of changes to tables of a publication, and the log of the program, which reads them
  /// until there are `count` or it ends.
  private static func events(
    _ server: MatrixServer, _ name: String, _ tables: String, publication: String,
    _ changes: String, count: Int
  ) throws -> (events: [JSON], log: String) {
    try server.sql("\(tables); CREATE PUBLICATION \(name) \(publication)")
    let service = try MatrixService(server, name, isThere: true)
    let streamer = try service.startStreaming()
    // Each statement commits on its own.
    try server.postgres.psql(changes)
    try eventually("\(count) events or the end") {
      if !streamer.isRunning { return true }
      return try service.events().count >= count
    }
    if streamer.isRunning { try service.stop(streamer) }
    return (try service.events(), streamer.standardError)
  }
}
