import KafkaBridge
import PGWire
import Support
import Testing

@testable import Streamer

/// Existing rows and the changes beside them, under every order of things.
@Suite struct CopySimulationTests {
  /// `PSQL_STREAMER_SEEDS` runs another number of them, `PSQL_STREAMER_FIRST_SEED` others: so a long
  /// run can be made of short ones.
  private static let seeds = TestEnvironment["PSQL_STREAMER_SEEDS"].flatMap { UInt64($0) } ?? 30
  private static let first = TestEnvironment["PSQL_STREAMER_FIRST_SEED"].flatMap { UInt64($0) } ?? 1

  @Test func `No row of a copy is committed twice where the sink keeps its position`() throws {
    var crashes = 0, losses = 0, cuts = 0
    for seed in Self.first..<Self.first + Self.seeds {
      let simulation = CopySimulation(seed: seed, keepsPosition: true)
      if let fault = try simulation.run() { Issue.record("seed \(seed): \(fault)") }
      crashes += simulation.crashes
      losses += simulation.losses
      cuts += simulation.keeper?.cuts ?? 0
    }
    print(
      "\(Self.seeds) seeds from \(Self.first), exactly once: \(crashes) crashes, "
        + "\(losses) connections lost, \(cuts) positions inside a table")
    #expect(crashes > 0 && losses > 0 && cuts > 0)
  }

