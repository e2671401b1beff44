import Glibc
import PGWire
import Support
import Testing

/// Records Fixtures/pgoutput anew from the server that is installed: `make fixtures`.
@Suite(.serialized) struct FixtureRecording {
  private static let isWanted = TestEnvironment["PSQL_STREAMER_RECORD"] != nil

  @Test(
    .enabled(if: isWanted, "make fixtures sets PSQL_STREAMER_RECORD"), .needsPostgres,
    arguments: FixtureScenario.all)
  func record(_ scenario: FixtureScenario) throws {
    let server = try PostgresServer(settings: ["wal_sender_timeout": "2s"])
    try server.psql("CREATE PUBLICATION p FOR ALL TABLES")
    if !scenario.setup.isEmpty { try server.psql(scenario.setup) }
    var recorder = Recorder(server)
    let bytes = try recorder.record(scenario)
    let fixture = Fixture(scenario: scenario.name, version: try version(of: server, scenario))
    try fixture.write(bytes, trace: MessageTrace.text(of: unsafe bytes.span.bytes))
  }

  private func version(of server: PostgresServer, _ scenario: FixtureScenario) throws -> Int {
    if case .shutdown = scenario.end { try server.start() }
    return try server.majorVersion()
  }
}

/// Keeps every byte that a server sends while it streams.
private struct Recorder {
  let server: PostgresServer
  private var bytes: [UInt8] = []

  init(_ server: PostgresServer) { self.server = server }

  mutating func record(_ scenario: FixtureScenario) throws -> [UInt8] {
    let parameters = try ConnectionParameters(ConnectionString(server.dsn()))
    var connection = try Connection.open(parameters, replication: true)
    _ = try connection.query(
      ReplicationCommand.createSlot(
        "fixture", temporary: true, serverVersion: connection.serverVersion.number))
    var options = PgOutputOptions(publications: [scenario.publication])
    options.protocolVersion = 1
    options = try options.supported(by: connection.serverVersion)
    try connection.startCopyBoth(
      ReplicationCommand.start(slot: "fixture", at: .zero, options))
    var stream = ReplicationStream(connection)
    try server.psql(scenario.sql)
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
    return bytes
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
      stream.consume(received.count)
    }
  }

  private static func copy(_ span: RawSpan) -> [UInt8] {
    unsafe span.withUnsafeBytes { unsafe Array($0) }
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
      hasError = hasError || frame.tag == .errorResponse
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
