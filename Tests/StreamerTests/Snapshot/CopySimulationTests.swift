import PGWire
import Support
import Testing

@testable import Streamer

/// Existing rows and the changes beside them, under every order of things.
@Suite struct CopySimulationTests {
  /// `PSQL_STREAMER_SEEDS` runs another number of them.
  private static let seeds = TestEnvironment["PSQL_STREAMER_SEEDS"].flatMap { UInt64($0) } ?? 200

  @Test func `A consumer ends with what the table holds`() throws {
    var rounds = 0, stale = 0, crashes = 0, losses = 0
    for seed in 1...Self.seeds {
      let simulation = CopySimulation(seed: seed)
      if let fault = try simulation.run() { Issue.record("seed \(seed): \(fault)") }
      #expect(simulation.hastySaves == 0, "seed \(seed)")
      rounds += simulation.rounds
      stale += simulation.stale
      crashes += simulation.crashes
      losses += simulation.losses
    }
    print(
      "\(Self.seeds) seeds: \(rounds) rounds, \(stale) snapshots given up, \(crashes) crashes, "
        + "\(losses) connections lost")
    #expect(rounds > 0 && stale > 0 && crashes > 0 && losses > 0)
  }
}

/// What a snapshot sees, and how a table is read.
@Suite struct SnapshotTests {
  @Test func `A snapshot sees what had ended`() throws {
    let snapshot = try #require(ServerSnapshot("10:20:10,14"))
    #expect([9, 11, 13, 19].allSatisfy { snapshot.sees($0) })
    #expect([10, 14, 20, 21].allSatisfy { !snapshot.sees($0) })
    #expect(try #require(ServerSnapshot("7:7:")).sees(6))
    for text in ["", "7", "7:8", "a:8:", "7:8:x", "7:8:9:10", "7:8:,9,x"] {
      #expect(ServerSnapshot(text) == nil, "\(text)")
    }
  }

  @Test func `Numbers are compared beyond 2³²`() throws {
    // The stream has the lower 32 bits: 4294967290 was before the turn, 5 after it.
    let snapshot = try #require(ServerSnapshot("4294967290:4294967306:4294967290,4294967301"))
    #expect(snapshot.sees(4_294_967_289) && snapshot.sees(4_294_967_295) && snapshot.sees(4))
    #expect(!snapshot.sees(4_294_967_290) && !snapshot.sees(5) && !snapshot.sees(10))
  }

  @Test func `What was read before is waited for`() throws {
    var read = ReadTransactions(isNeeded: true)
    // What was open when reading began may have been read by the process before.
    #expect(!read.areSeen(by: try #require(ServerSnapshot("10:20:10"))))
    #expect(!read.areSeen(by: try #require(ServerSnapshot("12:25:12"))))
    #expect(read.areSeen(by: try #require(ServerSnapshot("22:25:22"))))
    read.add(23)
    read.add(22)
    #expect(!read.areSeen(by: try #require(ServerSnapshot("22:25:22"))))
    #expect(read.areSeen(by: try #require(ServerSnapshot("24:25:24"))))
    var new = ReadTransactions()
    new.startAfresh()
    #expect(new.areSeen(by: try #require(ServerSnapshot("10:20:10"))))
    for xid in 0...UInt32(Limits.readTransactions) { new.add(30 + xid) }
    // More than can be kept in mind: all of them have to be over.
    #expect(!new.areSeen(by: try #require(ServerSnapshot("99999:100000:99999"))))
  }

  @Test func `Rows are asked for behind a key, as they are published`() throws {
    var table = CopySimulation.table
    #expect(
      table.query(after: ["it's\\"], limit: 7)
        == #"SELECT "id", "v", "big" FROM ONLY "public"."t" "#
        + #"WHERE ("id") > ('it''s\') ORDER BY "id" LIMIT 7"#)
    table.filter = "(v > 0)"
    table.key = [1, 0]
    table.isPartitioned = true
    #expect(
      table.query(after: ["1", "a"], limit: 7) == #"SELECT "id", "v", "big" FROM "public"."t" "#
        + #"WHERE ((v > 0)) AND ("v", "id") > ('1', 'a') ORDER BY "v", "id" LIMIT 7"#)
    table.key = []
    #expect(
      table.query(after: [], limit: 7)
        == #"SELECT "id", "v", "big" FROM "public"."t" WHERE ((v > 0))"#)
  }

  @Test func `A copy begins when it should`() {
    typealias Mode = SnapshotConfiguration.Mode
    func modes(_ reason: CopyReason) -> [Mode] { Mode.allCases.filter(reason.begins) }
    #expect(
      modes(CopyReason(isFirstStart: true, isFirstConnection: true))
        == [.initial, .whenNeeded, .always])
    #expect(modes(CopyReason(isFirstConnection: true)) == [.always])
    #expect(modes(CopyReason(isOverGap: true)) == [.whenNeeded])
    #expect(modes(CopyReason(isOverGap: true, repairsGap: true)) == Mode.allCases)
    #expect(modes(CopyReason()) == [])
  }

  @Test func `Tables are chosen by patterns`() {
    func covers(_ tables: [String], _ name: String) -> Bool {
      SnapshotConfiguration(mode: .initial, tables: tables).covers(schema: "public", table: name)
    }
    #expect(covers([], "a") && covers(["public.*"], "a") && !covers(["public.b"], "a"))
    #expect(covers(["!public.b"], "a") && !covers(["!public.b"], "b"))
    #expect(!covers(["public.*", "!public.b"], "b"))
  }
}
