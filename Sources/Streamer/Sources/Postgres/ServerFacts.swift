import PGWire

/// What an ordinary connection tells of the server before streaming begins.
struct ServerFacts {
  /// Its version.
  let version: ServerVersion
  /// Whether it is a standby.
  let isInRecovery: Bool
  /// How often it must hear of us: a third of wal_sender_timeout, and 10 s at most.
  let statusInterval: Duration

  /// Asks the server; throws when it cannot stream logical changes at all.
  init(
    asking connection: inout Connection, source: PostgresSourceConfiguration, name: String,
    within limit: Duration
  ) throws(StreamerError) {
    version = connection.serverVersion
    guard version.major >= 10 else {
      throw StreamerError(
        what: "source \(name)", why: "the server is PostgreSQL \(version)",
        hint: "pgoutput exists since version 10.", exit: .preflight)
    }
    let sql = """
      SELECT current_setting('wal_level'), \
      (SELECT setting FROM pg_catalog.pg_settings WHERE name = 'wal_sender_timeout'), \
      pg_catalog.pg_is_in_recovery()
      """
    let row: [String?]
    do { row = try connection.query(sql, timeout: limit).first?.rows.first ?? [] } catch {
      throw StreamerError(error, source: source, name: name)
    }
    isInRecovery = row.count > 2 && row[2] == "t"
    let walLevel = row.first.flatMap { $0 } ?? ""
    guard walLevel == "logical" else {
      throw StreamerError(
        what: "source \(name)", why: "the server's wal_level is \(walLevel)",
        hint: "Set wal_level = logical in postgresql.conf and restart the server.",
        exit: .preflight)
    }
    let timeout = row.count > 1 ? row[1].flatMap { Int64($0) } ?? 0 : 0
    let third = timeout > 0 ? Duration.milliseconds(timeout / 3) : Limits.statusInterval
    statusInterval = min(third, Limits.statusInterval)
  }
}
