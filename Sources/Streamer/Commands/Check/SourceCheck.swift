import PGWire

/// The tables that a source will stream, for the check of its sinks' topics.
struct PublishedTables {
  /// The source's name in the configuration.
  let source: String
  /// The database's name.
  let database: String
  /// Schema and name of each table.
  let tables: [(schema: String, name: String)]
  /// The same with their columns, where a sink has rules for tables.
  var described: [DescribedRelation] = []
}

/// Examines one PostgreSQL source: the connection, the server's settings, publication, tables, slot.
///
/// Everything here only reads; the one thing that `run` does and this does not is to create.
struct SourceCheck {
  /// The source's name in the configuration.
  let name: String
  /// What the configuration says of it.
  let source: PostgresSourceConfiguration
  /// The positions that the store holds for it.
  let stored: [Position]
  /// The names of its sinks.
  let sinks: [String]
  /// Whether a sink has rules for tables.
  let describesTables: Bool

  /// What findings call the source.
  var target: String { "source \(name)" }

  /// Adds what it finds; nil when it does not get far enough to know the tables.
  func run(_ report: inout CheckReport) -> PublishedTables? {
    do throws(PGError) {
      let parameters = try source.dsn.parameters()
      var connection = try Connection.open(
        parameters, startup: SessionSettings.startup(for: nil), timeout: source.timeout)
      let host = connection.host.description
      let encryption = connection.isEncrypted ? "TLS" : "no TLS"
      let version = connection.serverVersion
      report.add(
        .init(
          "connection", target, version.major >= 10 ? .ok : .fail,
          "PostgreSQL \(version) at \(host), database \(parameters.database), "
            + "user \(parameters.user), \(encryption)",
          version.major >= 10 ? nil : "pgoutput exists since version 10."))
      try examineSession(&connection, &report)
      try examineSettings(&connection, &report)
      try examineVisibility(&connection, &report)
      let here = parameters.only(connection.reachedHost)
      let system = examineReplication(here, &report)
      let tables = try examinePublication(&connection, &report)
      try examineSlot(&connection, system, database: parameters.database, &report)
      let described = describesTables ? try describe(&connection) : []
      connection.close()
      return PublishedTables(
        source: name, database: parameters.database, tables: tables, described: described)
    } catch {
      add(error, to: "connection", &report)
      return nil
    }
  }

  /// The tables with their columns and types.
  private func describe(
    _ connection: inout Connection
  ) throws(PGError) -> [DescribedRelation] {
    let major = connection.serverVersion.major
    return try DescribedRelation.read(publication: source.publication, serverMajor: major) {
      (sql) throws(PGError) in try ask(&connection, sql)
    }
  }

  /// Adds what an error says, with the remedy that `run` would name.
  func add(_ error: PGError, to check: String, _ report: inout CheckReport) {
    report.add(check, target, StreamerError(error, source: source, name: name))
  }

  /// Asks for rows.
  func ask(_ connection: inout Connection, _ sql: String) throws(PGError) -> [[String?]] {
    try connection.query(sql, timeout: Self.patience).first?.rows ?? []
  }

  /// How long an answer is waited for.
  static let patience = Duration.seconds(30)

  // MARK: - Settings

  /// Gives the session the settings that `run` gives its own.
  private func examineSession(
    _ connection: inout Connection, _ report: inout CheckReport
  ) throws(PGError) {
    do throws(PGError) {
      let dropped = try SessionSettings.hold(
        on: &connection, asked: SessionSettings.startup(for: nil), timeout: source.timeout)
      guard !dropped.isEmpty else { return }
      report.add(
        .init(
          "session", target, .warn,
          "settings of the startup packet were dropped, and set by SQL: "
            + dropped.joined(separator: ", "),
          "A pooler sits in between, perhaps: better connect to PostgreSQL itself."))
    } catch {
      guard case .settings = error else { throw error }
      add(error, to: "session", &report)
    }
  }

  private func examineSettings(
    _ connection: inout Connection, _ report: inout CheckReport
  ) throws(PGError) {
    let rows = try ask(
      &connection,
      """
      SELECT current_setting('wal_level'), current_setting('max_replication_slots'), \
      (SELECT count(*) FROM pg_catalog.pg_replication_slots), \
      current_setting('max_wal_senders'), (SELECT count(*) FROM pg_catalog.pg_stat_replication), \
      (SELECT count(*) FROM pg_catalog.pg_replication_slots \
      WHERE slot_name = \(ReplicationCommand.literal(source.replicationSlot))), \
      pg_catalog.pg_is_in_recovery()
      """)
    let values = (rows.first ?? []).map { $0 ?? "" }
    guard values.count == 7 else { return }
    if values[6] == "t", connection.serverVersion.major < 16 {
      report.add(
        .init(
          "recovery", target, .fail, PostgresSession.recovery(connection.serverVersion),
          "Name the primary in dsn; `run` waits for a promotion.", exit: .failure))
    }
    let isLogical = values[0] == "logical"
    report.add(
      .init(
        "wal_level", target, isLogical ? .ok : .fail, values[0],
        isLogical ? nil : "Set wal_level = logical in postgresql.conf and restart the server."))
    let hasSlot = values[5] == "1"
    let slots = room(values[2], of: values[1])
    report.add(
      .init(
        "slots", target, slots.isFull && !hasSlot ? .fail : .ok, "\(slots.text) in use",
        slots.isFull && !hasSlot
          ? "Raise max_replication_slots, or drop a slot that nobody reads." : nil))
    let senders = room(values[4], of: values[3])
    report.add(
      .init(
        "walsenders", target, senders.isFull ? .fail : .ok, "\(senders.text) in use",
        senders.isFull ? "Raise max_wal_senders." : nil))
  }

  private func room(_ used: String, of most: String) -> (text: String, isFull: Bool) {
    ("\(used) of \(most)", (Int(used) ?? 0) >= (Int(most) ?? 0))
  }

  /// Opens a replication connection: the only sure way to know that it is permitted.
  private func examineReplication(
    _ parameters: ConnectionParameters, _ report: inout CheckReport
  ) -> SystemIdentification? {
    do throws(PGError) {
      var connection = try SessionSettings.open(
        parameters, replication: true, timeout: source.timeout)
      let row = try ask(&connection, ReplicationCommand.identifySystem).first ?? []
      connection.close()
      guard let system = SystemIdentification(row: row) else {
        report.add(
          .init(
            "replication", target, .fail, "IDENTIFY_SYSTEM was answered with something else",
            "Connect to PostgreSQL itself, not to a pooler."))
        return nil
      }
      report.add(
        .init(
          "replication", target, .ok,
          "permitted; system \(system.systemIdentifier), timeline \(system.timeline)"))
      return system
    } catch {
      add(error, to: "replication", &report)
      return nil
    }
  }
}
