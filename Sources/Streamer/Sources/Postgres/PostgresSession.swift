import PGWire
import Recording

/// What of a PostgreSQL source may block: it runs on the driver's I/O worker, one call after the
/// other.
protocol ReplicationServer: AnyObject, Sendable {
  /// Connects, decides where reading begins, and starts a stream there.
  func establish(_ attempt: PostgresAttempt) -> Result<EstablishedSession, StreamerError>
  /// What the catalog says of tables, in their order.
  func lookUp(_ requests: [TableRequest]) -> Result<[TableFacts], StreamerError>
  /// Makes positions durable; says what went wrong.
  func save(_ positions: [Position]) -> StreamerError?
  /// The slot as the server shows it now; nil when it cannot be asked.
  func slot() -> ReplicationSlot?
  /// Writes a heartbeat into the server's log.
  func heartbeat() -> Heartbeat.Answer
  /// Drops the slot, which nobody reads any more.
  func dropSlot(within limit: Duration)
  /// Takes a step of a copy of existing rows.
  func snapshot(_ step: SnapshotStep) -> SnapshotAnswer
  /// Does what somebody wants of the copies of existing rows, and makes it durable; gives those that
  /// are new or changed.
  func carryOut(
    _ command: CopyCommand, of origin: SourceOrigin
  ) -> Result<CopyBook, StreamerError>
  /// Finds tables that have come into the publication and whose rows are to be copied.
  func newTables(of origin: SourceOrigin) -> Result<CopyBook, StreamerError>
  /// What readers of the primary see now.
  func sight() -> Result<VisibleTransactions.Sight, StreamerError>
  /// Writes a gap into the ledger that the stream itself has shown.
  func record(_ gap: Gap)
  /// Lets go of the connection for look-ups.
  func close()
  /// A stop has begun: what ``establish(_:)`` waits for is over, and nothing is made any more; the one
  /// call from another thread.
  func stopping()
}

extension ReplicationServer {
  func stopping() {}

  func snapshot(_ step: SnapshotStep) -> SnapshotAnswer {
    .failed(
      StreamerError(what: "the server", why: "it has no existing rows to give", retryable: false))
  }

  func carryOut(
    _ command: CopyCommand, of origin: SourceOrigin
  ) -> Result<CopyBook, StreamerError> {
    .failure(StreamerError(what: "the server", why: "it has no existing rows to give"))
  }

  func newTables(of origin: SourceOrigin) -> Result<CopyBook, StreamerError> {
    .success(CopyBook())
  }

  func sight() -> Result<VisibleTransactions.Sight, StreamerError> {
    .failure(StreamerError(what: "the server", why: "it does not say what is visible"))
  }
}

/// What one attempt to start a stream is to do.
struct PostgresAttempt: Sendable {
  /// What each sink has confirmed in this process, in their order; nil at its start, when what is
  /// stored counts.
  var known: [Position]?
  /// Whether open transactions may come in chunks.
  var streams = true
  /// Whether values come in binary.
  var binary = false
  /// How long all questions to the server may take, but for the creation of a slot.
  var limit = Limits.question
  /// Asks the sinks that keep their position themselves where they stand, once the slot is free.
  var claim: @Sendable () throws(StreamerError) -> [SinkClaim?] = { [] }
  /// Takes the tables that are published at the process's start, in their database, before anything
  /// is made for them; what it throws ends the attempt.
  var examine:
    (
      @Sendable (
        _ tables: [TablePolicy.Name], _ described: [DescribedRelation], _ database: String
      ) throws(StreamerError) -> Void
    )?
  /// Whether the tables' columns are to be examined too.
  var describesTables = false
}

/// What the catalog says of one table.
struct TableFacts: Sendable {
  /// The columns of the primary key, asked for where the replica identity does not name them.
  var catalogKey: [String]
  /// All types that the table's columns refer to.
  var types: TypeCatalog
  /// Turns rows that come in binary into text; nil where rows come as text.
  var binary: BinaryRow?
}

