import PGWire
import Support
import Testing

@testable import Streamer

/// What a sink's rules make of a table's rows, in every format alike.
@Suite struct RowRulesTests {
  private static let oid: UInt32 = 16_384

  private static func table(_ identity: Relation.ReplicaIdentity) -> Relation {
    Relation(
      oid: oid, schema: "public", name: "orders", replicaIdentity: identity,
      columns: [
        Relation.Column(name: "id", isKey: true, type: 23),
        Relation.Column(name: "status", isKey: identity == .full, type: 25),
        Relation.Column(name: "secret", isKey: identity == .full, type: 23),
      ])
  }

  private static func rule(_ text: String) throws -> TableRules {
    try ConfigurationFixture.parse(
      ConfigurationFixture.minimal + "[sink.out.table.orders]\n" + text
    ).sinks[0].rules
  }

  private func feed(
    _ rule: String, identity: Relation.ReplicaIdentity = .full,
    format: FormatConfiguration.Name = .psqlStreamer, _ payloads: [UInt8]...
  ) throws -> CapturingPipeline {
    var setup = LaneSetup(routing: .init(fallback: "t"))
    setup.rules = try Self.rule(rule)
    setup.format = format
    let pipeline = CapturingPipeline(setup: setup)
    pipeline.catalogKey = ["id"]
    try pipeline.feed { server in
      server.begin(LSN(0x100), time: 1, xid: 745)
      server.relation(Self.table(identity))
      for payload in payloads { server.xLogData(LSN(0x90), payload) }
      server.commit(LSN(0x100), end: LSN(0x120), time: 1)
    }
    return pipeline
  }

  private static func row(_ id: String, _ status: String?, _ secret: String = "5") -> [ServerBytes
    .Cell]
  {
    [.text(id), status.map { .text($0) } ?? .null, .text(secret)]
  }

  private static func insert(_ id: String, _ status: String?) -> [UInt8] {
    ServerBytes.insert(oid, row(id, status))
  }

  private static func update(_ old: String?, _ new: String?) -> [UInt8] {
    ServerBytes.update(oid, old: (.full, row("1", old)), row("1", new))
  }

  // MARK: - Columns

