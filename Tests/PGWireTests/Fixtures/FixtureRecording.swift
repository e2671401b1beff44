import Glibc
import PGWire
import Recording
import Support
import Testing

/// Records Fixtures/pgoutput anew from every server that is installed: `make fixtures`.
@Suite(.serialized) struct FixtureRecording {
  /// "1" for all, or the end of a name: "18", "types.18".
  private static let wanted = TestEnvironment["PSQL_STREAMER_RECORD"]

  /// The versions that fixtures are recorded of.
  static let versions = [13, 15, 16, 17, 18]

  @Test(
    .enabled(if: wanted != nil, "make fixtures sets PSQL_STREAMER_RECORD"), .needsPostgres,
    arguments: versions, FixtureScenario.all)
  func record(_ version: Int, _ scenario: FixtureScenario) throws {
    let name = "\(scenario.name).\(version)"
    guard let wanted = Self.wanted, wanted == "1" || name.hasSuffix(wanted) else { return }
    guard version >= scenario.since, PostgresPrograms.installed[version] != nil else {
      let reason = version < scenario.since ? "it has no such thing" : "it is not installed"
      return printToStandardError("not recorded: \(name): \(reason)")
    }
    let server = try PostgresServer(
      settings: FixtureScenario.settings(for: version), version: version)
    try server.psql("CREATE PUBLICATION p FOR ALL TABLES")
    if !scenario.setup.isEmpty { try server.psql(scenario.setup) }
    var recorder = FixtureRecorder(server, version)
    try recorder.record(scenario)
    if case .shutdown = scenario.end { try server.start() }
    try Fixture(scenario: scenario.name, version: version).write(
      recording: try recorder.recording(),
      trace: MessageTrace.text(of: unsafe recorder.bytes.span.bytes))
  }
}

/// Keeps every byte that a server sends while it streams, and makes a recording of it.
private struct FixtureRecorder {
  private(set) var bytes: [UInt8] = []
  private let server: PostgresServer
  private let version: Int
  private var pieces: [(time: ContinuousClock.Instant, count: Int)] = []
  private let start = ContinuousClock.now
  private var header: RecordingHeader?
  private var connection: RecordedConnection?

  init(_ server: PostgresServer, _ version: Int) {
    self.server = server
    self.version = version
  }

  mutating func record(_ scenario: FixtureScenario) throws {
    var stream = try connect(scenario)
    if let overlapping = scenario.overlapping { try overlapping(server) }
    try server.psql(FixtureScenario.sql(scenario.sql, for: version))
    switch scenario.end {
    case .caughtUp:
      let target = try position()
      try read(&stream, asking: true) { $0.walEnd >= target }
      stream.close()
    case .asked:
      try read(&stream, asking: false) { $0.isReplyRequested }
      stream.close()
    case .error:
      try read(&stream, asking: false) { $0.hasError }
      stream.close()
    case .shutdown:
      let target = try position()
      try read(&stream, asking: true) { $0.walEnd >= target }
      // The server waits until a walsender's client has confirmed all, so the stop has to run
      // beside the reading.
      let stop = try server.beginStop()
      try read(&stream, asking: true) { $0.hasEnded }
      try stop.wait()
    }
  }

  private mutating func connect(_ scenario: FixtureScenario) throws -> ReplicationStream {
    let parameters = try ConnectionParameters(ConnectionString(server.dsn()))
    var connection = try Connection.open(parameters, replication: true)
    let row = try connection.query(ReplicationCommand.identifySystem).first?.rows.first
    let system = try #require(SystemIdentification(row: row ?? []))
    _ = try connection.query(
      ReplicationCommand.createSlot(
        "fixture", temporary: true, serverVersion: connection.serverVersion.number))
    var options = PgOutputOptions(publications: [scenario.publication])
    options.protocolVersion = 1
    scenario.options(&options)
    options = try options.supported(by: connection.serverVersion)
    let command = ReplicationCommand.start(slot: "fixture", at: .zero, options)
    try connection.startCopyBoth(command)
    var now = timespec()
    _ = unsafe clock_gettime(CLOCK_REALTIME, &now)
    header = RecordingHeader(
      program: "make fixtures", startTime: Int64(now.tv_sec - 946_684_800) * 1_000_000,
      systemIdentifier: system.systemIdentifier, database: "postgres", slot: "fixture",
      publications: [scenario.publication])
    self.connection = RecordedConnection(
      serverVersion: connection.parameterStatus["server_version"] ?? "",
      timeline: system.timeline, host: "127.0.0.1", startLSN: .zero, command: command,
      parameters: connection.parameterStatus.sorted { $0.key < $1.key }
        .map { RecordedConnection.Parameter(name: $0.key, value: $0.value) })
    return ReplicationStream(connection)
  }

  private func position() throws -> LSN {
    // What was rolled back is not flushed by itself.
    try server.psql("CHECKPOINT")
    return try #require(LSN(try server.psql("SELECT pg_current_wal_flush_lsn()")))
  }

