import PGWire
import Recording
import Synchronization

/// A stream that has just begun, on its way from the I/O worker to the pipeline.
// SAFETY: the stream is taken once, behind the mutex; all else is constant.
final class EstablishedSession: Sendable {
  /// The server history that positions belong to from now on.
  let identity: PositionIdentity
  /// The server as the connection string names it.
  let host: String
  /// Where the stream begins.
  let start: LSN
  /// Whether open transactions come in chunks.
  let streams: Bool
  /// Where each sink's reading begins.
  let positions: [LSN]
  /// What came of asking the sinks that keep their position themselves; nil for each that was not
  /// asked.
  let claims: [SinkClaim?]
  /// The existing rows that are to be copied.
  let copy: CopyAtStart
  /// What was asked of pgoutput, as far as a transaction's ordinals depend on it.
  let options: String
  /// How often the server must hear of us.
  let statusInterval: Duration
  /// What a recording says of the connection.
  let recorded: RecordedConnection
  private let stream: Mutex<ReplicationStream?>

  init(
    _ stream: consuming sending ReplicationStream, identity: PositionIdentity, host: String,
    start: LSN, streams: Bool, positions: [LSN], claims: [SinkClaim?] = [],
    copy: CopyAtStart = CopyAtStart(), options: String = "",
    statusInterval: Duration, recorded: RecordedConnection
  ) {
    self.stream = Mutex(consume stream)
    self.identity = identity
    self.host = host
    self.start = start
    self.streams = streams
    self.positions = positions
    self.claims = claims.isEmpty ? positions.map { _ in nil } : claims
    self.copy = copy
    self.options = options
    self.statusInterval = statusInterval
    self.recorded = recorded
  }

  /// The database that the stream comes from.
  var origin: StreamOrigin {
    StreamOrigin(
      systemIdentifier: UInt64(identity.systemIdentifier) ?? 0, host: host,
      database: identity.database, holdsAnyBytes: recorded.holdsAnyBytes)
  }

  /// The stream, at the first call.
  func takeStream() -> sending ReplicationStream? { stream.withLock { $0.take() } }
}
