/// The table `walBudget` of a PostgreSQL source: what happens when its slot keeps that much log.
struct WALBudget: Hashable, Sendable {
  /// A line in the log.
  var warn: ByteSize?
  /// Copying existing rows pauses.
  var pauseSnapshot: ByteSize?
  /// The source stops.
  var stop: ByteSize?
  /// The source stops and drops the slot, which loses what was not delivered.
  var dropSlot: ByteSize?
}

/// What a PostgreSQL source writes into the server's log from time to time, and where.
struct HeartbeatConfiguration: Hashable, Sendable {
  /// The pause between two (10s); zero for none.
  var interval: Duration
  /// How to reach the server that it is written on; `nil` for the one that is read.
  var dsn: DSN?
  /// The table that takes it where there are no logical messages.
  var table: TablePattern?

  /// The table's name as SQL has it.
  var tableName: (schema: String, table: String)? {
    guard let table, let schema = table.schema else { return nil }
    return (schema.text, table.table.text)
  }
}

extension ConfigurationReader {
  /// Reads the table `walBudget`, and `allowLoss`, which its last step needs.
  mutating func walBudget() -> WALBudget {
    var budget = WALBudget()
    let allowsLoss = boolean("allowLoss", default: false)
    guard var section = section("walBudget", subject: "the WAL budget") else { return budget }
    var last: (key: String, size: ByteSize)?
    for key in ["warn", "pauseSnapshot", "stop", "dropSlot"] {
      // Asked for also where it is missing, so that the key is known.
      let size = section.size(key, default: ByteSize(0), from: ByteSize(1))
      guard section.has(key), size.bytes > 0 else { continue }
      if let last, size < last.size {
        section.fail(
          key, at: section.entry(key)?.position, found: "\(size)",
          expected: "at least as much as \(last.key), \(last.size)")
      }
      last = (key, size)
      switch key {
      case "warn": budget.warn = size
      case "pauseSnapshot": budget.pauseSnapshot = size
      case "stop": budget.stop = size
      default: budget.dropSlot = size
      }
    }
    if budget.dropSlot != nil, !allowsLoss {
      section.fail(
        "dropSlot", at: section.entry("dropSlot")?.position, found: "a size",
        expected: "allowLoss = true in the source beside it",
        hint: "What the slot holds is lost with it.")
    }
    section.finish()
    absorb(section)
    return budget
  }

  /// Reads `heartbeat`, `heartbeatDSN` and `heartbeatTable`.
  mutating func heartbeat() -> HeartbeatConfiguration {
    var heartbeat = HeartbeatConfiguration(
      interval: duration("heartbeat", default: .seconds(10), zero: true))
    if has("heartbeatDSN") { heartbeat.dsn = dsn("heartbeatDSN") }
    let expected = "a table as \"schema.table\""
    if let text = text("heartbeatTable", expected: expected) {
      heartbeat.table = TablePattern(text.value)
      let parts = [heartbeat.table?.schema, heartbeat.table?.table]
      if parts.contains(where: { $0?.hasWildcards ?? true }) {
        fail("heartbeatTable", at: text.position, found: text.shown, expected: expected)
      }
    }
    return heartbeat
  }
}
