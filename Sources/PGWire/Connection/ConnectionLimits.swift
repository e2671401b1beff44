/// The limits of setting up a connection and of simple queries.
enum ConnectionLimits {
  /// The largest message during startup, in bytes; libpq allows 30 000.
  static let startupMessage = 65_536
  /// The largest authentication message, in bytes of its length field, as in libpq.
  static let authenticationMessage = 2_000
  /// The most run-time parameters that a server may report.
  static let parameterStatuses = 1_000
  /// The largest message in answer to a query, in bytes.
  static let queryMessage = 16 << 20
  /// The most memory that the answer to one query may take, in bytes: rows, descriptions, tags.
  static let queryResult = 64 << 20
  /// What a value takes beside its bytes, and what a row, a column or a result does.
  static let valueOverhead = 24
  static let rowOverhead = 64
  /// The largest notice or run-time parameter behind the startup that is kept, in bytes.
  static let keptText = 65_536
  /// How long the server is tried for to cancel a query.
  static let cancelling = Duration.seconds(1)
  /// The most commands that one query may consist of.
  static let queryCommands = 10_000
  /// The most notices kept for the caller; older ones are dropped.
  static let notices = 16
  /// The largest passfile, in bytes.
  static let passfile = 1 << 20
  /// The largest service file, in bytes.
  static let serviceFile = 1 << 20
  /// The most look-ups of host names that may wait for the resolver at a time, abandoned ones too.
  static let nameLookups = 16
  /// The window of a connection that only runs queries, in bytes.
  static let queryWindow = 64 << 10
  /// The window of a replication connection, in bytes.
  static let replicationWindow = 1 << 20
}
