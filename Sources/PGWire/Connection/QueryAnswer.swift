/// Collects the messages that answer a simple query, without I/O (manual: "Simple Query").
struct QueryAnswer: Sendable {
  /// The finished commands.
  private(set) var results: [QueryResult] = []
  /// The first error; those after it are consequences.
  private(set) var error: ServerError?
  /// Notices since somebody last took them.
  var notices: [ServerError] = []
  /// Run-time parameters that changed since somebody last took them.
  var statuses: [ParameterStatus] = []

  private var current = QueryResult()
  /// What the answer takes, in bytes.
  private var memory = 0
  /// Whether the current command has said which columns it returns.
  private var isDescribed = false
  /// Whether the current command copies out.
  private var isCopying = false

  /// Takes one message; the caller decides by its tag what to do next.
  mutating func take(_ tag: MessageTag, _ body: RawSpan) throws(PGError) {
    switch tag {
    case .rowDescription:
      guard !isDescribed else { throw violation("the columns are described twice", tag) }
      current.columns = try decode(tag, body, RowDescription.decode).fields
      try count(body, of: current.columns.count, tag)
      isDescribed = true
    case .dataRow: try append(try decode(tag, body, DataRow.decode), body)
    case .commandComplete:
      current.commandTag = try decode(tag, body, CommandComplete.decode).commandTag
      try count(body, of: 0, tag)
      try finishCommand(tag)
    case .emptyQueryResponse:
      try decode(tag, body, Self.finish)
      try finishCommand(tag)
    case .errorResponse:
      let failure = try decode(tag, body, ServerError.decode)
      error = error ?? failure
    case _ where Self.isSkipped(tag, body): break
    case .noticeResponse: notices.append(try decode(tag, body, ServerError.decode))
    case .parameterStatus: statuses.append(try decode(tag, body, ParameterStatus.decode))
    case .readyForQuery:
      _ = try decode(tag, body, ReadyForQuery.decode)
      guard error != nil || !isDescribed && !isCopying else {
        throw violation("the last command has not ended", tag)
      }
    case .notificationResponse: _ = try decode(tag, body, NotificationResponse.decode)
    case .copyInResponse, .copyBothResponse: _ = try decode(tag, body, CopyResponse.decode)
    case .copyOutResponse:
      _ = try decode(tag, body, CopyResponse.decode)
      isCopying = true
    case .copyData where isCopying: break
    case .copyDone where isCopying: try decode(tag, body, Self.finish)
    default: throw violation("this message does not belong here", tag)
    }
  }

  private mutating func append(_ row: DataRow, _ body: RawSpan) throws(PGError) {
    guard isDescribed else { throw violation("a row precedes its columns", .dataRow) }
    guard row.values.count == current.columns.count else {
      throw violation("a row has another number of columns than was said", .dataRow)
    }
    try count(body, of: row.values.count, .dataRow)
    current.rows.append(row.values)
  }

  /// What says nothing that the answer needs is not kept when it is that long.
  private static func isSkipped(_ tag: MessageTag, _ body: RawSpan) -> Bool {
    (tag == .noticeResponse || tag == .parameterStatus)
      && body.byteCount > ConnectionLimits.keptText
  }

  /// Counts what is kept of a message with that many values; many small ones take memory too.
  private mutating func count(
    _ body: RawSpan, of values: Int, _ tag: MessageTag
  ) throws(PGError) {
    memory +=
      body.byteCount + ConnectionLimits.rowOverhead + values * ConnectionLimits.valueOverhead
    guard memory <= ConnectionLimits.queryResult else {
      throw violation("the result is too large", tag)
    }
  }

  private mutating func finishCommand(_ tag: MessageTag) throws(PGError) {
    guard results.count < ConnectionLimits.queryCommands else {
      throw violation("there are too many results", tag)
    }
    results.append(current)
    current = QueryResult()
    isDescribed = false
    isCopying = false
  }

  /// For messages without a body.
  private static func finish(_ body: RawSpan) throws(DecodingError) {
    try ByteReader(body).finish()
  }

  private func violation(_ rule: StaticText, _ tag: MessageTag) -> PGError {
    .protocol(DecodingError(.violation(rule), at: 0), phase: .query, tag: tag)
  }

  private func decode<T>(
    _ tag: MessageTag, _ body: RawSpan, _ decode: (RawSpan) throws(DecodingError) -> T
  ) throws(PGError) -> T {
    try PGError.decoding(tag, body, phase: .query, decode)
  }
}
