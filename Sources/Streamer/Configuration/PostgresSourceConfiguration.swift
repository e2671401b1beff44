import PGWire

/// A `[source.NAME]` table with `type = "postgres"`.
struct PostgresSourceConfiguration: Hashable, Sendable {
  /// What to do when changes are missing between the stored position and what the server has.
  enum GapAction: String, CaseIterable, Sendable {
    /// Stop the pipeline.
    case stop
    /// Go on, and write the gap to the ledger.
    case accept
    /// The same, and copy the existing rows of all tables.
    case snapshot
  }

  /// When a transaction is handed to the sinks.
  enum Visibility: String, CaseIterable, Sendable {
    /// As soon as the server sends it.
    case none
    /// When readers of the primary see it.
    case primary
  }

  /// The connection string; it may hold a password.
  let dsn: DSN
  /// The publication's name.
  let publication: String
  /// The slot's name.
  let replicationSlot: String
  /// How long connecting may take (2s).
  let timeout: Duration
  /// How long to wait before connecting again, at first (5s).
  let startRetryInterval: Duration
  /// Where to start instead of at the stored position; `nil` when it is 0 or not set.
  let walPositionOverride: LSN?
  /// How many bytes of confirmed WAL the server keeps for rewinds (0).
  let walRetain: ByteSize
  /// Whether a missing slot is created (true).
  let createSlot: Bool
  /// How long the server may take to create it (60s; zero for ever).
  let createTimeout: Duration
  /// Whether a missing publication is created (false).
  let createPublication: Bool
  /// The tables of a publication that is created, "!" before those left out; empty for all.
  let tables: [String]
  /// What is asked of pgoutput, whatever the server's version.
  let output: PgOutputOptions
  /// How open transactions are kept that come in chunks.
  let spool: SpoolConfiguration
  /// How often the position is saved and acknowledged (1s).
  let flushInterval: Duration
  /// The largest change that becomes a record, in bytes as it is received (16MiB).
  let maxRowSize: ByteSize
  /// What is done with bytes of a SQL_ASCII database that are no text (stop).
  let invalidUTF8: InvalidUTF8
  /// What to do over a gap.
  let onGap: GapAction
  /// Whether a gap at the process's first connection is accepted, whatever `onGap` says.
  var acceptsFirstGap = false
  /// Whether walPositionOverride may repeat what an exactly-once sink has (false).
  let allowDuplicates: Bool
  /// Whether the slot lives only as long as the connection (false).
  let temporary: Bool
  /// How long after a failover a server in recovery, or one without the slot, is waited for (5m).
  let failoverTimeout: Duration
  /// Whether standbys keep the slot in step, so that it outlives a failover (false; from 17).
  let failover: Bool

  /// When a transaction is handed to the sinks (none).
  let visibility: Visibility

  /// What is written into the server's log from time to time.
  let heartbeat: HeartbeatConfiguration
  /// What happens when the slot keeps much log.
  let walBudget: WALBudget

  /// Which existing rows are copied.
  let snapshot: SnapshotConfiguration

