import PGWire
import Support
import Synchronization

@testable import Streamer

/// What servers 10.18 and 14.23 were seen to answer (postgres-protocol.md, sections 1 to 4).
enum ImitatedVersion {
  /// The SQLSTATE that a setting in the startup packet is refused with; nil when it is taken.
  static func refusal(of setting: String, major: Int) -> String? {
    let unknown = ["idle_session_timeout": 14, "logical_decoding_work_mem": 13]
    if let since = unknown[setting], major < since { return "42704" }
    return setting == "wal_sender_timeout" && major < 12 ? "55P02" : nil
  }

  /// Where a stream begins.
  struct Start {
    let slot: String
    /// The number of the first transaction to send.
    let next: Int
  }

  /// The messages that answer a query, up to ReadyForQuery; or the beginning of a stream.
  static func answer(_ query: String, _ session: ImitatedSession) -> ([UInt8], Start?) {
    let major = session.server.major
    if query.hasPrefix("START_REPLICATION ") { return start(query, session) }
    if query == "IDENTIFY_SYSTEM" {
      let end = session.server.state.withLock { "\($0.end)" }
      return (
        rows(
          ["systemid", "timeline", "xlogpos", "dbname"],
          [["7000000000000000010", "1", end, "postgres"]], tag(query, major)), nil
      )
    }
    if let match = query.wholeMatch(
      of:
        /CREATE_REPLICATION_SLOT "?(\w+)"?( TEMPORARY)? LOGICAL "?pgoutput"? (NO)?EXPORT_SNAPSHOT/)
    {
      let slot = String(match.1)
      let end = session.server.state.withLock { state in
        state.slots[slot] = (state.end, nil)
        return "\(state.end)"
      }
      if match.2 != nil { session.own(slot) }
      let columns = ["slot_name", "consistent_point", "snapshot_name", "output_plugin"]
      return (rows(columns, [[slot, end, nil, "pgoutput"]], tag(query, major)), nil)
    }
    if let match = query.wholeMatch(of: /DROP_REPLICATION_SLOT "?(\w+)"?( WAIT)?/) {
      let slot = String(match.1)
      let isThere = session.server.state.withLock { $0.slots.removeValue(forKey: slot) != nil }
      guard isThere else { return (ImitatedSession.error("42704", "no such slot"), nil) }
      // Before 13 the command completes twice.
      return (complete("DROP_REPLICATION_SLOT") + (major < 13 ? complete("SELECT") : []), nil)
    }
    if query.contains(/^[A-Z]+_REPLICATION_SLOT/) {
      return (ImitatedSession.error("42601", "syntax error"), nil)
    }
    return (sql(query, session), nil)
  }

  /// One transaction, as versions before 15 send it: with Begin and Commit whatever it holds.
  static func stream(_ transaction: ImitatedServer.Transaction, number: Int) -> [UInt8] {
    var bytes = ServerBytes()
    bytes.begin(transaction.commit, xid: UInt32(500 + number))
    if transaction.table != "private" {
      let column = Relation.Column(name: "id", isKey: true, type: 23)
      bytes.relation(
        Relation(
          oid: 16_400, schema: "public", name: transaction.table, replicaIdentity: .primaryKey,
          columns: [column]))
      bytes.xLogData(
        transaction.commit, ServerBytes.insert(16_400, [.text(transaction.value)]))
    }
    bytes.commit(transaction.commit, end: transaction.end)
    return bytes.bytes
  }

  // MARK: - START_REPLICATION

