import PGWire
import Recording

/// Connects a pipeline to its server: checks, publication, slot, positions, START_REPLICATION, and
/// later the look-ups and saves. Everything here may block and runs on the I/O worker alone.
// SAFETY: only the pipeline's one I/O worker thread calls its methods, one after the other.
final class PostgresSession: @unchecked Sendable {
  let plan: PipelinePlan
  let source: PostgresSourceConfiguration
  let store: any SourceStore
  let log: Log
  private var catalog: TableCatalog?
  /// How to reach the server that the stream comes from, without its fellows in `dsn`.
  private var here: ConnectionParameters?
  /// Whether the stream's values come in binary.
  private var isBinary = false

  init(_ plan: PipelinePlan, store: any SourceStore, log: Log) {
    self.plan = plan
    self.source = plan.source
    self.store = store
    self.log = log
  }

  /// Opens the sinks that are not open, and starts a stream at the least position of all sinks.
  ///
  /// `resume` are the positions that the pipeline has confirmed in this process, nil at its start;
  /// `known` is the history they belong to. Without `streams` every transaction comes whole,
  /// with `binary` values come in binary.
  func establish(
    opening: SinkList, all: SinkList, resume: [LSN]?, known: PositionIdentity?, streams: Bool,
    binary: Bool
  ) -> Result<EstablishedSession, StreamerError> {
    do {
      for sink in opening.sinks { try sink.open() }
      var messageTopics: [TopicID?] = []
      for (sink, plan) in zip(all.sinks, plan.sinks) {
        if let topic = plan.messageTopic {
          messageTopics.append(try sink.prepare(topic: topic))
        } else {
          messageTopics.append(nil)
        }
      }
      isBinary = binary
      let session = try connect(
        resume: resume, known: known, streams: streams, messageTopics: messageTopics)
      return .success(session)
    } catch {
      catalog?.disconnect()
      return .failure(error)
    }
  }

  /// Saves positions; says what went wrong.
  func save(_ positions: [Position]) -> StreamerError? {
    do {
      try store.save(positions)
      return nil
    } catch { return error }
  }

  /// Looks up what rows of a table need.
  func lookUp(
    _ request: TableRequest, sinks: SinkList
  ) -> Result<TableAnswer, StreamerError> {
    do throws(StreamerError) {
      guard let catalog else { preconditionFailure("a table was described before a connection") }
      let types = try mapped { () throws(PGError) in try catalog.types(of: request.relation) }
      let columns = try catalog.key(of: request.relation, at: nil).mapError(mapped).get()
      var topics: [TopicID?] = []
      for (sink, topic) in zip(sinks.sinks, request.topics) {
        guard let topic else {
          topics.append(nil)
          continue
        }
        topics.append(try sink.prepare(topic: topic))
      }
      var answer = TableAnswer(catalogKey: columns, types: types, topics: topics)
      if isBinary { answer.binary = try binaryRow(request.relation, types, catalog) }
      return .success(answer)
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
        what: "source \(plan.name)",
        why: "column \(column.name) of \(relation.schema).\(relation.name) has type "
          + "\(column.type), whose binary form cannot be read",
        hint: StreamerError.textInstead, retryable: true, cause: .binaryUnreadable)
    }
  }

  /// The slot as the server shows it now; nil when it cannot be asked.
  func slot() -> ReplicationSlot? {
    do throws(PGError) { return try catalog?.slot(named: source.replicationSlot) } catch {
      catalog?.disconnect()
      return nil
    }
  }

  /// Lets go of the connection for look-ups.
  func close() { catalog?.disconnect() }

  // MARK: - Steps

  private func connect(
    resume: [LSN]?, known: PositionIdentity?, streams: Bool, messageTopics: [TopicID?]
  ) throws(StreamerError) -> EstablishedSession {
    let parameters = try mapped { () throws(PGError) in
      try ConnectionParameters(
        ConnectionString(source.dsn.revealed),
        environment: ConnectionParameters.processEnvironment())
    }
    var plain = try mapped { () throws(PGError) in try open(parameters, replication: false) }
    // Everything else must be asked of this very server: another host may be another one.
    let here = parameters.only(plain.reachedHost)
    if self.here?.hosts != here.hosts { catalog?.disconnect() }
    self.here = here
    let server = try ServerFacts(asking: &plain, source: source, name: plan.name)
    try preparePublication(&plain, server)
    let version = server.version
    catalog = catalog ?? makeCatalog(parameters, version)

    var replication = try mapped { () throws(PGError) in
      try open(here, replication: true, server: version)
    }
    let system = try identify(&replication)
    let identity = PositionIdentity(
      source: plan.name, systemIdentifier: system.systemIdentifier, timeline: system.timeline,
      database: parameters.database, slot: source.replicationSlot,
      publications: [source.publication])
    catalog?.origin = identity.origin
    if let known, known != identity {
      throw StreamerError(
        what: "source \(plan.name)",
        why: "the server's history changed from timeline \(known.timeline) of "
          + "\(known.systemIdentifier) to \(identity.timeline) of \(identity.systemIdentifier)",
        hint: "Positions are compared anew.", retryable: true, cause: .historyChanged)
    }
    let slot = try prepareSlot(&plain, &replication, server, database: parameters.database)
    let positions: [LSN]
    if let resume {
      positions = resume
    } else {
      positions = try begin(&replication, identity, slot: slot, system: system)
    }
    let start = positions.min() ?? slot
    var options = source.output
    let command = try mapped { () throws(PGError) in
      options = try source.output.supported(by: server.version)
      if !streams { options.streaming = .off }
      options.binary = isBinary
      let command = ReplicationCommand.start(slot: source.replicationSlot, at: start, options)
      try replication.startCopyBoth(command)
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
      start: start, streams: options.streaming != .off, positions: positions,
      messageTopics: messageTopics,
      statusInterval: server.statusInterval, recorded: recorded)
  }
}

