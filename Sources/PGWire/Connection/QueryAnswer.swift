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
  private var rowBytes = 0

  /// Takes one message; the caller decides by its tag what to do next.
  mutating func take(_ tag: MessageTag, _ body: RawSpan) throws(PGError) {
    switch tag {
    case .rowDescription:
      current.columns = try decode(tag, body, RowDescription.decode).fields
    case .dataRow:
      rowBytes += body.byteCount
      guard rowBytes <= ConnectionLimits.queryResult else {
        throw .protocol(
          DecodingError(.violation("the result is too large"), at: 0), phase: .query, tag: tag)
      }
      current.rows.append(try decode(tag, body, DataRow.decode).values)
    case .commandComplete:
      current.commandTag = try decode(tag, body) { body throws(DecodingError) in
        var reader = ByteReader(body)
        return try reader.string()
      }
      finishCommand()
    case .emptyQueryResponse: finishCommand()
    case .errorResponse:
      let failure = try decode(tag, body, ServerError.decode)
      error = error ?? failure
    case .noticeResponse: notices.append(try decode(tag, body, ServerError.decode))
    case .parameterStatus: statuses.append(try decode(tag, body, ParameterStatus.decode))
    case .readyForQuery, .notificationResponse: break
    case .copyInResponse, .copyOutResponse, .copyBothResponse, .copyData, .copyDone: break
    default:
      throw .protocol(
        DecodingError(.violation("this message does not belong here"), at: 0), phase: .query,
        tag: tag)
    }
  }

  private mutating func finishCommand() {
    results.append(current)
    current = QueryResult()
  }

  private func decode<T>(
    _ tag: MessageTag, _ body: RawSpan, _ decode: (RawSpan) throws(DecodingError) -> T
  ) throws(PGError) -> T {
    try PGError.decoding(tag, body, phase: .query, decode)
  }
}
