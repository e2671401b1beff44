/// A session with a PostgreSQL server, ready for simple queries.
///
/// Its calls block until a deadline, so they belong on a thread that may block. For streaming it is
/// taken apart with ``intoParts()`` after ``startCopyBoth(_:timeout:)``. Over TLS the program must
/// ignore SIGPIPE.
public struct Connection: ~Copyable {
  /// What a connection is made of, for whoever goes on with the bare byte stream.
  ///
  /// It stays inside the module: public stored properties of noncopyable types crash the optimizer
  /// of Swift 6.3.1 (their setters are inlined across resilience).
  struct Parts: ~Copyable {
    /// The byte stream.
    var transport: Transport
    /// Bytes received and not read yet.
    var input: InputBuffer
    /// The run-time parameters as the server last reported them.
    let parameterStatus: [String: String]
    /// The server's version.
    let serverVersion: ServerVersion
  }

  var transport: Transport
  var input: InputBuffer
  /// Whether the byte stream can no longer be trusted to be at a message's start.
  var isBroken = false
  /// The rows that are being read; see ``startRows(_:timeout:)``.
  var rows: ComingRows?

  /// The run-time parameters as the server last reported them, such as `server_version`.
  public private(set) var parameterStatus: [String: String]
  /// The server's version.
  public let serverVersion: ServerVersion
  /// The version of the protocol that is spoken.
  public let protocolVersion: ProtocolVersion
  /// Cancels what this session is doing, from any thread; nil when the server gave no key.
  public let cancelRequest: CancelRequest?
  /// Ends every wait for an answer.
  let interruption: WaitBreaker?
  let keyData: BackendKeyData?
  /// The last notices of the server, 16 at most.
  public private(set) var notices: [ServerError]
  /// The host that was reached, as configured.
  public let host: ConnectionParameters.Host
  /// The same with the address that was reached, for ``ConnectionParameters/only(_:)``.
  ///
  /// Further connections then go to this very server.
  public let reachedHost: ConnectionParameters.Host

  /// Takes over a stream whose startup is done.
  init(
    _ transport: consuming Transport, _ input: consuming InputBuffer, _ startup: StartupMachine,
    endpoint: ServerEndpoint, cancelRequest: CancelRequest?, interruption: WaitBreaker?,
    notices: [ServerError]
  ) throws(PGError) {
    let text = startup.parameterStatus["server_version"] ?? ""
    guard let version = ServerVersion(text) else {
      throw .protocol(
        DecodingError(.violation("server_version is missing or no version"), at: 0),
        phase: .startup, tag: .parameterStatus)
    }
    self.serverVersion = version
    self.transport = transport
    self.input = input
    self.parameterStatus = startup.parameterStatus
    self.keyData = startup.keyData
    self.protocolVersion = startup.version
    self.cancelRequest = cancelRequest
    self.interruption = interruption
    self.notices = notices + startup.notices
    self.host = endpoint.host
    var reached = endpoint.host
    reached.address = endpoint.address.numeric ?? reached.address
    self.reachedHost = reached
  }

  /// The server process of this session; nil when the server did not say.
  public var backendProcessID: Int32? { keyData?.processID }

  /// Whether TLS is on.
  public var isEncrypted: Bool { transport.isEncrypted }

  /// Runs one or more SQL commands and returns what each of them returned.
  ///
  /// `timeout` bounds the wait for the whole answer. Throws ``PGError/server(_:)`` when the server
  /// reports an error, after which the connection can be used again unless the error was fatal.
  /// What is not answered in time is cancelled on the server as well, and the connection is over.
  public mutating func query(
    _ sql: String, timeout: Duration = .seconds(60)
  ) throws(PGError) -> [QueryResult] {
    try query(sql, until: Deadline(after: timeout, interruption))
  }

  /// The same, with no timeout when that is nil; each time that nothing has come for `patience`,
  /// `whileWaiting` is called.
  public mutating func query(
    _ sql: String, timeout: Duration?, patience: Duration, whileWaiting: () -> Void
  ) throws(PGError) -> [QueryResult] {
    let deadline = Deadline(after: timeout, interruption)
    try send(sql, until: deadline)
    do throws(PGError) {
      while !(try transport.wait(orToWrite: false, until: deadline.earlier(after: patience))),
        !deadline.hasPassed
      {
        whileWaiting()
      }
    } catch {
      isBroken = true
      throw error
    }
    return try answer(until: deadline)
  }

  /// The same with a deadline that is shared with others.
  mutating func query(
    _ sql: String, until deadline: Deadline
  ) throws(PGError) -> [QueryResult] {
    try send(sql, until: deadline)
    return try answer(until: deadline)
  }