extension TableAnswer {
  /// What the catalog says, together with the sinks' topics.
  init(_ facts: TableFacts, _ table: TableTopics) {
    self.init(
      catalogKey: facts.catalogKey, types: facts.types, topics: table.topics, left: table.left,
      binary: facts.binary)
  }
}

/// Connects a source to its server: checks, publication, slot, positions, START_REPLICATION, and
/// later the look-ups and saves.
// SAFETY: only the driver's one I/O worker thread calls its methods, one after the other; but for
// `stopping`, which touches an atomic.
final class PostgresSession: ReplicationServer, @unchecked Sendable {
  /// The source's name in the configuration.
  let name: String
  let source: PostgresSourceConfiguration
  /// The sinks' names, in the configuration's order.
  let sinks: [String]
  let store: any SourceStore
  let log: Log
  /// Is told of each gap, with the whole ledger.
  let note: @Sendable (Gap, [Gap]) -> Void
  /// Tells whoever reads the sinks of each gap, before what lies behind it.
  let announce: @Sendable (Gap) throws(StreamerError) -> Void
  private(set) var catalog: TableCatalog?
  /// The connection for heartbeats that are written elsewhere.
  var elsewhere: Connection?
  /// Who reads existing rows, by number: the first takes the snapshot.
  var readers = [SnapshotReader()]
  /// What the others find it by.
  var exportedSnapshot: String?
  /// What is believed of the tables that are locked for a snapshot; nil where none is being taken.
  var estimates: [UInt32: Int64]?
  /// Locks those tables once more.
  var locking = ""
  /// Whether the server was a standby when tables were locked last.
  var isStandby = false
  /// The copy that they are of.
  var copied = CopyRequest.start
  /// The published tables that are no news; nil where none is looked for.
  var known: Set<UInt32>?
  /// Comes when a stop has begun.
  private let interruption: WaitBreaker
  /// Ends look-ups in the catalog: most are answered before it comes, and leave no complaint in the
  /// server's log.
  private let lateInterruption: WaitBreaker
  /// Until when the questions of the attempt have to be answered; a slot's creation does not count.
  var deadline = ContinuousClock.now
  /// Since when a failover has been waited for, and whether the server was in recovery.
  var failover: (since: ContinuousClock.Instant, inRecovery: Bool)?
  /// How to reach the server that the stream comes from, without its fellows in `dsn`.
  private(set) var here: ConnectionParameters?
  /// Whether the stream's values come in binary.
  private var isBinary = false
  /// Whether the database is in SQL_ASCII: its texts are asked for as they are.
  private var holdsAnyBytes = false

  init(
    name: String, _ source: PostgresSourceConfiguration, sinks: [String],
    store: any SourceStore, log: Log, interruption: WaitBreaker = WaitBreaker(),
    note: @escaping @Sendable (Gap, [Gap]) -> Void = { _, _ in },
    announce: @escaping @Sendable (Gap) throws(StreamerError) -> Void = { _ in }
  ) {
    self.note = note
    self.announce = announce
    lateInterruption = interruption.later(by: Limits.lookUpGrace)
    self.interruption = interruption
    self.name = name
    self.source = source
    self.sinks = sinks
    self.store = store
    self.log = log
  }

  func establish(_ attempt: PostgresAttempt) -> Result<EstablishedSession, StreamerError> {
    do throws(StreamerError) {
      isBinary = attempt.binary
      deadline = .now + attempt.limit
      return .success(try connect(attempt))
    } catch {
      catalog?.disconnect()
      return .failure(error)
    }
  }

  func save(_ positions: [Position]) -> StreamerError? {
    do {
      try store.save(positions)
      return nil
    } catch { return error }
  }

