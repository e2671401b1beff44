public import PGWire

/// One thing that happened while a stream was recorded.
///
/// ```
/// Byte1  kind
/// Int64  microseconds since the recording began, never falling
/// Int32  size of the body
/// Byten  body
/// ```
public struct RecordingEntry: Hashable, Sendable {
  /// When it happened: the time since the recording began, in whole microseconds.
  public var time: Duration
  /// What happened.
  public var content: Content

  /// What happened.
  public enum Content: Hashable, Sendable {
    /// 'C': a connection began to stream.
    case connected(RecordedConnection)
    /// 'R': the server sent that many bytes, which the reader holds: a piece of its byte stream,
    /// beginning and ending anywhere.
    case received(Int)
    /// 'T': what the catalog said of a table whose Relation message comes next in the stream.
    case relation(RecordedRelation)
    /// 'X': the connection ended; the body is a String that says why.
    case disconnected(String)
    /// 'E': the recording ends, in an orderly way.
    case end(RecordingTotals)
  }

  /// Makes an entry.
  public init(time: Duration, content: Content) {
    self.time = time
    self.content = content
  }
}

/// A connection that was recorded, from START_REPLICATION on.
///
/// ```
/// String server version  Int32 timeline  String host  Int64 start LSN
/// String the START_REPLICATION command  Int16 number of parameters, then for each
///   String name  String value
/// ```
public struct RecordedConnection: Hashable, Sendable {
  /// A run-time parameter that the server reported.
  public struct Parameter: Hashable, Sendable {
    /// Its name.
    public var name: String
    /// Its value.
    public var value: String

    /// Makes a parameter.
    public init(name: String, value: String) {
      self.name = name
      self.value = value
    }
  }

  /// The parameter server_version.
  public var serverVersion: String
  /// The timeline that the server was on.
  public var timeline: UInt32
  /// The server as the connection string named it; events show it.
  public var host: String
  /// Where reading began: what lies before it was confirmed.
  public var startLSN: LSN
  /// The command that started the stream, with the plugin's options.
  public var command: String
  /// The run-time parameters that the server reported, by name.
  public var parameters: [Parameter]

  /// Makes a connection from its parts.
  public init(
    serverVersion: String, timeline: UInt32, host: String, startLSN: LSN, command: String,
    parameters: [Parameter]
  ) {
    self.serverVersion = serverVersion
    self.timeline = timeline
    self.host = host
    self.startLSN = startLSN
    self.command = command
    self.parameters = parameters
  }

  func encode(into writer: inout ByteWriter) {
    writer.append(zeroTerminated: serverVersion)
    writer.append(bigEndian: timeline)
    writer.append(zeroTerminated: host)
    writer.append(bigEndian: startLSN.value)
    writer.append(zeroTerminated: command)
    writer.append(list: parameters) { parameter, writer in
      writer.append(zeroTerminated: parameter.name)
      writer.append(zeroTerminated: parameter.value)
    }
  }

  @_lifetime(reader: copy reader)
  init(from reader: inout ByteReader) throws(DecodingError) {
    serverVersion = try reader.string()
    timeline = try reader.integer()
    host = try reader.string()
    startLSN = try reader.lsn()
    command = try reader.string()
    parameters = []
    for _ in 0..<(try reader.listCount()) {
      parameters.append(Parameter(name: try reader.string(), value: try reader.string()))
    }
  }
}

/// What a whole recording holds.
///
/// ```
/// Int64 received bytes  Int64 messages  Int64 transactions  Int64 connections
/// ```
public struct RecordingTotals: Hashable, Sendable {
  /// Bytes of the server's streams; a reader compares them with what it has read.
  public var bytes: Int
  /// Whole messages of the servers' streams.
  public var messages: Int
  /// Transactions that were received whole, committed or prepared.
  public var transactions: Int
  /// Connections; a reader compares them with what it has read.
  public var connections: Int

  /// Makes totals.
  public init(bytes: Int = 0, messages: Int = 0, transactions: Int = 0, connections: Int = 0) {
    self.bytes = bytes
    self.messages = messages
    self.transactions = transactions
    self.connections = connections
  }

  func encode(into writer: inout ByteWriter) {
    for number in [bytes, messages, transactions, connections] {
      writer.append(bigEndian: Int64(number))
    }
  }

  @_lifetime(reader: copy reader)
  init(from reader: inout ByteReader) throws(DecodingError) {
    bytes = Int(try reader.integer(Int64.self))
    messages = Int(try reader.integer(Int64.self))
    transactions = Int(try reader.integer(Int64.self))
    connections = Int(try reader.integer(Int64.self))
  }
}
