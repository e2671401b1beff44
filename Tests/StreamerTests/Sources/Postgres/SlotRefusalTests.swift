import PGWire
import Testing

@testable import Streamer

/// Why a slot cannot be read: each reason comes with what to do about it.
@Suite struct SlotRefusalTests {
  private func refusal(
    plugin: String? = "pgoutput", database: String? = "d", walStatus: String = "reserved",
    reason: String? = nil, synced: Bool = false, pid: String? = nil
  ) throws -> SlotRefusal? {
    let row: [String?] = [
      "s", plugin, database, pid, "0/20", "0/10", "16", walStatus, nil, "f", "f", reason, nil, "f",
      synced ? "t" : "f", "t",
    ]
    return SlotRefusal(of: try #require(ReplicationSlot(row: row)), database: "d")
  }

  @Test func `A slot that works, lags or is read by somebody is not refused`() throws {
    #expect(try refusal() == nil)
    #expect(try refusal(walStatus: "unreserved") == nil)
    #expect(try refusal(pid: "7") == nil)
  }

  @Test func `A slot of something else: choose another`() throws {
    let others = [
      (try refusal(plugin: "wal2json"), "wal2json"),
      (try refusal(plugin: nil, database: nil), "physical"),
      (try refusal(database: "other"), "other"), (try refusal(database: nil), "none"),
    ]
    for (refusal, named) in others {
      let refusal = try #require(refusal)
      #expect(refusal.why.contains(named))
      #expect(refusal.hint == "Choose another replicationSlot.")
      #expect(!refusal.isTemporary)
    }
  }

  @Test(arguments: [
    ("wal_removed", "max_slot_wal_keep_size"), ("rows_removed", "hot_standby_feedback"),
    ("wal_level_insufficient", "wal_level = logical"),
    ("idle_timeout", "idle_replication_slot_timeout"), ("something_new", "server's log"),
  ])
  func `A lost slot: begin anew, and keep the next from the same end`(
    reason: String, prevention: String
  ) throws {
    let refusal = try #require(try refusal(walStatus: "lost", reason: reason))
    #expect(refusal.why.hasPrefix("was invalidated: "))
    #expect(refusal.hint.contains("pg_drop_replication_slot"))
    #expect(refusal.hint.contains("--accept-gap"))
    #expect(refusal.hint.contains(prevention))
    #expect(!refusal.isTemporary)
  }

  @Test func `A synchronised slot: read it on the primary, or wait for the promotion`() throws {
    let refusal = try #require(try refusal(synced: true))
    #expect(refusal.hint.contains("primary"))
    #expect(refusal.hint.contains("promotion"))
    #expect(refusal.isTemporary)
  }
}
