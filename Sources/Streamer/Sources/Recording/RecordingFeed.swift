import PGWire
import Recording

/// Gives a pipeline what a recording holds, as a connection would: a window of received bytes, the
/// catalog's answers, and new connections.
struct RecordingFeed: ~Copyable {
  /// What the next entry asks for.
  enum Step: Hashable {
    /// Bytes were added to the window.
    case received
    /// A connection begins: what the one before said is void.
    case connected(at: LSN)
    /// Something that concerns the feed alone.
    case noted
    /// Nothing is left.
    case ended
  }

  /// The facts of the whole recording.
  let header: RecordingHeader
  /// The recording's file, for errors.
  let path: String
  /// The first connection; nil in a recording without one.
  private(set) var firstConnection: RecordedConnection?
  private var reader: RecordingReader
  private var stream = RecordedStream()
  private var pending: RecordingEntry?
  private var answers: [Relation: RecordedRelation] = [:]
  /// The connection whose bytes are being read.
  private var connection: RecordedConnection?
  private var isSkipping = false

  /// Opens the file and reads up to its first entry.
  init(_ path: String) throws(StreamerError) {
    do throws(RecordingError) {
      var reader = try RecordingReader(opening: path)
      let first = try reader.next()
      self.path = path
      header = reader.header
      pending = first
      self.reader = reader
    } catch { throw StreamerError(error, recording: path) }
    if case .connected(let connection) = pending?.content { firstConnection = connection }
  }

  /// What was received on the connection and not consumed yet.
  var window: RawSpan {
    @_lifetime(borrow self) get { stream.window }
  }

  /// Drops the first `count` bytes of the window.
  mutating func consume(_ count: Int) { stream.consume(count) }

  /// When the next entry was made, since the recording began; nil at the end.
  ///
  /// Not inlined, as ``ending``: Swift 6.3's optimiser fails on the borrow of the feed ("Found
  /// ownership error").
  @inline(never) var nextTime: Duration? { pending?.time }

  /// How the recording ends, once it has.
  @inline(never) var ending: RecordingReader.Ending? { pending == nil ? reader.ending : nil }

  /// The server ended the connection in its stream: the rest of it is passed over.
  mutating func endConnection() {
    isSkipping = true
    stream.removeAll()
  }

  /// Takes the next entry; throws for a damaged recording.
  @inline(never) mutating func step() throws(StreamerError) -> Step {
    guard let entry = pending else { return .ended }
    var step = Step.noted
    switch entry.content {
    case .received:
      if !isSkipping {
        stream.append(reader.received)
        step = .received
      }
    case .connected(let connection):
      stream.removeAll()
      isSkipping = false
      self.connection = connection
      step = .connected(at: connection.startLSN)
    case .relation(let answer): answers[answer.relation] = answer
    case .disconnected, .end: break
    }
    do throws(RecordingError) { pending = try reader.next() } catch {
      pending = nil
      throw StreamerError(error, recording: path)
    }
    return step
  }

  /// What the catalog said of a table when it was recorded; `topics` are the lanes'.
  ///
  /// Throws when the recording does not say it, or has values in binary that cannot be read.
  func answer(
    to request: TableRequest, topics: [TopicID?]
  ) throws(StreamerError) -> TableAnswer {
    guard let recorded = answers[request.relation] else {
      throw StreamerError(
        what: "recording \(path)",
        why: "it does not say what the catalog had of \(request.relation.schema)."
          + request.relation.name)
    }
    var types = TypeCatalog()
    types.learn(recorded.types)
    return TableAnswer(
      catalogKey: recorded.catalogKey, types: types, topics: topics,
      binary: try binaryRow(request.relation, types))
  }

  /// How the rows of a table are read; nil when the connection did not ask for binary values.
  private func binaryRow(
    _ relation: Relation, _ types: TypeCatalog
  ) throws(StreamerError) -> BinaryRow? {
    guard let connection, connection.asksForBinary else { return nil }
    guard let server = ServerVersion(connection.serverVersion) else {
      throw StreamerError(
        what: "recording \(path)",
        why: "it has binary values of a server whose version it does not say")
    }
    switch BinaryRow.prepare(relation, types: types, serverMajor: server.major) {
    case .success(let row): return row
    case .failure(let column):
      throw StreamerError(
        what: "recording \(path)",
        why: "column \(column.name) of \(relation.schema).\(relation.name) has type "
          + "\(column.type), whose binary form cannot be read",
        hint: "Record it with binary = false in the source.")
    }
  }
}

extension RecordedConnection {
  /// Whether its values come in binary.
  ///
  /// Inside a name or a literal of the command the quotes would be doubled.
  var asksForBinary: Bool { command.contains("\"binary\" 'true'") }

  /// Whether its texts may hold bytes that are no text: the server has not converted them.
  var holdsAnyBytes: Bool {
    parameters.contains { $0.name == "client_encoding" && $0.value == "SQL_ASCII" }
  }
}

extension StreamerError {
  /// What a fault of a recorded stream means; nil when it is the end of the recorded connection.
  init?(_ fault: StreamFault, recording path: String) {
    switch fault {
    case .ended, .server: return nil
    case .malformed(let error, let place):
      self.init(
        what: "recording \(path)", why: "protocol violation in replication, \(place): \(error)")
    case .binary(let fault):
      self.init(what: "recording \(path)", why: "\(fault)")
    case .spool(let fault):
      self.init(
        what: "recording \(path)", why: "\(fault)",
        hint: "Record it with streaming = false in the source: transactions then come whole.")
    }
  }
}
