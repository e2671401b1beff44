import Glibc
import Support
import Testing

/// One database read twice at once, as text and in binary, from the same WAL.
@Suite struct BinaryValuesTests {
  static let versions = PostgresPrograms.installed.keys.filter { $0 >= 14 }.sorted()

  /// A streamer with two sources, each with a file of its own.
  private final class TwoForms {
    let server: PostgresServer
    private let directory: TemporaryDirectory
    private var streamer: Subprocess?

    init(version: Int, tables: String) throws {
      server = try PostgresServer(version: version)
      directory = try TemporaryDirectory("forms")
      try server.psql(tables)
      try server.psql("CREATE PUBLICATION everything FOR ALL TABLES")
      try FileBytes.write(configuration, to: directory.file("psql-streamer.toml"))
      let streamer = try Subprocess(
        Binary.psqlStreamer, ["run", "--config", directory.file("psql-streamer.toml")])
      self.streamer = streamer
      try eventually(within: .seconds(60), "both slots in use") {
        guard streamer.isRunning else { throw SupportError(streamer.standardError) }
        return try self.server.readSlots() == 2
      }
    }

    private var configuration: String {
      let sources = ["text", "binary"].map { form in
        """
        [source.\(form)]
        type = "postgres"
        dsn = "\(server.dsn())"
        publication = "everything"
        replicationSlot = "\(form)"
        startRetryInterval = "200ms"
        binary = \(form == "binary")
        [sink.\(form)_file]
        type = "file"
        sources = ["\(form)"]
        path = "\(directory.file(form))"
        """
      }
      return """
        store = "\(directory.file("positions.sqlite"))"
        http = "127.0.0.1:0"
        \(sources.joined(separator: "\n"))
        """
    }

    /// The events of both forms once everything written by now is confirmed.
    func events() throws -> (text: [String], binary: [String], log: String) {
      let target = try server.psql("SELECT pg_current_wal_lsn()")
      let streamer = try #require(streamer)
      try eventually(within: .seconds(120), "the confirmation of \(target)") {
        guard streamer.isRunning else { throw SupportError(streamer.standardError) }
        return try self.server.psql(
          """
          SELECT bool_and(confirmed_flush_lsn >= '\(target)') FROM pg_replication_slots
          """) == "t"
      }
      func lines(_ form: String) throws -> [String] {
        try FileBytes.text(of: directory.file(form)).split(separator: "\n").map(String.init)
      }
      return (try lines("text"), try lines("binary"), streamer.standardError)
    }

    func stop() throws {
      streamer?.send(SIGTERM)
      #expect(try streamer?.wait(within: .seconds(60)) == .exited(0))
    }
  }

  /// Types that the samples lack: their values are compared as text only.
  private static let textOnly = [
    "regproc": "'now'", "regprocedure": "'abs(int4)'", "regoper": "'pg_catalog.||/'",
    "regoperator": "'+(int4,int4)'", "regclass": "'pg_class'", "regtype": "'int4'",
    "regconfig": "'simple'", "regdictionary": "'simple'", "regnamespace": "'pg_catalog'",
    "regrole": "'postgres'", "regcollation": "'\"C\"'", "aclitem": "'postgres=r/postgres'",
    "pg_node_tree": nil, "gtsvector": nil, "pg_ndistinct": nil, "pg_dependencies": nil,
    "pg_mcv_list": nil, "pg_brin_bloom_summary": nil, "pg_brin_minmax_multi_summary": nil,
    "regdatabase": "'postgres'",
  ]