  /// Reads the keys of this kind.
  init(in reader: inout ConfigurationReader) {
    dsn = reader.dsn()
    publication = reader.requiredString("publication", expected: "a publication's name")
    replicationSlot = reader.replicationSlot()
    timeout = reader.duration("timeout", default: .seconds(2))
    startRetryInterval = reader.duration("startRetryInterval", default: .seconds(5))
    walPositionOverride = reader.logPosition("walPositionOverride")
    walRetain = reader.size("walRetain", default: ByteSize(0))
    createSlot = reader.boolean("createSlot", default: true)
    createTimeout = reader.duration("createTimeout", default: .seconds(60), zero: true)
    createPublication = reader.boolean("createPublication", default: false)
    tables = reader.publishedTables()
    output = reader.outputOptions(publication: publication)
    spool = reader.spool()
    flushInterval = reader.duration("flushInterval", default: .seconds(1))
    maxRowSize = reader.size("maxRowSize", default: ByteSize(Limits.rowBytes))
    invalidUTF8 = reader.choice("invalidUTF8", default: InvalidUTF8.stop)
    onGap = reader.choice("onGap", default: GapAction.stop)
    allowDuplicates = reader.boolean("allowDuplicates", default: false)
    temporary = reader.boolean("temporary", default: false)
    if temporary, onGap != .accept {
      reader.fail(
        "temporary", at: reader.entry("temporary")?.position, found: "true",
        expected: "onGap = \"accept\" beside it",
        hint: "A temporary slot forgets what happens while psql-streamer is not connected.")
    }
    failoverTimeout = reader.duration("failoverTimeout", default: .seconds(300), zero: true)
    failover = reader.boolean("failover", default: false)
    if failover, temporary {
      reader.fail(
        "failover", at: reader.entry("failover")?.position, found: "true",
        expected: "temporary = false beside it",
        hint: "A temporary slot ends with its connection: no standby keeps it.")
    }
    visibility = reader.choice("visibility", default: Visibility.none)
    if visibility == .primary, output.twoPhase {
      reader.fail(
        "visibility", at: reader.entry("visibility")?.position, found: "\"primary\"",
        expected: "twoPhase = false beside it",
        hint: "What is prepared is delivered before anybody sees it.")
    }
    snapshot = reader.snapshot(twoPhase: output.twoPhase)
    heartbeat = reader.heartbeat()
    walBudget = reader.walBudget()
    if !createPublication, !tables.isEmpty {
      reader.note("tables", "has no effect without createPublication = true")
    }
  }
}

extension ConfigurationReader {
  /// Reads `replicationSlot`; the server allows only some characters.
  fileprivate mutating func replicationSlot() -> String {
    let expected = "a slot's name: 1 to 63 lower-case letters, digits and underscores"
    let name = requiredString("replicationSlot", expected: expected)
    let isValid = name.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
        UInt8(ascii: "_"):
        true
      default: false
      }
    }
    if let text = text("replicationSlot"), !name.isEmpty, !isValid || name.utf8.count > 63 {
      fail("replicationSlot", at: text.position, found: text.shown, expected: expected)
    }
    return name
  }

  /// Reads a log position, an integer or "X/X"; `nil` when it is 0, not set or wrong.
  fileprivate mutating func logPosition(_ key: String) -> LSN? {
    guard let entry = entry(key) else { return nil }
    var position: LSN?
    switch entry.value.content {
    case .integer(let number): position = UInt64(exactly: number).map { LSN($0) }
    case .string(let raw):
      guard let text = expand(raw, of: key, at: entry.position) else { return nil }
      position = LSN(text.value) ?? UInt64(text.value).map { LSN($0) }
    default: break
    }
    guard let position else {
      fail(
        key, at: entry.position, found: entry.value.summary,
        expected: "a log position: an integer or such as \"16/B374D848\"")
      return nil
    }
    return position == .zero ? nil : position
  }

  /// Reads the tables of the publication to create.
  fileprivate mutating func publishedTables() -> [String] {
    let texts = texts("tables")
    for text in texts {
      let name = text.value.hasPrefix("!") ? String(text.value.dropFirst()) : text.value
      let pattern = TablePattern.reading(name)
      if pattern?.schema == nil, pattern?.regex == nil {
        fail(
          "tables", at: text.position, found: text.shown,
          expected: "\"schema.table\", with * for any characters and ! before those left out, or "
            + "\"re:\" and a regular expression")
      }
    }
    if !texts.isEmpty, texts.allSatisfy({ $0.value.hasPrefix("!") }) {
      fail(
        "tables", at: entry("tables")?.position, found: "only tables to leave out",
        expected: "at least one to publish", hint: "Put \"*.*\" first for all tables.")
    }
    return texts.map(\.value)
  }
}
