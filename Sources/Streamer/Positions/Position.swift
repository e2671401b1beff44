import PGWire

/// How far one sink has durably taken over one source: what a restart needs.
///
/// Every commit whose LSN is below ``lsn`` is confirmed by the sink. The other facts say of which
/// server history that holds; where one of them differs at a start, there may be a gap.
struct Position: Hashable, Sendable {
  /// The source's name in the configuration.
  var source: String
  /// The sink's name in the configuration.
  var sink: String
  /// The cluster's identifier as IDENTIFY_SYSTEM prints it.
  var systemIdentifier: String
  /// The timeline that the position lies on.
  var timeline: UInt32
  /// The database that the slot belongs to.
  var database: String
  /// The replication slot.
  var slot: String
  /// The publications that the stream was asked for, in the configuration's order.
  var publications: [String]
  /// The end of the last confirmed commit.
  var lsn: LSN
}
