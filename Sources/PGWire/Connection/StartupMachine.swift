/// What follows the StartupMessage, up to ReadyForQuery, without I/O (manual: "Start-up").
///
///     [v]   an older version of the protocol than asked for
///     R...  authentication
///     S*    run-time parameters
///     K     key for a CancelRequest
///     Z     ready
///
/// NoticeResponse may come at any time, ErrorResponse ends it. Servers that fail very early send
/// their error in the format of protocol 2: `E`, text, zero byte, without a length.
struct StartupMachine: Sendable {
  /// What the connection has to do next.
  enum Action: Hashable, Sendable {
    /// Receive at least that many more bytes.
    case receive(missing: Int)
    /// Send what was appended to the output.
    case send
    /// Nothing more: the server is ready.
    case ready
  }

  private(set) var authentication: PasswordAuthentication
  private(set) var parameterStatus: [String: String] = [:]
  private(set) var keyData: BackendKeyData?
  private(set) var notices: [ServerError] = []
  /// The version that is spoken: the newest of ours until the server asks for an older one.
  private(set) var version: ProtocolVersion
  private let versions: ClosedRange<ProtocolVersion>
  private var hasNegotiated = false
  private var isFirstMessage = true

  /// Begins after a StartupMessage that asked for the newest of the versions.
  init(
    _ authentication: PasswordAuthentication,
    versions: ClosedRange<ProtocolVersion> = .v3_0 ... .v3_0
  ) {
    self.authentication = authentication
    self.versions = versions
    self.version = versions.upperBound
  }

  /// Takes what it can from the window; the caller drops `consumed` bytes and acts.
  mutating func receive(
    _ window: RawSpan, into output: inout ByteWriter
  ) throws(PGError) -> (consumed: Int, action: Action) {
    var consumed = 0
    while true {
      let rest = window.extracting(consumed..<window.byteCount)
      if isFirstMessage, Self.isOldFormat(rest) {
        if let error = try oldFormatError(rest) { throw .server(error) }
        return (consumed, .receive(missing: 1))
      }
      let frame: MessageFrame
      switch try Self.scan(rest) {
      case .incomplete(let missing): return (consumed, .receive(missing: missing))
      case .complete(let found): frame = found
      }
      isFirstMessage = false
      let isReady = try take(frame.tag, rest.extracting(frame.body), into: &output)
      consumed += frame.end
      if isReady { return (consumed, .ready) }
      if output.count > 0 { return (consumed, .send) }
    }
  }

  /// The error for a connection that ends with these bytes left in the window.
  func endOfInput(_ window: RawSpan) -> PGError {
    if isFirstMessage, Self.isOldFormat(window) { return .server(Self.oldFormat(window)) }
    return .closed(.startup)
  }

  private static func scan(_ rest: RawSpan) throws(PGError) -> MessageFrame.Scan {
    let isAuthentication =
      rest.byteCount > 0 && MessageTag(rawValue: rest[0]) == .authentication
    let limit =
      isAuthentication ? ConnectionLimits.authenticationMessage : ConnectionLimits.startupMessage
    do throws(DecodingError) {
      return try MessageFrame.scan(rest, limit: limit)
    } catch {
      throw .protocol(error, phase: .startup, tag: MessageTag(rawValue: rest[0]))
    }
  }

  /// Whether this message was the last one.
  private mutating func take(
    _ tag: MessageTag, _ body: RawSpan, into output: inout ByteWriter
  ) throws(PGError) -> Bool {
    switch tag {
    case .errorResponse: throw .server(try decode(tag, body, ServerError.decode))
    case .noticeResponse: note(try decode(tag, body, ServerError.decode))
    case .authentication where !authentication.isAuthenticated:
      let request = try decode(tag, body, AuthenticationRequest.decode)
      try authentication.answer(request, into: &output)
    case .negotiateProtocolVersion where !authentication.isAuthenticated && !hasNegotiated:
      try negotiate(try decode(tag, body, NegotiateProtocolVersion.decode))
    case .parameterStatus where authentication.isAuthenticated:
      try note(try decode(tag, body, ParameterStatus.decode))
    case .backendKeyData where authentication.isAuthenticated:
      let key = try decode(tag, body, BackendKeyData.decode)
      guard key.secretKey.count == 4 || version > .v3_0 else {
        throw violation("protocol 3.0 has keys of 4 bytes only", tag)
      }
      keyData = key
    case .readyForQuery where authentication.isAuthenticated:
      _ = try decode(tag, body, ReadyForQuery.decode)
      return true
    default: throw violation("this message does not belong here", tag)
    }
    return false
  }

  private mutating func negotiate(_ answer: NegotiateProtocolVersion) throws(PGError) {
    hasNegotiated = true
    do throws(DecodingError) {
      try answer.check(asked: versions.upperBound)
    } catch {
      throw .protocol(error, phase: .startup, tag: .negotiateProtocolVersion)
    }
    guard answer.version >= versions.lowerBound else {
      throw violation(
        "the server speaks only an older protocol than min_protocol_version allows",
        .negotiateProtocolVersion)
    }
    version = answer.version
  }

  private func decode<T>(
    _ tag: MessageTag, _ body: RawSpan, _ decode: (RawSpan) throws(DecodingError) -> T
  ) throws(PGError) -> T {
    try PGError.decoding(tag, body, phase: .startup, decode)
  }

  private func violation(_ rule: StaticText, _ tag: MessageTag) -> PGError {
    .protocol(DecodingError(.violation(rule), at: 0), phase: .startup, tag: tag)
  }

  private mutating func note(_ status: ParameterStatus) throws(PGError) {
    guard parameterStatus.count < ConnectionLimits.parameterStatuses else {
      throw violation("there are too many run-time parameters", .parameterStatus)
    }
    parameterStatus[status.name] = status.value
  }

  private mutating func note(_ notice: ServerError) {
    if notices.count == ConnectionLimits.notices { notices.removeFirst() }
    notices.append(notice)
  }
}

/// Errors in the format of protocol 2.
extension StartupMachine {
  /// As libpq tells them apart: no real error is as short or as long as four letters are as a number.
  private static func isOldFormat(_ window: RawSpan) -> Bool {
    guard window.byteCount >= MessageFrame.headerSize,
      MessageTag(rawValue: window[0]) == .errorResponse
    else { return false }
    var length: UInt32 = 0
    for offset in 1...4 { length = length << 8 | UInt32(window[offset]) }
    return length < 8 || length > 30_000
  }

  /// The error of the old format if it is complete.
  private func oldFormatError(_ window: RawSpan) throws(PGError) -> ServerError? {
    for offset in 1..<window.byteCount where window[offset] == 0 {
      return Self.oldFormat(window.extracting(0..<offset))
    }
    guard window.byteCount < 30_000 else {
      throw .protocol(
        DecodingError(.unterminatedString, at: 1), phase: .startup, tag: .errorResponse)
    }
    return nil
  }

  private static func oldFormat(_ window: RawSpan) -> ServerError {
    let text = window.extracting(1..<window.byteCount).text
    var error = ServerError()
    let severity = text.prefix { $0 != ":" }
    error.severity = severity.count < text.count ? String(severity) : "FATAL"
    var message = severity.count < text.count ? text.dropFirst(severity.count + 1) : text[...]
    while let first = message.first, first.isWhitespace { message.removeFirst() }
    while let last = message.last, last.isWhitespace { message.removeLast() }
    error.message = String(message)
    return error
  }
}
