/// Writes what a server sent as text, one message a line, as libpq's PQtrace does.
///
/// For people and for tests: it decodes every field and allocates as it likes. Texts stand in
/// quotes, bytes that are no UTF-8 as `x"00ff"`; times are the wire's microseconds since 2000.
public enum MessageTrace {
  /// All messages of a stream, each line with its newline.
  ///
  /// Throws ``DecodingError`` for what is malformed or cut off.
  public static func text(of window: RawSpan) throws(DecodingError) -> String {
    var text = ""
    var offset = 0
    var decoder = PgOutputDecoder()
    while offset < window.byteCount {
      switch try MessageFrame.scan(window, at: offset) {
      case .incomplete(let missing):
        throw DecodingError(
          .truncated(needed: missing, available: window.byteCount - offset), at: offset)
      case .complete(let frame):
        text += try line(frame.tag, window.extracting(frame.body), &decoder) + "\n"
        offset = frame.end
      }
    }
    return text
  }

  /// One message without a newline, where it does not follow on a Stream Start; throws
  /// ``DecodingError`` for a malformed one.
  public static func line(_ tag: MessageTag, _ body: RawSpan) throws(DecodingError) -> String {
    var decoder = PgOutputDecoder()
    return try line(tag, body, &decoder)
  }

  /// One message without a newline; `decoder` knows where the stream stands.
  ///
  /// Messages that belong to queries and not to a stream are only named, with their length. Throws
  /// ``DecodingError`` for a malformed one.
  public static func line(
    _ tag: MessageTag, _ body: RawSpan, _ decoder: inout PgOutputDecoder
  ) throws(DecodingError) -> String {
    switch tag {
    case .copyData: return try copyData(body, &decoder)
    case .copyDone: return "CopyDone"
    case .errorResponse: return "ErrorResponse \(fields(try ServerError.decode(body)))"
    case .noticeResponse: return "NoticeResponse \(fields(try ServerError.decode(body)))"
    case .commandComplete:
      var reader = ByteReader(body)
      let command = quoted(try reader.stringBytes())
      try reader.finish()
      return "CommandComplete \(command)"
    default: return "\(tag) \(body.byteCount) bytes"
    }
  }

  private static func copyData(
    _ body: RawSpan, _ decoder: inout PgOutputDecoder
  ) throws(DecodingError) -> String {
    switch try ReplicationMessage(body) {
    case .keepalive(let walEnd, let time, let reply):
      return "Keepalive \(walEnd) \(time)\(reply ? " reply requested" : "")"
    case .xLogData(let start, let time, let payload):
      let message = try decoder.decode(payload)
      let subtransaction = decoder.xid.map { "\($0) " } ?? ""
      return "XLogData \(start) \(time) \(subtransaction)\(plugin(message))"
    }
  }

  private static func plugin(_ message: borrowing PgOutputMessage) -> String {
    switch message {
    case .begin(let begin): "Begin \(begin.finalLSN) \(begin.commitTime) \(begin.xid)"
    case .commit(let commit): "Commit \(commit.commitLSN) \(commit.endLSN) \(commit.commitTime)"
    case .origin(let origin): "Origin \(origin.lsn) \(quoted(origin.name))"
    case .relation(let relation): line(relation)
    case .type(let type): "Type \(type.oid) \(quoted(type.schema)) \(quoted(type.name))"
    case .change(let change): line(change)
    case .abridged(let abridged): "Abridged \(abridged.size)"
    case .truncate(let truncate):
      "Truncate\(truncate.cascade ? " cascade" : "")"
        + "\(truncate.restartIdentity ? " restart identity" : "") \(truncate.relations)"
    case .message(let message):
      "Message \(message.isTransactional ? "transactional " : "")\(message.lsn) "
        + "\(quoted(message.prefix)) \(quoted(message.content))"
    case .streamStart(let start): "Stream Start \(start.xid)\(start.isFirst ? " first" : "")"
    case .streamStop: "Stream Stop"
    case .streamCommit(let xid, let commit):
      "Stream Commit \(commit.commitLSN) \(commit.endLSN) \(commit.commitTime) \(xid)"
    case .streamAbort(let abort):
      "Stream Abort \(abort.xid) \(abort.subtransaction)"
        + (abort.position.map { " \($0.lsn) \($0.time)" } ?? "")
    case .beginPrepare(let prepare): "Begin Prepare \(fields(prepare))"
    case .prepare(let prepare): "Prepare \(fields(prepare))"
    case .streamPrepare(let prepare): "Stream Prepare \(fields(prepare))"
    case .commitPrepared(let commit):
      "Commit Prepared \(commit.commitLSN) \(commit.endLSN) \(commit.commitTime) "
        + "\(commit.xid) \(quoted(commit.gid))"
    case .rollbackPrepared(let rollback):
      "Rollback Prepared \(rollback.prepareEndLSN) \(rollback.rollbackEndLSN) "
        + "\(rollback.prepareTime) \(rollback.rollbackTime) \(rollback.xid) "
        + "\(quoted(rollback.gid))"
    }
  }

