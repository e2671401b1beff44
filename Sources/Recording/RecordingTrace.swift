public import PGWire

/// Writes a recording as text, one line for each message of the server and for each other entry.
///
/// ```
/// +0.000000 Connected PostgreSQL 15.18 timeline 1 from 0/19A2B10 host "db1"
/// +0.102345 XLogData 0/19A2C38 789423012345678 Begin 0/19A2C38 789423012345600 745
/// ```
/// A line begins with the seconds since the recording began; messages are written by
/// `MessageTrace`.
public struct RecordingTrace: ~Copyable {
  /// Lines of messages whose ``StreamPosition`` lies below it are left out.
  public var from = LSN.zero
  /// Lines of messages whose ``StreamPosition`` lies above it are left out.
  public var to = LSN(.max)

  private var stream = RecordedStream()
  private var decoder = PgOutputDecoder()
  private var position = StreamPosition()
  private var isMalformed = false

  /// Makes a trace for a recording's first entry.
  public init() {}

  /// The lines of the header.
  public static func lines(of header: RecordingHeader) -> [String] {
    [
      "# recorded by \(header.program)",
      "# cluster \(header.systemIdentifier) database \"\(header.database)\" slot \(header.slot) "
        + "publications \(header.publications.joined(separator: ", "))",
    ]
  }

  /// The lines of an entry, maybe none; `received` are the bytes of a `received` one.
  public mutating func lines(of entry: RecordingEntry, _ received: RawSpan) -> [String] {
    let time = Self.text(entry.time)
    switch entry.content {
    case .received: return messages(received).map { "\(time) \($0)" }
    case .connected(let connection):
      stream.removeAll()
      decoder = PgOutputDecoder()
      isMalformed = false
      var lines = [
        "\(time) Connected PostgreSQL \(connection.serverVersion) timeline \(connection.timeline) "
          + "from \(connection.startLSN) host \"\(connection.host)\"",
        "\(time) \(connection.command)",
      ]
      for parameter in connection.parameters {
        lines.append("\(time) ParameterStatus \(parameter.name) = \(parameter.value)")
      }
      return lines
    case .relation(let relation):
      guard from == .zero && to.value == .max || (from...to).contains(position.lsn) else {
        return []
      }
      let types = relation.types.map { "\($0.oid) \($0.schema).\($0.name) \($0.kind)" }
      return [
        "\(time) Catalog \(relation.relation.oid) key [\(relation.catalogKey.joined(separator: ", "))] "
          + "types [\(types.joined(separator: ", "))]"
      ]
    case .disconnected(let cause): return ["\(time) Disconnected \(cause)"]
    case .end(let totals):
      return [
        "\(time) End \(totals.transactions) transactions, \(totals.messages) messages, "
          + "\(totals.bytes) bytes, \(totals.connections) connections"
      ]
    }
  }

  private mutating func messages(_ received: RawSpan) -> [String] {
    guard !isMalformed else { return [] }
    stream.append(received)
    var lines: [String] = []
    var (decoder, position) = (decoder, position)
    let (from, to) = (from, to)
    do throws(DecodingError) {
      try stream.takeMessages { tag, body in
        position.advance(tag, body)
        let line: String
        do throws(DecodingError) { line = try MessageTrace.line(tag, body, &decoder) } catch {
          line = "\(tag) malformed: \(error)"
        }
        if position.lsn >= from, position.lsn <= to { lines.append(line) }
      }
    } catch {
      isMalformed = true
      lines.append("malformed message header: \(error)")
    }
    self.decoder = decoder
    self.position = position
    return lines
  }

  /// "+12.345678".
  static func text(_ time: Duration) -> String {
    let (seconds, attoseconds) = time.components
    let fraction = String(attoseconds / 1_000_000_000_000)
    return "+\(seconds)." + String(repeating: "0", count: max(0, 6 - fraction.count)) + fraction
  }
}
