import Glibc
import PGWire
import Support

/// A stream of a temporary slot, as the plugin's bare messages.
///
/// The checks look at tags and bytes, not at what the client's decoder makes of them.
struct StreamTap: ~Copyable {
  private var stream: ReplicationStream
  /// The plugin's messages.
  private(set) var payloads: [[UInt8]] = []
  /// The first error within the stream.
  private(set) var error: ServerError?
  /// The notices within the stream.
  private(set) var notices: [ServerError] = []
  private var walEnd = LSN.zero
  private var buffer: [UInt8] = []

  /// Creates a temporary slot and starts streaming from it with the options as given.
  ///
  /// - Throws: `PGError` with what the server refuses.
  init(
    _ server: MatrixServer, _ options: [(name: String, value: String)], twoPhase: Bool = false,
    startup: [(name: String, value: String)] = []
  ) throws {
    var connection = try server.open(startup: startup)
    _ = try connection.query(
      ReplicationCommand.createSlot(
        "tap_\(connection.backendProcessID ?? 0)", temporary: true, twoPhase: twoPhase,
        serverVersion: server.version.number))
    let list = options.map { "\($0.name) \(ReplicationCommand.literal($0.value))" }
      .joined(separator: ", ")
    try connection.startCopyBoth(
      "START_REPLICATION SLOT tap_\(connection.backendProcessID ?? 0) LOGICAL 0/0 (\(list))")
    stream = ReplicationStream(connection)
  }

  /// Starts a stream and stops it; version 10 refuses options only after it has begun.
  ///
  /// - Throws: `PGError` with what the server refuses.
  static func attempt(
    _ server: MatrixServer, _ options: [(name: String, value: String)], twoPhase: Bool = false
  ) throws {
    var tap = try StreamTap(server, options, twoPhase: twoPhase)
    try tap.read("an answer to a status update") { $0.walEnd > .zero }
    let error = tap.error
    tap.close()
    if let error { throw PGError.server(error) }
  }

  /// The options of the first protocol, with more.
  static func options(
    _ publication: String, version: Int = 1, _ more: [(name: String, value: String)] = []
  ) -> [(name: String, value: String)] {
    [("proto_version", "\(version)"), ("publication_names", publication)] + more
  }

  /// The tags so far, without transactions that are empty.
  var tags: String { everyTag.split("BC").joined() }

  /// The tags so far.
  var everyTag: String {
    String(String.UnicodeScalarView(payloads.compactMap { $0.first.map { Unicode.Scalar($0) } }))
  }

  /// The messages with this tag.
  func messages(_ tag: Unicode.Scalar) -> [[UInt8]] {
    payloads.filter { $0.first == UInt8(ascii: tag) }
  }

  /// Reads until `isDone`, or the server reports an error.
  mutating func read(_ what: String, until isDone: (borrowing StreamTap) -> Bool) throws {
    let deadline = ContinuousClock.now + .seconds(30)
    // What came with the answer to the start is there already.
    try take()
    while !isDone(self), error == nil {
      guard ContinuousClock.now < deadline else {
        throw SupportError("\(what) did not come; there are \(everyTag)")
      }
      try stream.send(
        StandbyStatusUpdate(written: walEnd, flushed: walEnd, replyRequested: true))
      var entry = pollfd(fd: stream.descriptor, events: Int16(POLLIN), revents: 0)
      guard unsafe poll(&entry, 1, 50) > 0 else { continue }
      _ = try stream.receive(now: .now)
      try take()
    }
  }

  consuming func close() { stream.close() }

  private mutating func take() throws {
    let count = stream.received.byteCount
    buffer += Self.copy(stream.received)
    stream.consume(count)
    var messages: [(tag: MessageTag, body: [UInt8])] = []
    var offset = 0
    while case .complete(let frame) = try MessageFrame.scan(unsafe buffer.span.bytes, at: offset) {
      messages.append((frame.tag, Array(buffer[frame.body])))
      offset = frame.end
    }
    buffer.removeFirst(offset)
    for message in messages { try take(message.tag, message.body) }
  }

  private mutating func take(_ tag: MessageTag, _ body: [UInt8]) throws {
    switch tag {
    case .errorResponse:
      let failure = try ServerError.decode(unsafe body.span.bytes)
      error = error ?? failure
    case .noticeResponse: notices.append(try ServerError.decode(unsafe body.span.bytes))
    case .copyData:
      switch try ReplicationMessage(unsafe body.span.bytes) {
      case .xLogData(_, _, let payload): payloads.append(Self.copy(payload))
      case .keepalive(let position, _, _): walEnd = position
      }
    default: break
    }
  }

  private static func copy(_ span: RawSpan) -> [UInt8] {
    unsafe span.withUnsafeBytes { unsafe Array($0) }
  }
}

extension String {
  /// The pieces between a separator of several characters.
  fileprivate func split(_ separator: String) -> [Substring] { split(separator: separator) }
}
