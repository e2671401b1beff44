import PGWire
import Testing

/// What rows of pg_replication_slots say about a slot, with the columns that each version has.
@Suite struct SlotHealthTests {
  /// A slot as a version shows it: healthy but for the values given.
  ///
  /// A value counts only where the query for that version asks for its column.
  private func slot(
    _ major: Int, _ values: [String: String?] = [:], onStandby: Bool = false
  ) throws -> ReplicationSlot {
    let query = ReplicationSlot.query(name: nil, serverVersion: major * 10_000)
    let columns = [
      "slot_name", "plugin", "database", "active_pid", "confirmed_flush_lsn", "restart_lsn",
      "held", "wal_status", "safe_wal_size", "two_phase", "conflicting", "invalidation_reason",
      "inactive_since", "failover", "synced", "in_recovery",
    ]
    var all: [String: String?] = [
      "slot_name": "s", "plugin": "pgoutput", "database": "d", "confirmed_flush_lsn": "0/20",
      "restart_lsn": "0/10", "held": "16", "wal_status": "reserved", "two_phase": "f",
      "conflicting": "f", "failover": "f", "synced": "f", "in_recovery": onStandby ? "t" : "f",
    ]
    all.merge(values) { _, new in new }
    for column in values.keys {
      try #require(query.contains(column), "version \(major) has no column \(column)")
    }
    let computed: Set = ["held", "in_recovery"]
    let row = columns.map { column -> String? in
      guard computed.contains(column) || query.contains(column) else { return nil }
      return all[column] ?? nil
    }
    return try #require(ReplicationSlot(row: row))
  }

  @Test(arguments: 10...18) func `A healthy slot is usable`(major: Int) throws {
    #expect(try slot(major).health == .usable)
    #expect(try slot(major, onStandby: true).health == .usable)
  }

  @Test(arguments: 13...18, ["extended", "unreserved"])
  func `A slot that holds more than it may is at risk`(major: Int, status: String) throws {
    let values = ["wal_status": status, "safe_wal_size": "1000"]
    #expect(try slot(major, values).health == .atRisk)
  }

  @Test(arguments: 13...18)
  func `A slot that may hold as much as it likes is in no danger`(major: Int) throws {
    #expect(try slot(major, ["wal_status": "extended"]).health == .usable)
  }

  @Test(arguments: 13...18) func `A slot whose WAL is gone is lost`(major: Int) throws {
    #expect(try slot(major, ["wal_status": "lost"]).health == .lost(.walRemoved))
    #expect(try slot(major, ["restart_lsn": nil]).health == .lost(.walRemoved))
  }

  @Test func `Version 16 does not say what a standby's recovery did to a slot`() throws {
    let values = ["conflicting": "t", "wal_status": "lost"]
    guard case .lost(.other(let reason)) = try slot(16, values, onStandby: true).health else {
      Issue.record("the reason must stay open")
      return
    }
    #expect(reason.contains("recovery"))
    #expect(try slot(16, values).health == .lost(.walRemoved))
  }

  @Test(
    arguments: 17...18,
    [
      ("wal_removed", SlotHealth.Loss.walRemoved), ("rows_removed", .rowsRemoved),
      ("wal_level_insufficient", .walLevelInsufficient), ("idle_timeout", .idleTimeout),
      ("something_new", .other("something_new")),
    ])
  func `From 17 the server's reason goes over every guess`(
    major: Int, reason: (text: String, loss: SlotHealth.Loss)
  ) throws {
    let values = [
      "invalidation_reason": reason.text, "wal_status": "lost", "conflicting": "t", "synced": "t",
    ]
    #expect(try slot(major, values).health == .lost(reason.loss))
    #expect(try slot(major, values, onStandby: true).health == .lost(reason.loss))
  }

  @Test(arguments: 17...18)
  func `A synchronised slot is usable only once its standby is promoted`(major: Int) throws {
    #expect(try slot(major, ["synced": "t"], onStandby: true).health == .synchronized)
    #expect(try slot(major, ["synced": "t"]).health == .usable)
    #expect(
      try slot(major, ["synced": "t", "wal_status": "lost"], onStandby: true).health
        == .lost(.walRemoved))
  }
}