  @Test(arguments: [false, true])
  func `A consumer ends with what the table holds`(isStandby: Bool) throws {
    var rounds = 0, stale = 0, crashes = 0, losses = 0, requests = 0, stops = 0, gaps = 0
    var moves = 0, parallelRounds = 0, doubts = 0, promotions = 0, lags = 0
    for seed in Self.first..<Self.first + Self.seeds {
      let simulation = CopySimulation(seed: seed, isStandby: isStandby)
      if let fault = try simulation.run() { Issue.record("seed \(seed): \(fault)") }
      #expect(simulation.hastySaves == 0, "seed \(seed)")
      #expect(simulation.hastyRounds == 0, "seed \(seed)")
      #expect(simulation.forgotten == 0, "seed \(seed)")
      rounds += simulation.rounds
      stale += simulation.stale
      crashes += simulation.crashes
      losses += simulation.losses
      requests += simulation.requests
      stops += simulation.stops
      gaps += simulation.gaps
      moves += simulation.moves
      parallelRounds += simulation.parallelRounds
      doubts += simulation.doubts
      promotions += simulation.promotions
      lags += simulation.lags
    }
    print(
      "\(isStandby ? "a standby" : "a primary"), \(Self.seeds) seeds from \(Self.first): \(rounds) rounds, \(parallelRounds) of several tables at a time, \(stale) snapshots given up, \(crashes) crashes, "
        + "\(losses) connections lost, \(requests) copies asked for, \(stops) stopped, "
        + "\(gaps) gaps, \(moves) keys changed, \(doubts) snapshots amid a commit record, "
        + "\(promotions) promotions, \(lags) standbys that were behind")
    #expect(rounds > 0 && stale > 0 && crashes > 0 && losses > 0 && stops > 0)
    #expect(gaps > 0 && moves > 0 && parallelRounds > 0)
    #expect(requests > Int(Self.seeds))
    #expect((doubts > 0 && promotions > 0 && lags > 0) == isStandby)
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

  @Test func `A standby tells by places what its snapshot sees`() throws {
    var snapshot = try #require(ServerSnapshot("10:20:"))
    #expect(snapshot.sees(15, at: LSN(0x100)) == true)
    snapshot.replayed = LSN(0x100)
    #expect(snapshot.sees(15, at: LSN(0xF8)) == true)
    #expect(snapshot.sees(15, at: LSN(0x100)) == nil)
    #expect(snapshot.sees(9, at: LSN(0x100)) == true)
    #expect(snapshot.sees(20, at: LSN(0x100)) == false)
    // All that was read is what a standby had replayed.
    var read = ReadTransactions(isNeeded: true)
    read.add(15)
    let areReplayed = read.areSeen(by: snapshot)
    snapshot.replayed = nil
    let areSeen = read.areSeen(by: snapshot)
    #expect(areReplayed && areSeen)
  }

  @Test func `The record that may be under way is the next one`() {
    func limit(_ after: UInt64, received: UInt64? = nil) -> LSN {
      ReplayWindow(
        before: LSN(0x1000), after: LSN(after), received: received.map { LSN($0) },
        pageBytes: 0x2000
      ).limit
    }
    #expect(limit(0x6018) == LSN(0x6020))
    // The next one begins behind a header of 24 bytes, or of 40.
    #expect(limit(0x6000) == LSN(0x6030))
    #expect(limit(0x6018, received: 0x6018) == LSN(0x6018))
    #expect(limit(0x6018, received: 0x6000) == LSN(0x6018))
    #expect(limit(0x6018, received: 0x6020) == LSN(0x6020))
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
    #expect(
      table.query(keyOfRow: 7, after: ["a"])
        == #"SELECT "id" FROM ONLY "public"."t" WHERE ("id") > ('a') ORDER BY "id" OFFSET 6 LIMIT 1"#
    )
    table.filter = "(v > 0)"
    table.key = [1, 0]
    table.isPartitioned = true
    #expect(
      table.query(after: ["1", "a"], limit: 7) == #"SELECT "id", "v", "big" FROM "public"."t" "#
        + #"WHERE ((v > 0)) AND ("v", "id") > ('1', 'a') ORDER BY "v", "id" LIMIT 7"#)
    table.behind = "OPERATOR(ext.>)"
    #expect(
      table.query(after: ["1", "a"], limit: 7).contains(
        #"("v", "id") OPERATOR(ext.>) ('1', 'a')"#))
    table.key = []
    #expect(
      table.query(after: [], limit: 7)
        == #"SELECT "id", "v", "big" FROM "public"."t" WHERE ((v > 0))"#)
    #expect(!table.mayTellGone)
    table.key = [0]
    table.isPartitioned = false
    table.goneKeys = #"[{"id":"it's"}]"#
    #expect(table.mayTellGone && table.isReadWhole)
    #expect(
      table.query(after: [], limit: 7)
        == #"SELECT k."id", NULL, NULL FROM pg_catalog.json_populate_recordset("#
        + #"NULL::"public"."t", '[{"id":"it''s"}]') k WHERE k."id" IS NOT NULL AND NOT EXISTS ("#
        + #"SELECT FROM ONLY "public"."t" t WHERE t."id" = k."id" AND ((v > 0)))"#)
  }

  @Test func `A key that is not whole, or not compared as one, is none`() {
    func table(_ columns: [(place: String?, operator: String?)], of count: String) -> SnapshotTable?
    {
      SnapshotTable.all(
        from: columns.enumerated().map { number, column in
          [
            "7", "public", "t", "r", "d", "10", "8192", nil, "c\(number)", "23", "-1", "t",
            column.place, column.place == nil ? nil : count, column.operator,
          ]
        }
      ).first
    }
    #expect(table([("2", ">"), (nil, nil), ("1", ">")], of: "2")?.key == [2, 0])
    #expect(table([("1", ">"), (nil, nil)], of: "2")?.key == [])
    #expect(table([("2", ">"), (nil, nil)], of: "2")?.key == [])
    #expect(table([("1", ">"), ("2", "OPERATOR(ext.>)")], of: "2")?.key == [])
    #expect(table([("1", ">"), ("2", nil)], of: "2")?.key == [])
    let own = table([("1", "OPERATOR(ext.>)")], of: "1")
    #expect(own?.key == [0] && own?.behind == "OPERATOR(ext.>)")
    #expect(table([(nil, nil)], of: "0")?.key == [])
    #expect(own?.fault(inKeys: #"[{"c0": 1}, {"c1": 2}]"#) == #"a key of public.t has no "c0""#)
    #expect(own?.fault(inKeys: #"[{"c0": 1}]"#) == nil)
  }

  @Test func `A copy begins when it should`() {
    typealias Mode = SnapshotConfiguration.Mode
    func modes(_ reason: CopyReason) -> [Mode] { Mode.allCases.filter(reason.begins) }
    #expect(
      modes(CopyReason(isFirstStart: true, isFirstConnection: true))
        == [.initial, .only, .whenNeeded, .always])
    #expect(modes(CopyReason(isFirstConnection: true)) == [.always])
    #expect(modes(CopyReason(isOverGap: true)) == [.whenNeeded])
    #expect(modes(CopyReason(isOverGap: true, repairsGap: true)) == Mode.allCases)
    #expect(modes(CopyReason()) == [])
  }

  /// A worker that hangs holds one of them, however many come: it takes few jobs at a time.
  @Test func `One order is carried out at a time`() throws {
    var orders = CopyOrders()
    let all = try (0..<40).map { try CopyOrder(.stop($0)) }
    for order in all { orders.add(order) }
    #expect(orders.next() === all[0])
    #expect(orders.next() == nil)
    orders.ended()
    #expect(orders.next() === all[1])
    orders.refuse(StreamerError(what: "it", why: "is over"))
    orders.ended()
    #expect(orders.next() == nil)
    guard case .failure? = all[39].wait(within: .zero) else {
      Issue.record("what waited has no answer")
      return
    }
  }