  /// Reads until what was received satisfies `isDone`; `asking` confirms everything and asks for
  /// keepalives, which an unasked server sends rarely.
  private mutating func read(
    _ stream: inout ReplicationStream, asking: Bool, until isDone: (Progress) -> Bool
  ) throws {
    let deadline = ContinuousClock.now + .seconds(30)
    while true {
      let progress = try Progress(bytes)
      if isDone(progress) { return }
      guard ContinuousClock.now < deadline else {
        throw SupportError("the server did not send what the scenario waits for")
      }
      if asking {
        try stream.send(
          StandbyStatusUpdate(
            written: progress.walEnd, flushed: progress.walEnd, replyRequested: true))
      }
      var entry = pollfd(fd: stream.descriptor, events: Int16(POLLIN), revents: 0)
      guard unsafe poll(&entry, 1, 200) > 0 else { continue }
      _ = try stream.receive(now: .now)
      let received = Self.copy(stream.received)
      bytes += received
      pieces.append((.now, received.count))
      stream.consume(received.count)
    }
  }

  private static func copy(_ span: RawSpan) -> [UInt8] {
    unsafe span.withUnsafeBytes { unsafe Array($0) }
  }

  // MARK: - The recording

  /// The file's bytes, stored plainly, with what the catalog says of each table now.
  func recording() throws -> [UInt8] {
    var encoder = RecordingEncoder(try #require(header), compression: .none, now: start)
    encoder.connected(try #require(connection), now: start)
    var relations = try describedRelations()[...]
    var offset = 0
    for piece in pieces {
      let end = offset + piece.count
      while let next = relations.first, next.offset < end {
        encoder.received(Array(bytes[offset..<max(offset, next.offset)]), now: piece.time)
        offset = max(offset, next.offset)
        try encoder.relation(next.relation, now: piece.time)
        relations.removeFirst()
      }
      encoder.received(Array(bytes[offset..<end]), now: piece.time)
      offset = end
    }
    encoder.disconnected("the scenario is over", now: pieces.last?.time ?? start)
    let frames = try Fixture(scenario: "", version: version).frames(bytes)
    encoder.end(
      messages: frames.count, transactions: try commits(frames), now: pieces.last?.time ?? start)
    return Self.copy(encoder.output)
  }

  /// Where the Relation messages begin, with the catalog's answers.
  private func describedRelations() throws -> [(offset: Int, relation: RecordedRelation)] {
    var found: [(offset: Int, relation: RecordedRelation)] = []
    var catalog = FixtureCatalog(server)
    var decoder = PgOutputDecoder()
    for frame in try Fixture(scenario: "", version: version).frames(bytes)
    where frame.tag == .copyData {
      let body = Array(bytes[frame.body])
      guard case .xLogData(_, _, let payload) = try ReplicationMessage(unsafe body.span.bytes),
        case .relation(let relation) = try decoder.decode(payload)
      else { continue }
      found.append(
        (frame.body.lowerBound - MessageFrame.headerSize, try catalog.describe(relation)))
    }
    return found
  }

  private func commits(_ frames: [MessageFrame]) throws -> Int {
    frames.count { frame in
      frame.tag == .copyData && frame.body.count > 25 && bytes[frame.body.lowerBound] == 0x77
        && "CcPp".utf8.contains(bytes[frame.body.lowerBound + 25])
    }
  }
}

extension RecordingEncoder {
  fileprivate mutating func received(_ bytes: [UInt8], now: ContinuousClock.Instant) {
    received(unsafe bytes.span.bytes, now: now)
  }
}

/// Asks a server's catalog as a pipeline does.
private struct FixtureCatalog {
  let server: PostgresServer
  private var types = TypeCatalog()

  init(_ server: PostgresServer) { self.server = server }

  mutating func describe(_ relation: Relation) throws -> RecordedRelation {
    var connection = try Connection.open(
      try ConnectionParameters(ConnectionString(server.dsn())))
    let oids = relation.columns.map(\.type)
    let missing = types.missing(for: oids)
    if !missing.isEmpty {
      let text = TypeCatalogQuery.text(for: missing, serverMajor: connection.serverVersion.major)
      types.learn(try TypeCatalogQuery.descriptions(of: connection.query(text).first?.rows ?? []))
    }
    var key: [String] = []
    if relation.replicaIdentity == .full || relation.replicaIdentity == .nothing {
      let rows = try connection.query(
        """
        SELECT a.attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid
        AND a.attnum = ANY (i.indkey) WHERE i.indrelid = \(relation.oid) AND i.indisprimary
        ORDER BY a.attnum
        """
      ).first?.rows
      key = (rows ?? []).compactMap { $0.first ?? nil }
    }
    connection.close()
    return RecordedRelation(
      relation: relation, catalogKey: key, types: types.learned(for: oids))
  }
}

/// What the messages received so far say.
private struct Progress {
  private(set) var walEnd = LSN.zero
  private(set) var isReplyRequested = false
  private(set) var hasError = false
  private(set) var hasEnded = false

  init(_ bytes: [UInt8]) throws {
    let window = unsafe bytes.span.bytes
    var offset = 0
    while case .complete(let frame) = try MessageFrame.scan(window, at: offset) {
      offset = frame.end
      hasError = hasError || frame.tag == .errorResponse || frame.tag == .noticeResponse
      hasEnded = hasEnded || frame.tag == .copyDone || frame.tag == .commandComplete
      guard frame.tag == .copyData else { continue }
      if case .keepalive(let end, _, let reply) = try ReplicationMessage(
        window.extracting(frame.body))
      {
        walEnd = max(walEnd, end)
        isReplyRequested = isReplyRequested || reply
      }
    }
  }
}
