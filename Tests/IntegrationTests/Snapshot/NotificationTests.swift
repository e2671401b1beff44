import Glibc
import Support
import Testing

extension Integration.SecondThird {
  /// What a topic is told of copies.
  @Suite(.needsKafka) struct Notifications {
    private func told(_ run: Scenario, _ id: String) throws -> [JSON] {
      let records = try run.broker.records("\(run.name)_notices").compactMap(\.value)
      return try records.map { try JSON($0) }.filter { $0["id"]?.string == id }
    }

    private func expectCopyOfStart(_ run: Scenario, _ streamer: Subprocess) throws {
      try eventually(within: .seconds(60), "the copy of the start") {
        try Scenario.requireAlive(streamer)
        return streamer.standardError.contains("existing rows are copied")
      }
      let first = try told(run, "0")
      #expect(first.allSatisfy { $0["aggregate_type"]?.string == "Initial Snapshot" })
      #expect(first.first?["type"]?.string == "STARTED")
      #expect(first.last?["type"]?.string == "COMPLETED")
      let scans = first.filter { $0["type"]?.string == "TABLE_SCAN_COMPLETED" }
      let scanned = Set(
        scans.map {
          let data = $0["additional_data"]
          return
            "\(data?["scanned_collection"]?.string ?? "") \(data?["status"]?.string ?? "") "
            + "\(data?["total_rows_scanned"]?.string ?? "")"
        })
      #expect(
        scanned == [
          "public.orders SUCCEEDED 1500", "public.nothing EMPTY 0", "public.signals EMPTY 0",
        ])
      #expect(first.count { $0["type"]?.string == "IN_PROGRESS" } == 3)
    }

    @Test func `A topic is told what becomes of copies`() throws {
      let run = try Scenario(
        "notices",
        lines: Scenario.Lines(
          source: [
            #"snapshot = "initial""#, #"snapshotPause = "50ms""#,
            #"signalTable = "public.signals""#,
          ],
          sink: [#"notificationTopic = "{name}_notices""#]),
        tables: """
          CREATE TABLE orders (id int PRIMARY KEY, v int);
          INSERT INTO orders SELECT i, i FROM generate_series(1, 1500) i;
          CREATE TABLE nothing (id int PRIMARY KEY);
          CREATE TABLE signals (id text PRIMARY KEY, type text, data text);
          """)
      let streamer = try run.start()
      try expectCopyOfStart(run, streamer)
      streamer.send(SIGTERM)
      #expect(try streamer.wait(within: .seconds(60)) == .exited(0))
    }
  }
}
