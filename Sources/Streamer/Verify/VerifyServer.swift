import PGWire

/// The server of a source, as `verify` asks it: what is published, and how far the slot is.
struct VerifyServer: ~Copyable {
  private let source: SourceConfiguration
  private let postgres: PostgresSourceConfiguration
  private var connection: Connection
  /// The database, as events name it.
  let origin: StreamOrigin
  /// What is known of types and keys.
  let catalog: TableCatalog

  private init(
    _ source: SourceConfiguration, _ postgres: PostgresSourceConfiguration,
    _ connection: consuming Connection, _ origin: StreamOrigin, _ catalog: TableCatalog
  ) {
    self.source = source
    self.postgres = postgres
    self.connection = connection
    self.origin = origin
    self.catalog = catalog
  }

  /// Connects.
  static func connect(
    _ source: SourceConfiguration, _ postgres: PostgresSourceConfiguration,
    _ breaker: WaitBreaker
  ) throws(StreamerError) -> VerifyServer {
    do throws(PGError) {
      let parameters = try postgres.dsn.parameters()
      let connection = try SessionSettings.open(
        parameters, timeout: postgres.timeout, interruption: breaker)
      let origin = StreamOrigin(
        host: connection.host.name ?? parameters.hosts.first?.description ?? "",
        database: parameters.database, holdsAnyBytes: SessionSettings.holdsAnyBytes(connection))
      let timeout = postgres.timeout
      let catalog = TableCatalog(
        memory: MemoryPositionStore(), publication: postgres.publication,
        serverMajor: connection.serverVersion.major, log: Log(level: .error)
      ) { () throws(PGError) in
        try SessionSettings.open(parameters, timeout: timeout, interruption: breaker)
      }
      return VerifyServer(source, postgres, connection, origin, catalog)
    } catch { throw StreamerError(error, source: postgres, name: source.name) }
  }

  /// The tables that are published.
  mutating func tables() throws(StreamerError) -> [SnapshotTable] {
    SnapshotTable.all(
      from: try ask(
        SnapshotTable.query(
          publication: postgres.publication, oids: nil,
          serverMajor: connection.serverVersion.major, .published)))
  }

  /// What no other server's database has: the cluster's identifier, where the role may read it, and its
  /// name.
  mutating func identity() throws(StreamerError) -> String {
    let names =
      try ask(
        "SELECT pg_catalog.current_database(), d.oid FROM pg_catalog.pg_database d "
          + "WHERE d.datname = pg_catalog.current_database()"
      ).first ?? []
    let system = try? connection.query(
      "SELECT system_identifier FROM pg_catalog.pg_control_system()",
      timeout: Limits.snapshotQuestion
    ).last?.rows.first
    return ((system ?? []) + names).map { $0 ?? "" }.joined(separator: " ")
  }

  /// Waits until the instance has delivered what was committed before a place; gives what has to be
  /// known where nothing can be waited for.
  mutating func wait(
    for fence: LSN, _ progress: VerifyProgress
  ) throws(StreamerError) -> String? {
    progress.begin("waiting for the instance")
    let name = ReplicationCommand.literal(postgres.replicationSlot)
    var last = LSN.zero
    var since = ContinuousClock.now
    var seen = since
    while true {
      let row = try ask(
        // What is confirmed is less where the instance keeps log for rewinds.
        "SELECT s.active, GREATEST(s.confirmed_flush_lsn, r.replay_lsn) "
          + "FROM pg_catalog.pg_replication_slots s "
          + "LEFT JOIN pg_catalog.pg_stat_replication r ON r.pid = s.active_pid "
          + "WHERE s.slot_name = \(name)"
      ).first
      guard let row, row.count == 2 else {
        return "slot \"\(postgres.replicationSlot)\" does not exist: what has not been delivered "
          + "yet shows as a difference"
      }
      let confirmed = row[1].flatMap { LSN($0) } ?? .zero
      if confirmed >= fence { return nil }
      if row[0] == "t" { seen = .now }
      // An instance that connects again is away for a moment.
      guard .now - seen < Limits.verifyAbsence else {
        return "nobody reads slot \"\(postgres.replicationSlot)\": what was committed after "
          + "\(confirmed) has not been delivered and shows as a difference"
      }
      if confirmed > last {
        last = confirmed
        since = .now
      }
      guard .now - since < Limits.verifyPatience else {
        throw StreamerError(
          what: "source \(source.name)",
          why: "its slot has stood at \(confirmed) for "
            + "\(Int(Limits.verifyPatience.inSeconds)) seconds, and \(fence) has to be delivered",
          hint: "psql-streamer status says what holds it back.", retryable: true)
      }
      beat()
      try progress.pause(Limits.verifyLook)
    }
  }

  /// Writes a heartbeat, which makes an idle server tell its place; where that is not permitted its
  /// keepalives come later.
  private mutating func beat() {
    guard postgres.output.messages,
      connection.serverVersion.major >= ServerFeature.logicalMessages.firstMajor
    else { return }
    let prefix = ReplicationCommand.literal(Heartbeat.prefix + postgres.replicationSlot)
    _ = try? connection.query(
      "SELECT pg_catalog.pg_logical_emit_message(false, \(prefix), ''::text)")
  }

  /// Asks it, and gives the rows.
  mutating func ask(_ sql: String) throws(StreamerError) -> [[String?]] {
    do throws(PGError) {
      return try connection.query(sql, timeout: Limits.snapshotQuestion).last?.rows ?? []
    } catch { throw StreamerError(error, source: postgres, name: source.name) }
  }
}
