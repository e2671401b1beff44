/// A replication slot as pg_replication_slots shows it.
public struct ReplicationSlot: Hashable, Sendable {
  /// Its name.
  public let name: String
  /// Its output plugin; nil for a physical slot.
  public let plugin: String?
  /// Its database; nil for a physical slot.
  public let database: String?
  /// The process that streams from it now.
  public let activePID: Int32?
  /// The position everything before which its reader has confirmed.
  public let confirmedFlushLSN: LSN?
  /// The oldest WAL it holds; nil once it has been invalidated.
  public let restartLSN: LSN?
  /// How many bytes of WAL it holds.
  public let walHeld: Int64?
  /// reserved, extended, unreserved or lost; nil before version 13.
  public let walStatus: String?

  /// The query whose rows ``init(row:)`` reads; it runs on an ordinary connection.
  public static func query(name: String?, serverVersion: Int) -> String {
    let walStatus = serverVersion >= 13_00_00 ? "wal_status" : "NULL"
    let filter = name.map { " WHERE slot_name = \(ReplicationCommand.literal($0))" } ?? ""
    return """
      SELECT slot_name, plugin, database, active_pid, confirmed_flush_lsn, restart_lsn, \
      CASE WHEN pg_is_in_recovery() THEN NULL \
      ELSE pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::bigint END, \(walStatus) \
      FROM pg_catalog.pg_replication_slots\(filter) ORDER BY slot_name
      """
  }

  /// Reads one row of ``query(name:serverVersion:)``; nil when it is not that.
  public init?(row: [String?]) {
    guard row.count == 8, let name = row[0] else { return nil }
    self.name = name
    plugin = row[1]
    database = row[2]
    activePID = row[3].flatMap { Int32($0) }
    confirmedFlushLSN = row[4].flatMap { LSN($0) }
    restartLSN = row[5].flatMap { LSN($0) }
    walHeld = row[6].flatMap { Int64($0) }
    walStatus = row[7]
  }
}