  private static func fields(_ prepare: Prepare) -> String {
    "\(prepare.prepareLSN) \(prepare.endLSN) \(prepare.prepareTime) \(prepare.xid) "
      + "\(quoted(prepare.gid))"
  }

  private static func line(_ relation: Relation) -> String {
    let columns = relation.columns.map { column in
      "\(column.isKey ? "key " : "")\(quoted(column.name)) \(column.type) \(column.typeModifier)"
    }
    let identity = Unicode.Scalar(relation.replicaIdentity.rawValue)
    return "Relation \(relation.oid) \(quoted(relation.schema)) \(quoted(relation.name)) "
      + "\(identity) [\(columns.joined(separator: ", "))]"
  }

  private static func line(_ change: borrowing Change) -> String {
    let kind =
      switch change.kind {
      case .insert: "Insert"
      case .update: "Update"
      case .delete: "Delete"
      }
    var line = "\(kind) \(change.relation)"
    switch change.oldImage {
    case .none: break
    case .key: line += " key \(tuple(change.old))"
    case .full: line += " old \(tuple(change.old))"
    }
    if change.kind != .delete { line += " new \(tuple(change.new))" }
    return line
  }

  private static func tuple(_ tuple: borrowing TupleData) -> String {
    var cursor = tuple.columns
    var values: [String] = []
    for _ in 0..<tuple.count {
      switch cursor.next() {
      case .null: values.append("null")
      case .unchangedToast: values.append("unchanged")
      case .text(let text): values.append(quoted(text))
      case .binary(let bytes): values.append("binary \(hexadecimal(bytes))")
      }
    }
    return "(\(values.joined(separator: ", ")))"
  }

  /// What an error says, without the place in the server's sources.
  private static func fields(_ error: ServerError) -> String {
    var line = "\(error.severity) \(error.code) \(quoted(error.message))"
    if let detail = error.detail { line += " detail \(quoted(detail))" }
    if let hint = error.hint { line += " hint \(quoted(hint))" }
    if let context = error.context { line += " context \(quoted(context))" }
    return line
  }

  // MARK: - Values

  private static func quoted(_ bytes: RawSpan) -> String {
    let copy = (0..<bytes.byteCount).map { bytes[$0] }
    guard let text = String(validating: copy, as: UTF8.self) else { return hexadecimal(bytes) }
    return quoted(text)
  }

  private static func quoted(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"", "\\": result += "\\\(scalar)"
      case "\n": result += "\\n"
      case _ where scalar.value < 32: result += "\\u{\(String(scalar.value, radix: 16))}"
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result + "\""
  }

  private static func hexadecimal(_ bytes: RawSpan) -> String {
    var digits = ""
    for offset in 0..<bytes.byteCount {
      if bytes[offset] < 16 { digits += "0" }
      digits += String(bytes[offset], radix: 16)
    }
    return "x\"\(digits)\""
  }
}