  @Test func columnsAreLeftOutAndRenamed() throws {
    let pipeline = try feed(
      "exclude = [\"secret\"]\nrename = { id = \"number\", status = \"state\" }",
      Self.insert("1", "x"), Self.update("x", "y"))
    #expect(pipeline.sink.keys == [#"{"number":1}"#, #"{"number":1}"#])
    #expect(
      pipeline.events == [
        #"insert {"number":1,"state":"x"} 0,"Key":{"number":1}"#,
        #"update {"number":1,"state":"y"} 1,"Key":{"number":1},"Old":{"number":1,"state":"x"}"#,
      ])
  }

  @Test func onlyTheColumnsThatAreNamedStay() throws {
    for format in [FormatConfiguration.Name.debezium, .flat, .cloudEvents, .text] {
      let pipeline = try feed(
        "columns = [\"id\"]", format: format, Self.insert("1", "visible"),
        Self.update("visible", "hidden"))
      #expect(pipeline.sink.values.count == 2)
      #expect(!pipeline.sink.values.joined().contains("status"))
      #expect(!pipeline.sink.values.joined().contains("hidden"))
    }
  }

  /// A number behind a mask is a text, in the format's own words.
  @Test func maskedValuesAreInNoEvent() throws {
    for format in FormatConfiguration.Name.allCases {
      let pipeline = try feed(
        "mask = { secret = \"stars:3\", status = \"truncate:2\" }", format: format,
        ServerBytes.insert(Self.oid, Self.row("1", "visible", "987654")),
        ServerBytes.delete(Self.oid, .full, Self.row("1", "visible", "987654")))
      let all = pipeline.sink.values.joined()
      #expect(!all.contains("987654") && !all.contains("vis"), "\(format)")
      #expect(all.contains("***"), "\(format)")
    }
    let native = try feed("mask = { secret = \"redact\" }", Self.insert("1", "x"))
    #expect(native.events == [#"insert {"id":1,"status":"x","secret":null} 0,"Key":{"id":1}"#])
  }

  /// In every format, behind the table's own columns, and not where only a row's identity is known.
  @Test func columnsAreAdded() throws {
    let rule = #"add = { tenant = "acme", origin = "{schema}.{table}" }"#
    let native = try feed(
      rule, Self.insert("1", "x"), Self.update("x", "y"),
      ServerBytes.delete(Self.oid, .full, Self.row("1", "y")))
    let added = #""secret":5,"tenant":"acme","origin":"public.orders"}"#
    #expect(
      native.events == [
        #"insert {"id":1,"status":"x",\#(added) 0,"Key":{"id":1}"#,
        #"update {"id":1,"status":"y",\#(added) 1,"Key":{"id":1},"Old":{"id":1,"status":"x",\#(added)"#,
        #"delete {"id":1,"status":"y",\#(added) 2,"Key":{"id":1},"Old":{"id":1,"status":"y",\#(added)"#,
      ])
    let key = ServerBytes.delete(Self.oid, .key, [.text("1"), .null, .null])
    let gone = try feed(rule, identity: .primaryKey, key)
    #expect(gone.events == [#"delete {"id":1} 0,"Key":{"id":1},"Old":{"id":1}"#])
    for format in FormatConfiguration.Name.allCases {
      let sink = try feed(rule, format: format, Self.insert("1", "x")).sink
      #expect(sink.values.joined().contains("acme"), "\(format)")
    }
  }

  @Test func addedColumnsDoNotTakeTheNamesOfOthers() throws {
    let types = TypeCatalog()
    let relation = Self.table(.full)
    for rule in [#"add = { id = "x" }"#, "add = { b = \"x\" }\nrename = { id = \"b\" }"] {
      #expect(throws: TableRules.Misfit.self) {
        try Self.rule(rule).rule(schema: "public", table: "orders").check(relation, types)
      }
    }
    for wrong in [#"add = { x = "{topic}" }"#, "add = { x = 1 }", #"add = { "" = "x" }"#] {
      let text = ConfigurationFixture.minimal + "[sink.out.table.orders]\n" + wrong + "\n"
      let errors = ConfigurationFixture.errors(text)
      #expect(errors.count == 1 && errors[0].contains("add."), "\(errors)")
    }
  }

  /// Types are looked up again where a composite value has other fields, whichever columns a sink has.
  @Test(arguments: [
    "exclude = [\"status\"]", "mask = { status = \"redact\" }", "add = { tenant = \"acme\" }",
    "columns = [\"id\", \"pair\"]",
  ]) func compositesAreJudgedByTheSinksColumns(rule: String) throws {
    var setup = LaneSetup(routing: .init(fallback: "t"))
    setup.rules = try Self.rule(rule)
    let pipeline = CapturingPipeline(setup: setup)
    pipeline.types.learn([
      TypeDescription(
        oid: 20_005, schema: "public", name: "pair",
        kind: .composite([.init(name: "a", type: 23), .init(name: "b", type: 25)]))
    ])
    let relation = Relation(
      oid: Self.oid, schema: "public", name: "orders", replicaIdentity: .nothing,
      columns: [
        Relation.Column(name: "id", type: 23), Relation.Column(name: "status", type: 25),
        Relation.Column(name: "pair", type: 20_005),
      ])
    func insert(_ pair: String) -> [UInt8] {
      ServerBytes.insert(Self.oid, [.text("1"), .text("x"), .text(pair)])
    }
    try pipeline.feed { server in
      server.begin(LSN(0x100), time: 1, xid: 745)
      server.relation(relation)
      server.xLogData(LSN(0x90), insert("(1,b)"))
    }
    #expect(pipeline.requests.map(\.isRefresh) == [false])
    try pipeline.feed { server in
      server.xLogData(LSN(0x91), insert("(1,b,c)"))
      server.commit(LSN(0x100), end: LSN(0x120), time: 1)
    }
    #expect(pipeline.requests.map(\.isRefresh) == [false, true])
    #expect(pipeline.sink.values.count == 2)
  }

  // MARK: - Rows

  /// A row that leaves is a delete, one that enters an insert; all ordinals are the server's.
  @Test func aFilterTurnsUpdatesIntoWhatTheyAreForTheSink() throws {
    let pipeline = try feed(
      "where = \"status <> 'draft'\"", Self.insert("1", "draft"), Self.insert("1", nil),
      Self.update("draft", "open"), Self.update("open", "paid"), Self.update("paid", "draft"),
      Self.update("draft", nil), Self.update(nil, "open"),
      ServerBytes.delete(Self.oid, .full, Self.row("1", "draft")),
      ServerBytes.delete(Self.oid, .full, Self.row("1", "open")))
    let row = { (status: String) in #"{"id":1,"status":"\#(status)","secret":5}"# }
    let key = #""Key":{"id":1}"#
    #expect(
      pipeline.events == [
        "insert \(row("open")) 2,\(key)",
        "update \(row("paid")) 3,\(key),\"Old\":\(row("open"))",
        "delete \(row("paid")) 4,\(key),\"Old\":\(row("paid"))",
        "insert \(row("open")) 6,\(key)",
        "delete \(row("open")) 8,\(key),\"Old\":\(row("open"))",
      ])
    #expect(pipeline.confirmed == LSN(0x120))
  }

  /// What the old row was is not known: an update that does not match may be one that leaves, and is
  /// a delete that shows its key only.
  @Test func withoutTheOldRowAnUpdateThatDoesNotMatchIsADelete() throws {
    for format in FormatConfiguration.Name.allCases {
      let pipeline = try feed(
        "where = \"status <> 'draft'\"", identity: .primaryKey, format: format,
        ServerBytes.update(Self.oid, Self.row("1", "open", "987")),
        ServerBytes.update(Self.oid, Self.row("1", "draft", "987")),
        ServerBytes.delete(Self.oid, .key, [.text("1"), .null, .null]))
      #expect(!pipeline.sink.values.joined().contains("draft"), "\(format)")
      if format == .psqlStreamer {
        #expect(
          pipeline.events == [
            #"update {"id":1,"status":"open","secret":987} 0,"Key":{"id":1}"#,
            #"delete {"id":1} 1,"Key":{"id":1},"Old":{"id":1}"#,
            #"delete {"id":1} 2,"Key":{"id":1},"Old":{"id":1}"#,
          ])
      }
    }
  }

  /// Of the key all is known.
  @Test func aFilterOverTheKeyNeedsNoOldRow() throws {
    let pipeline = try feed(
      "where = \"id between 2 and 9\"", identity: .primaryKey,
      ServerBytes.update(Self.oid, Self.row("1", "x")),
      ServerBytes.update(Self.oid, Self.row("2", "x")),
      ServerBytes.delete(Self.oid, .key, [.text("1"), .null, .null]),
      ServerBytes.update(Self.oid, old: (.key, [.text("1"), .null, .null]), Self.row("3", "x")),
      ServerBytes.update(Self.oid, old: (.key, [.text("3"), .null, .null]), Self.row("10", "x")))
    let values = try pipeline.sink.values.map { try JSON($0) }
    #expect(values.map { $0["Action"] } == ["update", "insert", "delete"].map { .string($0) })
    #expect(pipeline.sink.keys == [#"{"id":2}"#, #"{"id":3}"#, #"{"id":3}"#])
    #expect(values.map { $0["Ordinal"] } == ["1", "4", "5"].map { .number($0) })
  }

  /// A value that was not sent and that the old row does not have: nothing is kept from the sink.
  @Test func whatCannotBeKnownIsDelivered() throws {
    let pipeline = try feed(
      "where = \"status = 'x'\"", identity: .primaryKey,
      ServerBytes.update(Self.oid, [.text("1"), .unchanged, .text("5")]))
    #expect(pipeline.sink.values.count == 1)
    let full = try feed(
      "where = \"status = 'x'\"",
      ServerBytes.update(
        Self.oid, old: (.full, Self.row("1", "y")), [.text("1"), .unchanged, .text("5")]))
    #expect(full.sink.values.isEmpty)
    #expect(full.confirmed == LSN(0x120))
  }

  // MARK: - Actions

  @Test func onlyTheActionsThatAreNamedPass() throws {
    let pipeline = try feed(
      "actions = [\"insert\", \"truncate\"]", Self.insert("1", "x"), Self.update("x", "y"),
      ServerBytes.delete(Self.oid, .full, Self.row("1", "y")),
      ServerBytes.truncate([Self.oid]))
    let values = try pipeline.sink.values.map { try JSON($0) }
    #expect(values.map { $0["Action"] } == [.string("insert"), .string("truncate")])
    let without = try feed("actions = [\"insert\"]", ServerBytes.truncate([Self.oid]))
    #expect(without.sink.values.isEmpty)
  }

  @Test func updatesThatChangeNothingOfTheSinksAreLeftOut() throws {
    let same = ServerBytes.update(
      Self.oid, old: (.full, Self.row("1", "x", "5")), Self.row("1", "x", "6"))
    let rule = "skipUnchanged = true\nexclude = [\"secret\"]"
    #expect(try feed(rule, same).sink.values.isEmpty)
    #expect(try feed(rule, Self.update("x", "y")).sink.values.count == 1)
    #expect(try feed("skipUnchanged = true", same).sink.values.count == 1)
  }

  // MARK: - What does not fit

  @Test(arguments: [
    ("exclude = [\"nowhere\"]", "exclude", "no published column \"nowhere\""),
    ("columns = [\"statu\"]", "columns", "(it has \"status\")"),
    ("exclude = [\"id\"]", "exclude", "column \"id\" belongs to the key and cannot be left out"),
    ("columns = [\"status\"]", "columns", "column \"id\" belongs to the key"),
    ("mask = { id = \"redact\" }", "mask", "column \"id\" belongs to the key and cannot be masked"),
    ("partitionBy = [\"status\"]\nmask = { status = \"stars:1\" }", "mask", "the partition"),
    ("mask = { secret = \"truncate:1\" }", "mask", "column \"secret\" is no text"),
    ("rename = { status = \"id\" }", "rename", "two columns would be \"id\""),
    ("where = \"stat = 'x'\"", "where", "no published column \"stat\""),
  ]) func whatDoesNotFitIsSaid(text: String, key: String, why: String) throws {
    let entry = try #require(try Self.rule(text).entry(schema: "public", table: "orders"))
    let table = Table(Self.table(.full), catalogKey: ["id"])
    let error = #expect(throws: TableRules.Misfit.self) {
      try RowRules(entry.rule, table, TypeCatalog())
    }
    #expect(error?.key == key)
    #expect(error?.why.contains(why) == true, "\(error?.why ?? "")")
    #expect(entry.places[key]?.hasPrefix("c.toml:") == true)
  }

  /// A pattern's tables need not all have a column that is masked or left out.
  @Test func aPatternTakesWhatATableHas() throws {
    let rules = try ConfigurationFixture.parse(
      ConfigurationFixture.minimal + """
        [sink.out.table."public.*"]
        exclude = ["password"]
        mask = { email = "redact" }
        """
    ).sinks[0].rules
    try rules.rule(schema: "public", table: "orders").check(Self.table(.full))
  }
}
