import PGWire

/// The settings that our sessions have, whatever a role, a database or a pooler says.
///
/// They are asked for in the startup packet, which overrides role and database, and read back once:
/// poolers drop what they do not know. What is missing then is set by SQL, or the session is refused.
///
/// A setting that the server does not know, or not for one session, is FATAL in the packet: those of
/// later versions wait until an ordinary connection has told the version. wal_sender_timeout (of a
/// session from 12) and logical_decoding_work_mem (from 13) are left to the server: status updates
/// follow whatever the timeout is.
enum SessionSettings {
  /// A setting's name and value.
  typealias Setting = (name: String, value: String)

  /// Settings of every version since 10 that make values readable (postgres-protocol.md §6), let a
  /// session live as long as it must, and have warnings sent: one of them tells of a gap.
  ///
  /// Versions 10 and 11 write floating-point numbers with extra_float_digits = 3 exactly but not in
  /// the shortest form: 0.1 reads 0.100000000000000006.
  private static let always: [Setting] = [
    ("DateStyle", "ISO, MDY"), ("IntervalStyle", "postgres"), ("extra_float_digits", "3"),
    ("bytea_output", "hex"), ("TimeZone", "UTC"), ("lc_monetary", "C"), ("search_path", ""),
    ("statement_timeout", "0"), ("lock_timeout", "0"),
    ("idle_in_transaction_session_timeout", "0"), ("standard_conforming_strings", "on"),
    ("client_min_messages", "notice"), ("quote_all_identifiers", "off"),
    // A publication may have to be made; and on a standby no transaction can be serializable.
    ("default_transaction_read_only", "off"), ("default_transaction_isolation", "read committed"),
  ]

  /// The settings for a server; those of every version when it is not known yet.
  ///
  /// A database in SQL_ASCII converts nothing and refuses to send as UTF8 what is none: from it,
  /// with `asBytes`, values come as they are, and are looked at here.
  static func startup(for server: ServerVersion?, asBytes: Bool = false) -> [Setting] {
    var settings = [("client_encoding", asBytes ? "SQL_ASCII" : "UTF8")] + always
    guard let server else { return settings }
    // The connection for look-ups idles as long as no table is new.
    if ServerFeature.idleSessionTimeout.isAvailable(on: server) {
      settings.append(("idle_session_timeout", "0"))
    }
    if server.major >= 17 { settings.append(("transaction_timeout", "0")) }
    return settings
  }

  /// Opens a session that has them, for a command that asks a few questions.
  static func open(
    _ parameters: ConnectionParameters, replication: Bool = false, timeout: Duration,
    interruption: WaitBreaker? = nil
  ) throws(PGError) -> Connection {
    var connection = try Connection.open(
      parameters, startup: startup(for: nil), replication: replication, timeout: timeout,
      interruption: interruption)
    _ = try hold(on: &connection, asked: startup(for: nil), timeout: timeout)
    return connection
  }

  /// Sees to it that a session has all settings; gives the names of those that it was `asked` for in
  /// its startup packet and did not have.
  static func hold(
    on connection: inout Connection, asked: [Setting], timeout: Duration
  ) throws(PGError) -> [String] {
    let wanted = startup(for: connection.serverVersion, asBytes: holdsAnyBytes(connection))
    let wrong = try differing(wanted, on: &connection, timeout)
    guard !wrong.isEmpty else { return [] }
    let list = wrong.map { setting, _ in
      "set_config(\(ReplicationCommand.literal(setting.name)), "
        + "\(ReplicationCommand.literal(setting.value)), false)"
    }
    do throws(PGError) {
      _ = try connection.query("SELECT \(list.joined(separator: ", "))", timeout: timeout)
    } catch {
      guard case .server = error else { throw error }
      throw .settings("\(text(wrong)), and setting them failed (\(error)). \(remedy)")
    }
    let still = try differing(wanted, on: &connection, timeout)
    guard still.isEmpty else { throw .settings("\(text(still)), also after SET. \(remedy)") }
    // Those of later versions could not be asked for before the version was known.
    return wrong.map(\.0).filter { setting in asked.contains { $0 == setting } }.map(\.name)
  }

  /// Whether a session's database is in SQL_ASCII: its texts are asked for as they are.
  static func holdsAnyBytes(_ connection: borrowing Connection) -> Bool {
    connection.parameterStatus["server_encoding"] == "SQL_ASCII"
  }

  private static let remedy =
    "A pooler may sit in between: connect to PostgreSQL itself, or have the pooler keep sessions"

  private static func text(_ wrong: [(Setting, String)]) -> String {
    wrong.map { "\($0.name) is \"\($1)\" and not \"\($0.value)\"" }.joined(separator: ", ")
  }

  private static func differing(
    _ wanted: [Setting], on connection: inout Connection, _ timeout: Duration
  ) throws(PGError) -> [(Setting, String)] {
    let list = wanted.map { "current_setting(\(ReplicationCommand.literal($0.name)))" }
    let row = try connection.query("SELECT \(list.joined(separator: ", "))", timeout: timeout)
      .first?.rows.first
    guard let row, row.count == wanted.count else {
      throw .settings("they cannot be read back. \(remedy)")
    }
    return zip(wanted, row).compactMap { setting, value in
      // An empty list of schemas shows as a name of no characters when SET has made it.
      let value = value == "\"\"" ? "" : value ?? ""
      return value == setting.value ? nil : (setting, value)
    }
  }
}