  private mutating func answer(until deadline: Deadline) throws(PGError) -> [QueryResult] {
    var answer = QueryAnswer()
    while true {
      let tag = try receive(into: &answer, until: deadline)
      switch tag {
      case .readyForQuery:
        if let error = answer.error { throw .server(error) }
        return answer.results
      case .copyInResponse:
        var refusal = ByteWriter()
        FrontendMessage.copyFail("this client has nothing to copy", into: &refusal)
        try write(refusal.bytes, until: deadline)
      case .copyBothResponse:
        isBroken = true
        throw violation("a query has started replication", tag)
      default: break
      }
    }
  }

  /// Sends a command that starts copying in both directions and waits until the server does.
  ///
  /// Throws ``PGError/server(_:)`` when the server refuses. PostgreSQL 10 reports some errors only
  /// after it has begun: those arrive as ErrorResponse within the stream.
  public mutating func startCopyBoth(
    _ command: String, timeout: Duration = .seconds(60)
  ) throws(PGError) {
    let deadline = Deadline(after: timeout, interruption)
    try send(command, until: deadline)
    var answer = QueryAnswer()
    while true {
      let tag = try receive(into: &answer, until: deadline)
      switch tag {
      case .copyBothResponse:
        transport.phase = .copyBoth
        return
      case .readyForQuery:
        if let error = answer.error { throw .server(error) }
        throw violation("the command did not start replication", tag)
      case .copyInResponse:
        isBroken = true
        throw violation("the command did not start replication", tag)
      default: break
      }
    }
  }

  /// Gives up the session's shell for the bare stream.
  consuming func intoParts() -> Parts {
    Parts(
      transport: transport, input: input, parameterStatus: parameterStatus,
      serverVersion: serverVersion)
  }

  /// Says good-bye and closes; a server that is gone already is no error.
  public consuming func close() {
    guard !isBroken else { return }
    var farewell = ByteWriter(capacity: 8)
    FrontendMessage.terminate(into: &farewell)
    // What does not go into the socket at once is not worth waiting for.
    _ = try? transport.write(farewell.bytes)
    transport.shutDown()
  }
}

/// The conversation of a query.
extension Connection {
  mutating func send(_ sql: String, until deadline: Deadline) throws(PGError) {
    guard !isBroken, rows == nil else { throw .closed(.query) }
    guard !sql.utf8.contains(0) else {
      throw .protocol(
        DecodingError(.violation("a query holds a zero byte"), at: 0), phase: .query, tag: nil)
    }
    var message = ByteWriter(capacity: sql.utf8.count + 6)
    FrontendMessage.query(sql, into: &message)
    try write(message.bytes, until: deadline)
  }

  private mutating func write(_ bytes: RawSpan, until deadline: Deadline) throws(PGError) {
    do throws(PGError) {
      try transport.writeAll(bytes, until: deadline, what: "sending a query")
    } catch {
      isBroken = true
      throw error
    }
  }

  /// Receives one message and puts it where it belongs.
  mutating func receive(
    into answer: inout QueryAnswer, until deadline: Deadline
  ) throws(PGError) -> MessageTag {
    do throws(PGError) {
      while true {
        switch try Self.scan(input.readable) {
        case .incomplete(let missing):
          let isOpen = try transport.receive(
            missing, into: &input, until: deadline, what: Self.unanswered)
          guard isOpen else { throw answer.error.map { .server($0) } ?? .closed(.query) }
        case .complete(let frame):
          try answer.take(frame.tag, input.readable.extracting(frame.body))
          input.consume(frame.end)
          note(&answer)
          return frame.tag
        }
      }
    } catch {
      // After anything but the server's own error, what comes next in the stream is unknown; and
      // that error is thrown from here only when the server has closed the connection.
      isBroken = true
      // Nobody waits for it any more, and a lock or a half-made slot must not outlive us.
      if case .timeout = error { try? cancelRequest?.send(timeout: ConnectionLimits.cancelling) }
      throw error
    }
  }

  static let unanswered = "waiting for a query's answer"

  static func scan(
    _ window: RawSpan, limit: Int = ConnectionLimits.queryMessage
  ) throws(PGError) -> MessageFrame.Scan {
    do throws(DecodingError) {
      return try MessageFrame.scan(window, limit: limit)
    } catch {
      throw .protocol(error, phase: .query, tag: MessageTag(rawValue: window[0]))
    }
  }

  mutating func note(_ answer: inout QueryAnswer) {
    for status in answer.statuses
    where parameterStatus.count < ConnectionLimits.parameterStatuses {
      parameterStatus[status.name] = status.value
    }
    answer.statuses.removeAll()
    notices = (notices + answer.notices).suffix(ConnectionLimits.notices)
    answer.notices.removeAll()
  }

  private func violation(_ rule: StaticText, _ tag: MessageTag) -> PGError {
    .protocol(DecodingError(.violation(rule), at: 0), phase: .query, tag: tag)
  }
}

extension PGError {
  /// Whether a query was not answered in time.
  public var isUnanswered: Bool { self == .timeout(Connection.unanswered) }
}