  func lookUp(_ requests: [TableRequest]) -> Result<[TableFacts], StreamerError> {
    do throws(StreamerError) {
      guard let catalog else { preconditionFailure("a table was described before a connection") }
      let types = try mapped { () throws(PGError) in
        try catalog.types(of: requests.map(\.relation))
      }
      let keys = try catalog.keys(of: requests).mapError(mapped).get()
      var facts: [TableFacts] = []
      for (request, key) in zip(requests, keys) {
        var table = TableFacts(catalogKey: key, types: types)
        if isBinary { table.binary = try binaryRow(request.relation, types, catalog) }
        facts.append(table)
      }
      return .success(facts)
    } catch { return .failure(error) }
  }

  /// How the rows of a table are read that come in binary; throws when a type's binary form is
  /// not known.
  private func binaryRow(
    _ relation: Relation, _ types: TypeCatalog, _ catalog: TableCatalog
  ) throws(StreamerError) -> BinaryRow {
    switch BinaryRow.prepare(relation, types: types, serverMajor: catalog.serverMajor) {
    case .success(let row): return row
    case .failure(let column):
      throw StreamerError(
        what: "source \(name)",
        why: "column \(column.name) of \(relation.schema).\(relation.name) has type "
          + "\(column.type), whose binary form cannot be read",
        hint: StreamerError.textInstead, retryable: true, cause: .binaryUnreadable)
    }
  }

  func slot() -> ReplicationSlot? {
    // Rounds follow closely upon each other: readers that wait now have nothing more to read.
    if !readers.contains(where: \.isAtSnapshot) { letGoOfReaders() }
    do throws(PGError) {
      // Also where no attempt has come so far: Kafka may be down, and the log grows all the same.
      if catalog == nil { catalog = makeCatalog(try source.dsn.parameters(), nil) }
      guard let catalog else { return nil }
      let slot = try catalog.slot(named: source.replicationSlot)
      if let restart = slot?.restartLSN { catalog.prune(before: restart) }
      return slot
    } catch {
      catalog?.disconnect()
      return nil
    }
  }

  func record(_ gap: Gap) { start(isFirst: false).recordRefused(gap) }

  func close() {
    catalog?.disconnect()
    elsewhere = nil
    letGoOfReaders()
  }

  func stopping() { interruption.interrupt() }

  /// How long the next question of the attempt may take.
  var timeLeft: Duration { max(deadline - .now, .zero) }

  /// Refuses to make anything on the server once a stop has begun.
  func checkGoingOn() throws(StreamerError) {
    if isStopping { throw stopped }
  }

  /// Whether a stop has begun.
  var isStopping: Bool { interruption.hasCome }

  private var stopped: StreamerError {
    StreamerError(what: "source \(name)", why: "it is being stopped", retryable: true)
  }

  // MARK: - Steps

