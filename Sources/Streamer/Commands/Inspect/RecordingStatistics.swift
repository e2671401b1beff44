import PGWire
import Recording

/// Counts what a recording holds.
struct RecordingStatistics: ~Copyable {
  /// What was counted of one table.
  struct Table: Hashable {
    var inserts = 0
    var updates = 0
    var deletes = 0
    var truncates = 0
    var bytes = 0
  }

  /// What was counted of the messages, and what counting has to remember.
  struct Messages {
    /// Only messages whose `StreamPosition` lies from here on are counted.
    var from = LSN.zero
    /// Only those up to here.
    var to = LSN(.max)
    /// The messages of each kind, and their bytes.
    private(set) var kinds: [String: (count: Int, bytes: Int)] = [:]
    /// The rows of each table.
    private(set) var tables: [String: Table] = [:]
    /// Transactions that came whole.
    private(set) var transactions = 0
    /// The most rows that one of them had.
    private(set) var mostRows = 0

    private var decoder = PgOutputDecoder()
    private var position = StreamPosition()
    private var names: [UInt32: String] = [:]
    private var rows = 0
    private var streamed: [UInt32: Int] = [:]
  }

  /// What was counted of the messages.
  private(set) var messages = Messages()
  /// How many connections there were.
  private(set) var connections = 0
  /// Bytes of their streams.
  private(set) var bytes = 0
  /// When the last entry was made.
  private(set) var duration = Duration.zero
  private var versions: [String] = []
  private var stream = RecordedStream()
  private var isMalformed = false

  /// Counts only messages in between.
  mutating func limit(from: LSN?, to: LSN?) {
    if let from { messages.from = from }
    if let to { messages.to = to }
  }

  /// Counts an entry; `received` are the bytes of a `received` one.
  mutating func add(_ entry: RecordingEntry, _ received: RawSpan) {
    duration = entry.time
    switch entry.content {
    case .connected(let connection):
      connections += 1
      isMalformed = false
      stream.removeAll()
      messages.connected()
      if !versions.contains(connection.serverVersion) { versions.append(connection.serverVersion) }
    case .received(let count):
      bytes += count
      guard !isMalformed else { return }
      stream.append(received)
      var messages = messages
      do throws(DecodingError) {
        try stream.takeMessages { tag, body in messages.add(tag, body) }
      } catch { isMalformed = true }
      self.messages = messages
    case .relation, .disconnected, .end: break
    }
  }

  /// The counts for people.
  func text(_ header: RecordingHeader, fileSize: Int, _ style: TerminalStyle) -> String {
    let seconds = duration.components.seconds
    var text = """
      database \(header.database), slot \(header.slot), PostgreSQL \
      \(versions.joined(separator: ", "))
      \(connections) connection\(connections == 1 ? "" : "s"), \(seconds)s, \
      \(ByteSize(bytes).rounded) received, \(ByteSize(fileSize).rounded) in the file
      \(messages.transactions) transactions, the largest with \(messages.mostRows) rows


      """
    var kinds = TextTable(
      [.init("MESSAGE", style.bold), .init("COUNT", style.bold), .init("BYTES", style.bold)],
      rightAligned: [1, 2])
    for (name, kind) in messages.kinds.sorted(by: {
      ($1.value.count, $0.key) < ($0.value.count, $1.key)
    }) {
      kinds.add([.init(name), .init("\(kind.count)"), .init("\(kind.bytes)")])
    }
    text += kinds.text + "\n"
    guard !messages.tables.isEmpty else { return text }
    let names = ["TABLE", "INSERTS", "UPDATES", "DELETES", "TRUNCATES", "BYTES"]
    var tables = TextTable(names.map { .init($0, style.bold) }, rightAligned: [1, 2, 3, 4, 5])
    for (name, table) in messages.tables.sorted(by: { $0.key < $1.key }) {
      let counts = [
        table.inserts, table.updates, table.deletes, table.truncates, table.bytes,
      ]
      tables.add([.init(name)] + counts.map { .init("\($0)") })
    }
    return text + "\n" + tables.text + "\n"
  }
}

extension RecordingStatistics.Messages {
  /// A connection begins.
  mutating func connected() {
    decoder = PgOutputDecoder()
    names.removeAll()
    streamed.removeAll()
    rows = 0
  }

  /// Counts a message.
  mutating func add(_ tag: MessageTag, _ body: RawSpan) {
    position.advance(tag, body)
    let isWanted = position.lsn >= from && position.lsn <= to
    let size = body.byteCount + MessageFrame.headerSize
    let name = name(tag, body, size, isWanted)
    guard isWanted else { return }
    let known = kinds[name] ?? (0, 0)
    kinds[name] = (known.count + 1, known.bytes + size)
  }

  /// What a message is called; counts rows and transactions on the way.
  private mutating func name(
    _ tag: MessageTag, _ body: RawSpan, _ size: Int, _ isWanted: Bool
  ) -> String {
    guard tag == .copyData else { return "\(tag)" }
    guard case .xLogData(_, _, let payload)? = try? ReplicationMessage(body) else {
      return body.byteCount > 0 && body[0] == UInt8(ascii: "k") ? "Keepalive" : "malformed"
    }
    switch try? decoder.decode(payload) {
    case .change(let change):
      count(change.relation, size, isWanted) { table in
        switch change.kind {
        case .insert: table.inserts += 1
        case .update: table.updates += 1
        case .delete: table.deletes += 1
        }
      }
      if let stream = decoder.stream { streamed[stream, default: 0] += 1 } else { rows += 1 }
      return switch change.kind {
      case .insert: "Insert"
      case .update: "Update"
      case .delete: "Delete"
      }
    case .truncate(let truncate):
      for relation in truncate.relations {
        count(relation, size / max(1, truncate.relations.count), isWanted) { $0.truncates += 1 }
      }
      return "Truncate"
    case .relation(let relation):
      names[relation.oid] = "\(relation.schema).\(relation.name)"
      return "Relation"
    case .begin: return begins("Begin")
    case .beginPrepare: return begins("Begin Prepare")
    case .commit: return ends("Commit", rows, isWanted)
    case .prepare: return ends("Prepare", rows, isWanted)
    case .streamCommit(let xid, _):
      return ends("Stream Commit", streamed.removeValue(forKey: xid) ?? 0, isWanted)
    case .streamPrepare(let prepare):
      return ends("Stream Prepare", streamed.removeValue(forKey: prepare.xid) ?? 0, isWanted)
    case .streamAbort(let abort):
      if abort.isWhole { streamed[abort.xid] = nil }
      return "Stream Abort"
    case .origin: return "Origin"
    case .type: return "Type"
    case .message: return "Message"
    case .abridged: return "Abridged"
    case .streamStart: return "Stream Start"
    case .streamStop: return "Stream Stop"
    case .commitPrepared: return "Commit Prepared"
    case .rollbackPrepared: return "Rollback Prepared"
    case nil: return "malformed"
    }
  }

  private mutating func begins(_ name: String) -> String {
    rows = 0
    return name
  }

  private mutating func ends(_ name: String, _ rows: Int, _ isWanted: Bool) -> String {
    if isWanted {
      transactions += 1
      mostRows = max(mostRows, rows)
    }
    return name
  }

  private mutating func count(
    _ relation: UInt32, _ size: Int, _ isWanted: Bool,
    _ body: (inout RecordingStatistics.Table) -> Void
  ) {
    guard isWanted else { return }
    let name = names[relation] ?? "\(relation)"
    var table = tables[name] ?? RecordingStatistics.Table()
    body(&table)
    table.bytes += size
    tables[name] = table
  }
}
