import Glibc
import PGWire

/// `drop`: the end of a source's life: its slot, the publication that was made for it, and its
/// positions.
enum DropCommand {
  /// Drops them; 1 when the answer to the question was no.
  static func run(_ options: CommandLineRequest.DropOptions) throws(StreamerError) -> Int32 {
    let configuration: Configuration
    do throws(ConfigurationErrors) {
      configuration = try Configuration.load(path: options.configuration)
    } catch {
      error.complain()
      return error.exit.rawValue
    }
    let (named, source) = try configuration.postgresSource(named: options.source)
    let name = named.name
    // Whoever streams from the slot has the store: its lock says so before anything is dropped.
    var store: SQLitePositionStore?
    if let path = configuration.store, unsafe access(path, F_OK) == 0 {
      store = try SQLitePositionStore(path: path)
    }
    let kept = KeptPositions(of: configuration, source: name)
    let stored = try kept.replacing(store?.load(source: name) ?? [])
    var drop = try SourceDrop.look(
      name, source, keepsPublication: isShared(source, configuration))
    try drop.check()
    var effects = drop.effects
    effects += stored.map { "the position of \(name) → \($0.sink) at \($0.lsn)" }
    guard !effects.isEmpty else {
      Terminal.note("Nothing of source \(name) is left to drop.")
      return 0
    }
    let question =
      ["This drops for good, and what was not delivered yet is lost:"] + effects.map { "  \($0)" }
    guard try Confirmation.ask(question, isGiven: options.isConfirmed, command: "drop") else {
      return StreamerError.Exit.failure.rawValue
    }
    try drop.perform()
    try kept.forget(stored)
    for position in stored { try store?.forget(source: name, sink: position.sink) }
    return 0
  }

  /// Whether another source of the file reads the same publication.
  private static func isShared(
    _ source: PostgresSourceConfiguration, _ configuration: Configuration
  ) -> Bool {
    configuration.sources.count { other in
      guard case .postgres(let postgres) = other.kind else { return false }
      return postgres.dsn == source.dsn && postgres.publication == source.publication
    } > 1
  }
}

/// What of one source lies on its server.
private struct SourceDrop: ~Copyable {
  private let name: String
  private let source: PostgresSourceConfiguration
  private let database: String
  private var connection: Connection
  private var slot: ReplicationSlot?
  private var hasPublication = false

  /// Takes a connection to its server.
  private init(
    _ name: String, _ source: PostgresSourceConfiguration, database: String,
    _ connection: consuming Connection
  ) {
    self.name = name
    self.source = source
    self.database = database
    self.connection = connection
  }

  /// Connects and looks.
  static func look(
    _ name: String, _ source: PostgresSourceConfiguration, keepsPublication: Bool
  ) throws(StreamerError) -> SourceDrop {
    do throws(PGError) {
      let parameters = try source.dsn.parameters()
      var drop = SourceDrop(
        name, source, database: parameters.database,
        try SessionSettings.open(parameters, timeout: source.timeout))
      try drop.look(keepsPublication: keepsPublication)
      return drop
    } catch { throw StreamerError(error, source: source, name: name) }
  }

  private mutating func look(keepsPublication: Bool) throws(PGError) {
    let query = ReplicationSlot.query(
      name: source.replicationSlot, serverVersion: connection.serverVersion.number)
    let rows = try connection.query(query).first?.rows ?? []
    slot = rows.lazy.compactMap(ReplicationSlot.init(row:)).first
    guard source.createPublication, !keepsPublication else { return }
    let found = try connection.query(Publication.existing([source.publication]))
    hasPublication = found.first?.rows.isEmpty == false
  }

  /// Throws when the slot is in use, or is somebody else's.
  func check() throws(StreamerError) {
    guard let slot else { return }
    let hint = "Nothing was dropped."
    guard slot.plugin == "pgoutput", slot.database == database else {
      throw StreamerError(
        what: "source \(name)", why: "slot \"\(slot.name)\" belongs to another plugin or database",
        hint: hint, exit: .preflight)
    }
    if let process = slot.activePID {
      throw StreamerError(
        what: "source \(name)", why: "slot \"\(slot.name)\" is in use by process \(process)",
        hint: "Stop whoever reads it first. \(hint)")
    }
  }

  /// What would be dropped, one line each.
  var effects: [String] {
    var effects: [String] = []
    if slot != nil { effects.append("replication slot \(source.replicationSlot)") }
    if hasPublication { effects.append("publication \(source.publication)") }
    return effects
  }

  /// Drops it: the slot first, which holds WAL.
  mutating func perform() throws(StreamerError) {
    do throws(PGError) {
      if slot != nil {
        let slot = ReplicationCommand.literal(source.replicationSlot)
        _ = try connection.query("SELECT pg_catalog.pg_drop_replication_slot(\(slot))")
        Terminal.note("dropped replication slot \(source.replicationSlot)")
      }
      if hasPublication {
        let publication = ReplicationCommand.identifier(source.publication)
        _ = try connection.query("DROP PUBLICATION IF EXISTS \(publication)")
        Terminal.note("dropped publication \(source.publication)")
      }
    } catch { throw StreamerError(error, source: source, name: name) }
  }
}
