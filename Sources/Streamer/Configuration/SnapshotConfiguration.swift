import PGWire

/// Which existing rows a PostgreSQL source copies before, and beside, what is committed from then on.
struct SnapshotConfiguration: Hashable, Sendable {
  /// When they are copied.
  enum Mode: String, CaseIterable, Sendable {
    /// Never.
    case never
    /// When the source begins without a position.
    case initial
    /// The same, and then the source ends.
    case only
    /// As `initial`, and over each gap that is accepted.
    case whenNeeded = "when-needed"
    /// At each start of the program.
    case always
  }

  /// When existing rows are copied (never).
  var mode = Mode.never
  /// The tables whose rows are copied, "!" before those left out; empty for all that are published.
  var tables: [String] = []
  /// Conditions for the rows of tables, in the server's SQL, by the tables' patterns.
  var conditions: [Condition] = []
  /// Whether tables that come into the publication later are copied too (true, unless mode is never).
  var newTables = false
  /// The table whose new rows ask for copies, as Debezium's signals do; nil for none.
  var signalTable: TablePattern?
  /// How long reading changes may pause for one round of them (1s).
  var pause = Duration.seconds(1)
  /// How many connections read in such a round (1).
  var parallelism = 1

  /// Whether something has to be remembered of copies.
  var needsStore: Bool { mode != .never || newTables || signalTable != nil }

  /// Which rows of a table are copied.
  struct Condition: Hashable, Sendable {
    /// The tables that it is for.
    let pattern: TablePattern
    /// The condition, in the server's SQL.
    let sql: String
  }

  /// The condition for a table's rows; nil for all rows.
  func condition(of table: SnapshotTable) -> String? {
    conditions.filter {
      $0.pattern.matches(schema: table.relation.schema, table: table.relation.name)
    }.max { $0.pattern.precision < $1.pattern.precision }?.sql
  }

  /// Whether a table's rows are copied.
  func covers(schema: String, table: String) -> Bool {
    var isChosen = tables.allSatisfy { $0.hasPrefix("!") }
    for pattern in tables {
      let isExclusion = pattern.hasPrefix("!")
      let text = isExclusion ? String(pattern.dropFirst()) : pattern
      if TablePattern(text)?.matches(schema: schema, table: table) == true {
        isChosen = !isExclusion
      }
    }
    return isChosen
  }
}

extension ConfigurationReader {
  /// Reads what a source says of existing rows.
  mutating func snapshot(twoPhase: Bool) -> SnapshotConfiguration {
    var snapshot = SnapshotConfiguration()
    snapshot.mode = choice("snapshot", default: SnapshotConfiguration.Mode.never)
    for text in texts("snapshotTables") {
      let name = text.value.hasPrefix("!") ? String(text.value.dropFirst()) : text.value
      if TablePattern(name)?.schema == nil {
        fail(
          "snapshotTables", at: text.position, found: text.shown,
          expected: "\"schema.table\", with * for any characters and ! before those left out")
      }
      snapshot.tables.append(text.value)
    }
    snapshot.newTables = boolean("snapshotNewTables", default: snapshot.mode != .never)
    snapshot.conditions = snapshotConditions()
    let table = "a table as \"schema.table\""
    if let text = text("signalTable", expected: table) {
      snapshot.signalTable = TablePattern(text.value)
      let parts = [snapshot.signalTable?.schema, snapshot.signalTable?.table]
      if parts.contains(where: { $0?.hasWildcards ?? true }) {
        fail("signalTable", at: text.position, found: text.shown, expected: table)
      }
    }
    snapshot.pause = duration("snapshotPause", default: .seconds(1))
    snapshot.parallelism = integer(
      "snapshotParallelism", default: 1, in: 1...Limits.snapshotReaders)
    if snapshot.needsStore, twoPhase {
      let key =
        snapshot.mode != .never
        ? "snapshot" : snapshot.newTables ? "snapshotNewTables" : "signalTable"
      fail(
        key, at: entry(key)?.position, found: entry(key)?.value.summary ?? "",
        expected: "twoPhase = false beside it",
        hint: "What is prepared is delivered before a snapshot sees it.")
    }
    return snapshot
  }

  /// Reads `{ "schema.table" = "condition" }`.
  private mutating func snapshotConditions() -> [SnapshotConfiguration.Condition] {
    guard var section = section("snapshotWhere", subject: "conditions for existing rows") else {
      return []
    }
    var conditions: [SnapshotConfiguration.Condition] = []
    for entry in section.table.entries {
      guard let pattern = TablePattern(entry.key), pattern.schema != nil else {
        section.fail(
          entry.key, at: entry.position, found: "no table's name",
          expected: "\"schema.table\", with * for any characters")
        continue
      }
      guard case .string(let raw) = entry.value.content else {
        section.fail(
          entry.key, at: entry.position, found: entry.value.kind,
          expected:
            "a condition in the server's SQL, such as \"created > now() - interval '30 days'\"")
        continue
      }
      guard let text = section.expand(raw, of: entry.key, at: entry.position) else { continue }
      if let fault = SQLCondition.fault(in: text.value) {
        section.fail(
          entry.key, at: entry.position, found: text.shown,
          expected: "one expression of SQL", hint: "This one \(fault).")
      }
      conditions.append(SnapshotConfiguration.Condition(pattern: pattern, sql: text.value))
    }
    absorb(section)
    return conditions
  }
}
