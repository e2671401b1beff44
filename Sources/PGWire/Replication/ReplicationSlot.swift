/// A replication slot as pg_replication_slots shows it; what the server's version lacks is nil.
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
  /// reserved, extended, unreserved or lost; from version 13.
  public let walStatus: String?
  /// How many bytes of WAL may be written before it is in danger; from version 13, and only under
  /// max_slot_wal_keep_size.
  public let safeWALSize: Int64?
  /// Whether it decodes at PREPARE TRANSACTION; from version 14.
  public let isTwoPhase: Bool?
  /// Whether recovery has invalidated it, from version 17; in 16 whether it was invalidated at all.
  public let isConflicting: Bool?
  /// Why it was invalidated, as the server calls it; from version 17.
  public let invalidationReason: String?
  /// Since when nobody streams from it, as the server writes times; from version 17.
  public let inactiveSince: String?
  /// Whether standbys keep it in step; from version 17.
  public let isFailover: Bool?
  /// Whether it came from a primary, then or once; from version 17.
  public let isSynced: Bool?
  /// Whether the server that shows it is a standby.
  public let isOnStandby: Bool

  /// The query whose rows ``init(row:)`` reads; it runs on an ordinary connection.
  public static func query(name: String?, serverVersion: Int) -> String {
    let server = ServerVersion(number: serverVersion)
    func since(_ major: Int, _ columns: String...) -> String {
      columns.map { server.major >= major ? $0 : "NULL" }.joined(separator: ", ")
    }
    let filter = name.map { " WHERE slot_name = \(ReplicationCommand.literal($0))" } ?? ""
    return """
      SELECT slot_name, plugin, database, active_pid, confirmed_flush_lsn, restart_lsn, \
      pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() \
      ELSE pg_current_wal_lsn() END, restart_lsn)::bigint, \
      \(since(13, "wal_status", "safe_wal_size")), \(since(14, "two_phase")), \
      \(since(16, "conflicting")), \
      \(since(17, "invalidation_reason", "inactive_since", "failover", "synced")), \
      pg_is_in_recovery() \
      FROM pg_catalog.pg_replication_slots\(filter) ORDER BY slot_name
      """
  }

  /// Reads one row of ``query(name:serverVersion:)``; nil when it is not that.
  public init?(row: [String?]) {
    guard row.count == 16, let name = row[0] else { return nil }
    self.name = name
    plugin = row[1]
    database = row[2]
    activePID = row[3].flatMap { Int32($0) }
    confirmedFlushLSN = row[4].flatMap { LSN($0) }
    restartLSN = row[5].flatMap { LSN($0) }
    walHeld = row[6].flatMap { Int64($0) }
    walStatus = row[7]
    safeWALSize = row[8].flatMap { Int64($0) }
    isTwoPhase = row[9].map { $0 == "t" }
    isConflicting = row[10].map { $0 == "t" }
    invalidationReason = row[11]
    inactiveSince = row[12]
    isFailover = row[13].map { $0 == "t" }
    isSynced = row[14].map { $0 == "t" }
    isOnStandby = row[15] == "t"
  }
}