  @Test func `A row asks for what Debezium's signals ask for`() {
    func meaning(_ type: String, _ data: String) -> SignalRow.Meaning {
      SignalRow(lsn: LSN(0x10), id: "a1", type: type, data: data).meaning
    }
    #expect(
      meaning(
        "execute-snapshot",
        #"{"data-collections": ["public.a", "public.b", "public.c"], "type": "INCREMENTAL","#
          + #""additional-conditions": [{"data-collection": "public.b", "filter": "v > 1"}]}"#)
        == .commands([
          .copy(tables: ["public.a", "public.c"], filter: nil, mark: "0/10 a1 "),
          .copy(tables: ["public.b"], filter: "v > 1", mark: "0/10 a1 public.b"),
        ]))
    #expect(meaning("stop-snapshot", "") == .commands([.decide(.stopped, tables: [])]))
    #expect(
      meaning("stop-snapshot", #"{"data-collections": ["public.a"]}"#)
        == .commands([.decide(.stopped, tables: ["public.a"])]))
    #expect(meaning("pause-snapshot", "{}") == .commands([.decide(.paused, tables: [])]))
    #expect(meaning("resume-snapshot", "{}") == .commands([.decide(.active, tables: [])]))
    #expect(meaning("log", #"{"message": "hi"}"#) == .unknown)
    for data in ["", "{}", "no", #"{"data-collections": []}"#, #"{"data-collections": "a"}"#] {
      guard case .fault = meaning("execute-snapshot", data) else {
        Issue.record("\(data)")
        continue
      }
    }
  }

  @Test func `A record asks for what a row asks for`() throws {
    let partition = TopicPartition(topic: "signals", partition: 2)
    func signal(_ text: String) -> SignalRow? {
      SignalRow(value: Array(text.utf8), of: partition, at: 7)
    }
    let named = try #require(
      signal(
        #"{"id": "a1", "type": "execute-snapshot", "data": {"data-collections": ["public.a"]}}"#))
    #expect(
      named.meaning
        == .commands([.copy(tables: ["public.a"], filter: nil, mark: "signals:2:7 a1 ")]))
    let text = try #require(
      signal(
        #"{"type": "stop-snapshot", "data": "{\"data-collections\": [\"public.a\"]}"}"#))
    #expect(
      text.id == "2-7" && text.meaning == .commands([.decide(.stopped, tables: ["public.a"])]))
    #expect(
      signal(#"{"type": "resume-snapshot"}"#)?.meaning == .commands([.decide(.active, tables: [])]))
    #expect(signal(#"{"type": "log", "data": {}}"#)?.meaning == .unknown)
    for value in ["", "no", "[]", #"{"data": {}}"#, #"{"type": 1}"#] {
      #expect(signal(value) == nil)
    }
  }

  @Test func `A signal is tried until it is done or refused`() {
    let now = ContinuousClock.now
    var queue = SignalQueue()
    queue.waiting = [.stop(nil), .pause(1)]
    #expect(queue.begin(now: now) == .stop(nil) && queue.begin(now: now) == nil)
    let failure = StreamerError(what: "store", why: "full", retryable: true)
    queue.ended(.failure(failure), now: now)
    #expect(queue.begin(now: now) == nil && !queue.isEmpty)
    let later = now + Limits.signalRetry
    #expect(queue.begin(now: later) == .stop(nil))
    queue.ended(.failure(StreamerError(what: "it", why: "is refused")), now: later)
    #expect(queue.begin(now: later) == .pause(1))
    queue.ended(.success(CopyBook()), now: later)
    #expect(queue.isEmpty && queue.begin(now: later) == nil)
  }

  @Test func `A book keeps what is decided, and forgets what is long over`() {
    let table = CopySimulation.table
    var book = CopyBook([CopyRequest(number: CopyRequest.start)])
    for _ in 0..<3 { book.put(book.next(["public.t"], filter: nil, mark: nil, of: [table])) }
    #expect(book.unfinished == [1, 2, 3] && book.current?.number == 1)
    #expect(book.unfinished(of: []) == [1, 2, 3] && book.unfinished(of: ["public.x"]) == [])
    book.put(book.decided(.paused, about: 1))
    #expect(book.current?.number == 2)
    book.put(book.decided(.stopped, about: 2))
    #expect(book.current?.number == 3 && book.unfinished == [1, 3])
    // A part of it that was written down late begins nothing again.
    book = CopyBook(
      book.requests,
      book.tables.map {
        var table = $0
        table.isDone = false
        return table
      })
    #expect(book.settled.unfinished == [1, 3])
    book = book.settled
    book.put(book.decided(.active, about: nil))
    #expect(book.current?.number == 1)
    #expect(book.surplus == CopyBook())
    for _ in 0..<Limits.keptCopies + 2 {
      book.put(book.next([], filter: nil, mark: nil, of: []))
    }
    #expect(book.surplus.requests.map(\.number) == [2, 4, 5])
    book.forget(book.surplus)
    #expect(book.surplus == CopyBook() && book[CopyRequest.start] != nil && book[1] != nil)
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