  @Test(.needsPostgres, arguments: versions)
  func `Events of text and of binary are the same bytes`(version: Int) throws {
    let scratch = try PostgresServer(version: version)
    var types = TypeSamples.builtin
    var made = TypeSamples.types
    for (name, own) in TypeSamples.extensions.sorted(by: { $0.key < $1.key }) {
      let isThere = try scratch.psql(
        "SELECT count(*) FROM pg_available_extensions WHERE name = '\(name)'")
      guard isThere == "1" else { continue }
      made += "\nCREATE EXTENSION \(name) SCHEMA public;"
      types += own
    }
    if (try? scratch.psql("SELECT '<a/>'::xml")) == nil { types.removeAll { $0 == "xml" } }
    try expectAllTypes(of: scratch, in: types)

    let tables = types.enumerated().map { index, type in
      "CREATE TABLE t\(index) (id int PRIMARY KEY, v \(type), a \(type)[]);"
    }
    let forms = try TwoForms(version: version, tables: made + tables.joined(separator: "\n"))
    var samples = TypeSamples(seed: UInt64(version))
    var rows = 0
    var script = ""
    for (index, type) in types.enumerated() {
      let values = samples.values(of: type, 25)
      let arrays = samples.arrays(of: type, values.count)
      for (id, value) in values.enumerated() {
        script += "INSERT INTO t\(index) VALUES (\(id), \(value), \(arrays[id]));\n"
        rows += 1
      }
      script +=
        "UPDATE t\(index) SET v = NULL WHERE id = 0; ALTER TABLE t\(index) REPLICA IDENTITY FULL;"
      script += "UPDATE t\(index) SET id = -1 WHERE id = 0; DELETE FROM t\(index) WHERE id > 3;\n"
    }
    try forms.server.psql("SET search_path = pg_catalog, public; BEGIN; \(script) COMMIT")
    let events = try forms.events()
    #expect(events.text.count > rows * 3 / 2)
    #expect(events.binary.count == events.text.count)
    for (text, binary) in zip(events.text, events.binary) { #expect(text == binary) }
    #expect(!events.log.contains("binary form"))
    print("PostgreSQL \(version): \(events.text.count) events are the same in both forms")
    try expectTexts(events.text, types, forms.server)
    try forms.stop()
  }

  /// Every type of the server itself that a column can have is among the samples.
  private func expectAllTypes(of server: PostgresServer, in types: [String]) throws {
    let all = try server.psql(
      """
      SELECT typname FROM pg_type WHERE typtype <> 'p' AND oid < 10000 AND typrelid = 0
        AND typoutput <> 'array_out'::regproc
      """)
    let sampled = Set(
      types.map { $0.replacing("\"", with: "").prefix { $0 != "(" } }.map(String.init))
    for name in all.split(separator: "\n").map(String.init) {
      let isKnown = sampled.contains(name) || Self.textOnly.keys.contains(name)
      #expect(isKnown || name.hasSuffix("multirange") || name == "xml", "\(name) has no sample")
    }
  }

  /// Where the JSON is a string that only holds a text, it is the server's own.
  private func expectTexts(
    _ events: [String], _ types: [String], _ server: PostgresServer
  ) throws {
    let changed: Set = ["bytea", "timestamp", "timestamptz"]
    var compared = 0
    for event in events where event.contains(#""Action":"insert""#) {
      let json = try JSON(event)
      guard let table = json["Table"]?.string, let index = Int(table.dropFirst()),
        !changed.contains(types[index]), let id = json["Columns"]?["id"]?.int, (1...3).contains(id),
        let text = json["Columns"]?["v"]?.string, !text.contains("\n")
      else { continue }
      let own = try server.psql(
        "SET timezone = utc; SET lc_monetary = 'C'; SET extra_float_digits = 3; SET search_path = '';"
          + "SELECT v FROM public.\(table) WHERE id = \(id)")
      #expect(own == text, "\(types[index])")
      compared += 1
    }
    #expect(compared > 60)
  }

  @Test(.needsPostgres)
  func `A type that cannot be read in binary makes the source begin again in text`() throws {
    let version = try #require(Self.versions.last)
    let values = Self.textOnly.compactMap { name, value in value.map { (name, $0) } }
      .sorted { $0.0 < $1.0 }.filter { version >= 19 || $0.0 != "regdatabase" }
    let columns = values.enumerated().map { "c\($0) \($1.0)" }.joined(separator: ", ")
    let forms = try TwoForms(
      version: version,
      tables:
        "CREATE TABLE plain (id int PRIMARY KEY); CREATE TABLE odd (id int PRIMARY KEY, \(columns))"
    )
    let list = values.map { "\($0.1)" }.joined(separator: ", ")
    try forms.server.psql(
      """
      INSERT INTO plain VALUES (1);
      BEGIN; INSERT INTO plain VALUES (2); INSERT INTO odd VALUES (1, \(list));
      INSERT INTO plain VALUES (3); COMMIT; INSERT INTO plain VALUES (4);
      """)
    let events = try forms.events()
    #expect(events.text.count == 5)
    #expect(events.binary == events.text)
    #expect(events.log.contains("whose binary form cannot be read"))
    try forms.stop()
  }

  /// The server describes a table again when the table has changed, not when a type of it has.
  @Test(.needsPostgres, arguments: versions)
  func `Types that change in mid-stream are looked up again`(version: Int) throws {
    let forms = try TwoForms(
      version: version,
      tables: """
        CREATE TYPE pair AS (a int, b text); CREATE TYPE mood AS ENUM ('sad');
        CREATE TABLE t (id int PRIMARY KEY, p pair, ps pair[], m mood);
        """)
    func insert(_ id: Int, _ row: String, _ mood: String = "sad") throws {
      try forms.server.psql("INSERT INTO t VALUES (\(id), \(row), ARRAY[\(row)::pair], '\(mood)')")
    }
    func columns(_ id: Int) throws -> String {
      let events = try forms.events()
      #expect(events.text == events.binary)
      let event = try #require(events.text.last { $0.contains("\"Columns\":{\"id\":\(id),") })
      let start = try #require(event.firstRange(of: "\"Columns\":")).upperBound
      return String(event[start...].prefix(while: { $0 != "]" })) + "]"
    }
    func expect(_ id: Int, _ object: String) throws {
      #expect(try columns(id) == "{\"id\":\(id),\"p\":\(object),\"ps\":[\(object)]")
    }
    try insert(1, "ROW(1, 'x')")
    try expect(1, #"{"a":1,"b":"x"}"#)
    try forms.server.psql("ALTER TYPE pair ADD ATTRIBUTE c bool")
    try insert(2, "ROW(1, 'x', true)")
    try expect(2, #"{"a":1,"b":"x","c":true}"#)
    try forms.server.psql("ALTER TYPE pair DROP ATTRIBUTE b")
    try insert(3, "ROW(1, true)")
    try expect(3, #"{"a":1,"c":true}"#)
    // The number of fields stays: what tells is the table, described again after its own change.
    try forms.server.psql(
      "ALTER TYPE pair RENAME ATTRIBUTE a TO first; ALTER TABLE t ALTER m SET NOT NULL")
    try insert(4, "ROW(1, true)")
    try expect(4, #"{"first":1,"c":true}"#)
    try forms.server.psql(
      "ALTER TYPE mood ADD VALUE 'glad'; ALTER TYPE mood RENAME VALUE 'sad' TO 'blue'")
    try insert(5, "NULL", "glad")
    try insert(6, "ROW(2, NULL)", "blue")
    let events = try forms.events()
    #expect(events.text == events.binary)
    #expect(events.text[4].contains(#""m":"glad""#))
    #expect(events.text[5].contains(#""m":"blue""#))
    // A type dropped and made anew has another OID.
    try forms.server.psql(
      """
      ALTER TABLE t DROP COLUMN p, DROP COLUMN ps; DROP TYPE pair; CREATE TYPE pair AS (z date);
      ALTER TABLE t ADD COLUMN p pair; INSERT INTO t (id, m, p) VALUES (7, 'glad', ROW('2024-02-29'));
      """)
    #expect(try forms.events().text.last?.contains(#""p":{"z":"2024-02-29"}"#) == true)
    #expect(!(try forms.events().log.contains("level=error")))
    try forms.stop()
  }
}