  private func connect(
    _ attempt: PostgresAttempt
  ) throws(StreamerError) -> EstablishedSession {
    let parameters = try mapped { () throws(PGError) in
      try source.dsn.parameters()
    }
    var plain = try mapped { () throws(PGError) in
      try open(parameters, replication: false, until: deadline)
    }
    // Everything else must be asked of this very server: another host may be another one.
    let here = parameters.only(plain.reachedHost)
    if self.here?.hosts != here.hosts {
      catalog?.disconnect()
      readers = [SnapshotReader()]
    }
    self.here = here
    let server = try ServerFacts(asking: &plain, source: source, name: name, within: timeLeft)
    try checkDecoding(server, attempt.known)
    try checkVisibility(&plain, server, attempt.known)
    try preparePublication(&plain, server)
    // A start that is refused for its tables leaves no slot behind, which would hold back WAL.
    if attempt.known == nil, let examine = attempt.examine {
      let described = attempt.describesTables ? try describedNow(&plain) : []
      try examine(try publishedNow(&plain), described, parameters.database)
    }
    let version = server.version
    catalog = catalog ?? makeCatalog(parameters, version)
    catalog?.serverMajor = version.major

    var replication = try mapped { () throws(PGError) in
      try open(here, replication: true, server: version, until: deadline)
    }
    let system = try identify(&replication)
    let identity = PositionIdentity(
      source: name, systemIdentifier: system.systemIdentifier, timeline: system.timeline,
      database: parameters.database, slot: source.replicationSlot,
      publications: [source.publication])
    catalog?.origin = identity.origin
    let begun = try begin(&plain, &replication, server, system, identity, attempt)
    let start = begun.positions.min() ?? system.flushLSN
    var options = source.output
    let command = try mapped { () throws(PGError) in
      options = try source.output.supported(by: server.version)
      if !attempt.streams { options.streaming = .off }
      options.binary = isBinary
      let command = ReplicationCommand.start(slot: source.replicationSlot, at: start, options)
      try replication.startCopyBoth(command, timeout: timeLeft)
      return command
    }
    let host = replication.host.name ?? parameters.hosts.first?.description ?? ""
    let recorded = RecordedConnection(
      serverVersion: replication.parameterStatus["server_version"] ?? "",
      timeline: system.timeline, host: host, startLSN: start, command: command,
      parameters: replication.parameterStatus.sorted { $0.key < $1.key }
        .map { RecordedConnection.Parameter(name: $0.key, value: $0.value) })
    return EstablishedSession(
      ReplicationStream(replication), identity: identity, host: host,
      start: start, streams: options.streaming != .off, positions: begun.positions,
      claims: begun.claims,
      copy: begun.copy, options: source.output.ordinals, statusInterval: server.statusInterval,
      recorded: recorded)
  }
}

extension PostgresSession {
  func open(
    _ parameters: ConnectionParameters, replication: Bool, server: ServerVersion? = nil,
    until end: ContinuousClock.Instant, isLookUp: Bool = false
  ) throws(PGError) -> Connection {
    let end = min(end, .now + source.timeout)
    let asked = SessionSettings.startup(for: server, asBytes: holdsAnyBytes)
    var connection = try Connection.open(
      parameters, startup: asked, replication: replication, timeout: max(end - .now, .zero),
      interruption: isLookUp ? lateInterruption : interruption)
    holdsAnyBytes = SessionSettings.holdsAnyBytes(connection)
    let dropped = try SessionSettings.hold(
      on: &connection, asked: asked, timeout: max(end - .now, .zero))
    if !dropped.isEmpty {
      log.warning(
        "settings of the startup packet were dropped, by a pooler perhaps, and set by SQL",
        ["settings": dropped.joined(separator: ", ")])
    }
    return connection
  }

  private func makeCatalog(
    _ parameters: ConnectionParameters, _ server: ServerVersion?
  ) -> TableCatalog {
    TableCatalog(
      memory: store, publication: source.publication, serverMajor: server?.major ?? 0, log: log
    ) { [unowned self] () throws(PGError) in
      try open(
        here ?? parameters, replication: false, server: server, until: .now + source.timeout,
        isLookUp: true)
    }
  }

  /// The publication must exist before the slot: a slot that is older never sees it.
  private func preparePublication(
    _ plain: inout Connection, _ server: ServerFacts
  ) throws(StreamerError) {
    let names = [source.publication]
    let found = try ask(&plain, Publication.existing(names))
    guard found.isEmpty else { return }
    guard source.createPublication else {
      throw StreamerError(
        what: "source \(name)", why: "publication \"\(source.publication)\" does not exist",
        hint: "\(Publication.suggestion(source.publication)); or set "
          + "createPublication = true.", exit: .preflight)
    }
    let tables = try publishedTables(&plain)
    try checkGoingOn()
    do throws(PGError) {
      _ = try plain.query(Publication.create(source.publication, tables: tables), timeout: timeLeft)
    } catch {
      guard error.serverError?.code == "42501" else { throw mapped(error) }
      throw StreamerError(error, source: source, name: name, remedy: rightsToPublish(tables))
    }
    log.info("created a publication", ["publication": source.publication])
  }