extension PostgresSession {
  private func open(
    _ parameters: ConnectionParameters, replication: Bool, server: ServerVersion? = nil
  ) throws(PGError) -> Connection {
    try Connection.open(
      parameters, startup: SessionSettings.startup(for: server), replication: replication,
      timeout: source.timeout)
  }

  private func makeCatalog(
    _ parameters: ConnectionParameters, _ server: ServerVersion
  ) -> TableCatalog {
    TableCatalog(memory: store, serverMajor: server.major) {
      [unowned self] () throws(PGError) in
      try open(here ?? parameters, replication: false, server: server)
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
        what: "source \(plan.name)", why: "publication \"\(source.publication)\" does not exist",
        hint: "CREATE PUBLICATION \(source.publication) FOR ALL TABLES; or set "
          + "createPublication = true.", exit: .preflight)
    }
    let tables = try publishedTables(&plain)
    _ = try ask(&plain, Publication.create(source.publication, tables: tables))
    log.info("created a publication", ["publication": source.publication])
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
        if TablePattern(text)?.matches(schema: schema, table: name) == true {
          isChosen = !isExclusion
        }
      }
      if isChosen { chosen.append((schema, name)) }
    }
    guard !chosen.isEmpty else {
      throw StreamerError(
        what: "source \(plan.name)", why: "no table matches `tables`",
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
        what: "source \(plan.name)", why: "IDENTIFY_SYSTEM was answered with something else",
        hint: "Connect to PostgreSQL itself, not to a pooler.", exit: .preflight)
    }
    return system
  }

  /// Decides where reading begins in this process, and stores what was decided.
  private func begin(
    _ replication: inout Connection, _ identity: PositionIdentity, slot: LSN,
    system: SystemIdentification
  ) throws(StreamerError) -> [LSN] {
    let stored = try store.load(source: plan.name)
    let sinks = plan.sinks.map(\.name)
    for position in stored where !sinks.contains(position.sink) {
      log.warning("forgetting the position of a sink that was removed", ["sink": position.sink])
      try store.forget(source: plan.name, sink: position.sink)
    }
    var override = source.walPositionOverride
    if let value = override, try store.appliedOverride(source: plan.name) == value {
      override = nil
    }
    let needsHistory = stored.contains { $0.timeline != identity.timeline }
    let start = StartingPositions(
      stored: stored, identity: identity, slotConfirmed: slot,
      serverLSN: max(system.flushLSN, slot),
      timelineSwitch: needsHistory ? try timelineSwitch(&replication, system.timeline) : nil,
      override: override, onGap: source.onGap)
    let decision = try start.decide(sinks: sinks)
    let positions = zip(sinks, decision.positions).map { identity.position(sink: $0, lsn: $1) }
    if let override {
      try store.applyOverride(override, source: plan.name, positions: positions)
      log.info("applied walPositionOverride", ["lsn": "\(override)"])
    }
    if let gap = decision.acceptedGap {
      try store.save(positions)
      log.warning("going on over a gap", ["cause": gap])
    }
    return decision.positions
  }

  /// Where the current timeline left the one before: the last line of its history file.
  private func timelineSwitch(
    _ replication: inout Connection, _ timeline: UInt32
  ) throws(StreamerError) -> (from: UInt32, at: LSN)? {
    guard timeline > 1 else { return nil }
    let row = try ask(&replication, "TIMELINE_HISTORY \(timeline)").first ?? []
    guard row.count > 1, let content = row[1] else { return nil }
    let lines = content.split(whereSeparator: \.isNewline).filter { !$0.hasPrefix("#") }
    guard let fields = lines.last?.split(whereSeparator: \.isWhitespace), fields.count >= 2,
      let from = UInt32(fields[0]), let at = LSN(String(fields[1]))
    else { return nil }
    return (from, at)
  }

  func ask(
    _ connection: inout Connection, _ sql: String
  ) throws(StreamerError) -> [[String?]] {
    do throws(PGError) {
      return try connection.query(sql).first?.rows ?? []
    } catch { throw mapped(error) }
  }

  func mapped(_ error: PGError) -> StreamerError {
    StreamerError(error, source: source, name: plan.name)
  }

  func mapped<T: ~Copyable>(
    _ body: () throws(PGError) -> T
  ) throws(StreamerError) -> T {
    do throws(PGError) { return try body() } catch { throw mapped(error) }
  }
}
