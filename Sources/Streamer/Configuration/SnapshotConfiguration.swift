/// Which existing rows a PostgreSQL source copies before, and beside, what is committed from then on.
struct SnapshotConfiguration: Hashable, Sendable {
  /// When they are copied.
  enum Mode: String, CaseIterable, Sendable {
    /// Never.
    case never
    /// When the source begins without a position.
    case initial
    /// The same, and over each gap that is accepted.
    case whenNeeded = "when-needed"
    /// At each start of the program.
    case always
  }

  /// When existing rows are copied (never).
  var mode = Mode.never
  /// The tables whose rows are copied, "!" before those left out; empty for all that are published.
  var tables: [String] = []
  /// How long reading changes may pause for one round of them (1s).
  var pause = Duration.seconds(1)

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
    snapshot.pause = duration("snapshotPause", default: .seconds(1))
    if snapshot.mode != .never, twoPhase {
      fail(
        "snapshot", at: entry("snapshot")?.position,
        found: TOMLValue.quoted(snapshot.mode.rawValue),
        expected: "twoPhase = false beside it",
        hint: "What is prepared is delivered before a snapshot sees it.")
    }
    return snapshot
  }
}
