import Glibc
import Support

@testable import PGWire

/// A whole session from StartupMessage to the end of a stream: what the server says, and what a
/// client makes of it.
enum Conversation {
  /// What a client has seen of it.
  struct Transcript: Hashable, Sendable {
    var parameters: [String: String] = [:]
    var notices: [String] = []
    var processID: Int32?
    var rows: [[String?]] = []
    var trace: [String] = []
  }

  /// Notices and parameters, which may come anywhere.
  static let interruptions = Scripted.notice + Scripted.parameter("TimeZone", "UTC")

  static let welcome =
    Scripted.notice + Scripted.authenticationOk + Scripted.version + interruptions
    + Scripted.message("K", [0, 0, 0, 7, 1, 2, 3, 4]) + interruptions + Scripted.ready
  static let result = interruptions + Scripted.selectOne
  static let start = interruptions + Scripted.copyBothResponse

  /// Changes, then a keepalive that wants an answer.
  static let stream = Scripted.changes + interruptions + Scripted.keepalive(replyRequested: true)
  /// The answer was received: more changes, then the orderly end.
  static let end =
    Scripted.changes + Scripted.keepalive(replyRequested: false) + Scripted.message("c")
    + Scripted.message("C", Array("COPY 0\0".utf8)) + Scripted.ready

  /// The script without a password.
  static let script: [FaultyServer.Turn] = [
    .packet, .send(welcome), .message, .send(result), .message, .send(start), .send(stream),
    .message, .send(end),
  ]

  /// The script with SCRAM.
  static let scramScript: [FaultyServer.Turn] =
    SCRAMServer().turns(then: welcome)
    + [
      .message, .send(result), .message, .send(start), .send(stream), .message, .send(end),
    ]

  /// The phase in which a client of ``script`` is once that many bytes have come; nil at the end.
  static func phase(after count: Int) -> ConnectionPhase? {
    let ready = welcome.count
    let copying = ready + result.count + start.count
    // The client leaves at CopyDone.
    let done = copying + stream.count + end.count - Scripted.ready.count - 12
    return count < ready ? .startup : count < copying ? .query : count < done ? .copyBoth : nil
  }

  /// Holds the conversation as a client.
  static func hold(
    _ address: String, timeout: Duration = .seconds(10)
  ) throws(PGError) -> Transcript {
    var transcript = Transcript()
    var connection = try connect(address, timeout: timeout)
    transcript.processID = connection.backendProcessID
    transcript.rows = try connection.query("SELECT 1", timeout: timeout).first?.rows ?? []
    try connection.startCopyBoth("START_REPLICATION", timeout: timeout)
    transcript.parameters = connection.parameterStatus
    transcript.notices = connection.notices.map(\.description)
    var stream = ReplicationStream(connection)
    while true {
      let (consumed, isDone) = try read(stream.received, into: &transcript)
      stream.consume(consumed)
      if isDone { break }
      if transcript.trace.last?.hasSuffix("reply requested") == true, consumed > 0 {
        try stream.send(StandbyStatusUpdate(written: LSN(1), flushed: LSN(1)))
      }
      try receive(&stream, timeout: timeout)
    }
    stream.close()
    return transcript
  }

  /// What a conversation fails with; nil when it does not.
  static func failure(_ address: String, timeout: Duration = .seconds(10)) -> PGError? {
    do throws(PGError) {
      _ = try hold(address, timeout: timeout)
      return nil
    } catch {
      return error
    }
  }

  /// Opens a session; without `sslmode` in the address it is in clear.
  static func connect(
    _ address: String, timeout: Duration = .seconds(10)
  ) throws(PGError) -> Connection {
    let mode = address.contains("sslmode") ? "" : " sslmode=disable"
    let string = try ConnectionString("\(address) user=u password=p\(mode)")
    return try Connection.open(ConnectionParameters(string), timeout: timeout)
  }

  /// Reads once, waiting until something is there.
  static func receive(_ stream: inout ReplicationStream, timeout: Duration) throws(PGError) {
    if try stream.receive(now: .now) > 0 { return }
    let deadline = Deadline(after: timeout)
    var request = pollfd(fd: stream.descriptor, events: Int16(POLLIN), revents: 0)
    while true {
      let count = unsafe poll(&request, 1, deadline.pollTimeout)
      if count > 0 { return }
      if count == 0 || errno != EINTR { throw .timeout("waiting for the stream") }
    }
  }

  private static func read(
    _ window: RawSpan, into transcript: inout Transcript
  ) throws(PGError) -> (consumed: Int, isDone: Bool) {
    var consumed = 0
    while true {
      let scan = try PGError.decoding(.copyData, window, phase: .copyBoth) {
        window throws(DecodingError) in try MessageFrame.scan(window, at: consumed)
      }
      guard case .complete(let frame) = scan else { return (consumed, false) }
      let tag = frame.tag
      let line = try PGError.decoding(tag, window.extracting(frame.body), phase: .copyBoth) {
        body throws(DecodingError) in try MessageTrace.line(tag, body)
      }
      transcript.trace.append(line)
      consumed = frame.end
      if tag == .copyDone { return (consumed, true) }
    }
  }
}

extension Scripted {
  static let notice = message("N", Array("SNOTICE\0VNOTICE\0C00000\0Mby the way\0\0".utf8))

  static func parameter(_ name: String, _ value: String) -> [UInt8] {
    message("S", Array("\(name)\0\(value)\0".utf8))
  }

  static func keepalive(replyRequested: Bool) -> [UInt8] {
    var server = ServerBytes()
    server.keepalive(walEnd: LSN(0x2000), reply: replyRequested)
    return server.bytes
  }

  /// One transaction with every kind of change.
  static let changes: [UInt8] = {
    var server = ServerBytes()
    let table = Relation(
      oid: 16_384, schema: "public", name: "t", replicaIdentity: .primaryKey,
      columns: [
        Relation.Column(name: "id", isKey: true, type: 23), Relation.Column(name: "v", type: 25),
      ])
    server.begin(LSN(0x1000), xid: 700)
    server.relation(table)
    let (one, two) = ([.text("1"), .text("a")], [.text("2"), .unchanged]) as CellPair
    server.xLogData(LSN(0x900), ServerBytes.insert(16_384, one))
    server.xLogData(LSN(0x910), ServerBytes.update(16_384, old: (.key, one), two))
    server.xLogData(LSN(0x920), ServerBytes.delete(16_384, .full, [.text("2"), .null]))
    server.xLogData(LSN(0x930), ServerBytes.truncate([16_384]))
    server.xLogData(
      LSN(0x940), ServerBytes.logical(transactional: true, at: LSN(0x940), prefix: "p", [0, 1]))
    server.commit(LSN(0x1000), end: LSN(0x1010))
    return server.bytes
  }()

  private typealias CellPair = ([ServerBytes.Cell], [ServerBytes.Cell])
}