  /// What whoever creates the publication needs, when the server has refused it.
  private func rightsToPublish(_ tables: [(schema: String, name: String)]) -> String {
    let parameters = try? source.dsn.parameters()
    let user = ReplicationCommand.pasted(parameters?.user ?? "")
    let database = ReplicationCommand.pasted(parameters?.database ?? "")
    guard !tables.isEmpty else {
      return "Only a superuser publishes all tables: let one run "
        + "\(Publication.suggestion(source.publication)); or name tables in `tables`."
    }
    return "It takes CREATE on the database (GRANT CREATE ON DATABASE \(database) TO \(user)) and "
      + "ownership of each table: let their owner run "
      + "\(Publication.create(source.publication, tables: tables))."
  }

  /// The tables that the publication covers at the moment.
  private func publishedNow(
    _ plain: inout Connection
  ) throws(StreamerError) -> [TablePolicy.Name] {
    let members = Publication.members(
      source.publication, serverMajor: plain.serverVersion.major)
    let sql =
      "SELECT n.nspname, c.relname FROM (\(members)) p JOIN pg_catalog.pg_class c ON c.oid = p.relid "
      + "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
    return try ask(&plain, sql).compactMap { row in
      guard row.count == 2, let schema = row[0], let table = row[1] else { return nil }
      return TablePolicy.Name(schema: schema, table: table)
    }
  }

  /// The same tables with their columns and what identifies their rows, as the catalog has them.
  private func describedNow(
    _ plain: inout Connection
  ) throws(StreamerError) -> [DescribedRelation] {
    let major = plain.serverVersion.major
    return try DescribedRelation.read(publication: source.publication, serverMajor: major) {
      (sql) throws(StreamerError) in try ask(&plain, sql)
    }
  }

  /// The tables that `tables` selects; none for all.
  private func publishedTables(
    _ plain: inout Connection
  ) throws(StreamerError) -> [(schema: String, name: String)] {
    guard !source.tables.isEmpty else { return [] }
    var chosen: [(schema: String, name: String)] = []
    for row in try ask(&plain, Publication.candidates) {
      guard let schema = row[0], let name = row[1] else { continue }
      var isChosen = false
      for pattern in source.tables {
        let isExclusion = pattern.hasPrefix("!")
        let text = isExclusion ? String(pattern.dropFirst()) : pattern
        if TablePattern.reading(text)?.matches(schema: schema, table: name) == true {
          isChosen = !isExclusion
        }
      }
      if isChosen { chosen.append((schema, name)) }
    }
    guard !chosen.isEmpty else {
      throw StreamerError(
        what: "source \(name)", why: "no table matches `tables`",
        hint: "Name existing tables as \"schema.table\", * for any.", exit: .preflight)
    }
    return chosen
  }

  private func identify(
    _ replication: inout Connection
  ) throws(StreamerError) -> SystemIdentification {
    let row = try ask(&replication, ReplicationCommand.identifySystem).first ?? []
    guard let system = SystemIdentification(row: row) else {
      throw StreamerError(
        what: "source \(name)", why: "IDENTIFY_SYSTEM was answered with something else",
        hint: "Connect to PostgreSQL itself, not to a pooler.", exit: .preflight)
    }
    return system
  }

  func ask(
    _ connection: inout Connection, _ sql: String
  ) throws(StreamerError) -> [[String?]] {
    do throws(PGError) {
      return try connection.query(sql, timeout: timeLeft).first?.rows ?? []
    } catch { throw mapped(error) }
  }

  func mapped(_ error: PGError) -> StreamerError {
    if case .timeout = error, isStopping { return stopped }
    return StreamerError(error, source: source, name: name)
  }

  func mapped<T: ~Copyable>(
    _ body: () throws(PGError) -> T
  ) throws(StreamerError) -> T {
    do throws(PGError) { return try body() } catch { throw mapped(error) }
  }
}