  private static func start(_ query: String, _ session: ImitatedSession) -> ([UInt8], Start?) {
    let major = session.server.major
    guard
      let match = query.wholeMatch(
        of: /START_REPLICATION SLOT "?(\w+)"? LOGICAL ([0-9A-F]+\/[0-9A-F]+) \((.*)\)/),
      let from = LSN(String(match.2))
    else { return (ImitatedSession.error("42601", "syntax error"), nil) }
    let slot = String(match.1)
    var copyBoth = ServerBytes()
    copyBoth.message("W", [0, 0, 0])
    for option in match.3.matches(of: /"?(\w+)"? '((?:[^']|'')*)'/) {
      guard let error = refusal(of: option.1, option.2, major: major) else { continue }
      // Version 10 looks at the options only after it has begun to stream.
      return (major == 10 ? copyBoth.bytes + error : error, nil)
    }
    let next = session.server.state.withLock { state -> Int? in
      guard let known = state.slots[slot] else { return nil }
      state.slots[slot]?.reader = session.processID
      state.starts.append(query)
      let least = max(from, known.confirmed)
      return state.transactions.firstIndex { $0.commit >= least } ?? state.transactions.count
    }
    guard let next else { return (ImitatedSession.error("42704", "no such slot"), nil) }
    return (copyBoth.bytes, Start(slot: slot, next: next))
  }

  private static func refusal(
    of option: Substring, _ value: Substring, major: Int
  ) -> [UInt8]? {
    let known = ["proto_version": 10, "publication_names": 10]
    let later = ["binary": 14, "messages": 14, "streaming": 14, "two_phase": 15, "origin": 16]
    guard let since = known[String(option)] ?? later[String(option)], since <= major else {
      return ImitatedSession.error("XX000", "unrecognized pgoutput option: \(option)")
    }
    if option == "proto_version", (Int(value) ?? 0) > (major < 14 ? 1 : 2) {
      return ImitatedSession.error("0A000", "client sent proto_version=\(value)")
    }
    if option == "streaming", value == "parallel" {
      return ImitatedSession.error("42601", "streaming requires a Boolean value")
    }
    return nil
  }

  // MARK: - SQL

  /// The few statements that the client and the checks send.
  private static func sql(_ query: String, _ session: ImitatedSession) -> [UInt8] {
    let server = session.server
    if query.hasPrefix("SELECT current_setting('client_encoding')") {
      let wanted = SessionSettings.startup(for: ServerVersion(server.versionText))
      return rows(wanted.map(\.name), [wanted.map(\.value)], "SELECT 1")
    }
    if let name = query.firstMatch(of: /^SHOW (\w+)/)?.1 {
      let values = ["wal_sender_timeout": "30s", "logical_decoding_work_mem": "4MB"]
      return rows([String(name)], [[values[String(name)] ?? "0"]], "SHOW")
    }
    if query.contains("pg_replication_slots") {
      let columns = ["wal_status": 13, "two_phase": 14, "conflicting": 16, "failover": 17]
      for (column, since) in columns where query.contains(column) && server.major < since {
        return ImitatedSession.error("42703", "column \"\(column)\" does not exist")
      }
      return rows(
        (0..<16).map { "c\($0)" }, server.state.withLock { slots($0, query, server.major) },
        "SELECT 1")
    }
    if query.contains("current_setting('wal_level')") {
      return rows(["wal_level", "setting", "recovery"], [["logical", "60000", "f"]], "SELECT 1")
    }
    if query.contains("pg_publication WHERE pubname") {
      let names = query.matches(of: /'(\w+)'/).map { String($0.1) }
      let known = server.state.withLock { $0.publications }
      return rows(["pubname"], names.filter { known.contains($0) }.map { [$0] }, "SELECT 1")
    }
    server.state.withLock { state in
      for match in query.matches(of: /CREATE PUBLICATION (\w+)/) {
        state.publications.insert(String(match.1))
      }
      for match in query.matches(of: /INSERT INTO (\w+) VALUES \((\d+)\)/) {
        let commit = LSN(state.end.value + 0x100)
        state.transactions.append(
          .init(
            commit: commit, end: LSN(commit.value + 0x30), table: String(match.1),
            value: String(match.2)))
      }
    }
    return complete("OK")
  }

  private static func slots(
    _ state: ImitatedServer.State, _ query: String, _ major: Int
  ) -> [[String?]] {
    state.slots.filter { query.contains("'\($0.key)'") }.map { name, slot in
      let position = "\(slot.confirmed)"
      return [
        name, "pgoutput", "postgres", slot.reader.map { "\($0)" }, position, position, "0",
        major >= 13 ? "reserved" : nil, nil, major >= 14 ? "f" : nil, nil, nil, nil, nil, nil, "f",
      ]
    }
  }

  // MARK: - Messages

  /// 10 to 12 complete every replication command as SELECT.
  private static func tag(_ query: String, _ major: Int) -> String {
    major < 13 ? "SELECT" : String(query.prefix { $0 != " " })
  }

  private static func complete(_ tag: String) -> [UInt8] {
    var bytes = ServerBytes()
    bytes.message("C", Array("\(tag)\0".utf8))
    return bytes.bytes
  }

  private static func rows(_ columns: [String], _ rows: [[String?]], _ tag: String) -> [UInt8] {
    var bytes = ServerBytes()
    var description = integer(Int16(columns.count))
    for column in columns {
      description += Array("\(column)\0".utf8) + [UInt8](repeating: 0, count: 18)
    }
    bytes.message("T", description)
    for row in rows {
      var body = integer(Int16(row.count))
      for value in row {
        let text = value.map { Array($0.utf8) }
        body += integer(Int32(text?.count ?? -1)) + (text ?? [])
      }
      bytes.message("D", body)
    }
    return bytes.bytes + complete(tag)
  }

  private static func integer<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
    stride(from: T.bitWidth - 8, through: 0, by: -8).map {
      UInt8(truncatingIfNeeded: value >> T($0))
    }
  }
}
