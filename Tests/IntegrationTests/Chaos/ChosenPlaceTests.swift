import Glibc
import Support
import Testing

extension Integration.FirstThird.ExactlyOnce {
  /// Where a start has decided to begin is in Kafka before anything is delivered: the next one finds it.
  @Suite(.needsKafka) struct ChosenPlaces {
    private func scenario(_ title: String, store: String?) throws -> Scenario {
      try Scenario(
        title,
        lines: Scenario.Lines(
          store: store, top: [#"startTimeout = "60s""#],
          sink: [#"delivery = "exactly-once""#, #"transactionalID = "{name}""#]),
        tables: "CREATE TABLE t (id int PRIMARY KEY)")
    }

    private func end(_ scenario: Scenario, of streamer: Subprocess) throws -> (Int32, String) {
      guard case .exited(let code) = try streamer.wait(within: .seconds(120)) else {
        return (-1, "")
      }
      return (code, streamer.standardError)
    }

    private func launch(_ scenario: Scenario, _ arguments: String...) throws -> Subprocess {
      try Subprocess(
        Binary.psqlStreamer,
        ["run", "--config", scenario.directory.file("psql-streamer.toml")] + arguments)
    }

    private func drop(_ scenario: Scenario) throws {
      try eventually("the slot's release") {
        try scenario.psql(
          "SELECT active FROM pg_replication_slots WHERE slot_name = '\(scenario.slot)'") == "f"
      }
      try scenario.psql("SELECT pg_drop_replication_slot('\(scenario.slot)')")
    }

    @Test(arguments: [nil, "kafka"])
    func `A slot that is lost before anything came is a gap`(store: String?) throws {
      let scenario = try scenario("chosen", store: store)
      let idle = try scenario.start()
      #expect(try scenario.stop(idle) == .exited(0))
      try drop(scenario)
      try scenario.psql("INSERT INTO t VALUES (1)")
      let (code, log) = try end(scenario, of: scenario.launch())
      #expect(code == 3)
      #expect(log.contains("the slot is gone although the position"), "\(log)")
      // What was accepted is accepted, also where nothing has come since.
      let accepted = try launch(scenario, "--accept-gap", "pg")
      try eventually("a new slot") {
        try Scenario.requireAlive(accepted)
        return try scenario.postgres.readSlots("slot_name = '\(scenario.slot)'") == 1
      }
      #expect(try scenario.stop(accepted) == .exited(0))
      let after = try scenario.start()
      try scenario.psql("INSERT INTO t VALUES (2)")
      #expect(try scenario.events(1, from: after).integers("id") == [2])
      #expect(try scenario.stop(after) == .exited(0))
    }

    @Test func `An accepted gap is not found again by a lost connection`() throws {
      let scenario = try scenario("accepted", store: nil)
      let first = try scenario.start()
      try scenario.psql("INSERT INTO t VALUES (1)")
      _ = try scenario.events(1, from: first)
      #expect(try scenario.stop(first) == .exited(0))
      try scenario.psql("INSERT INTO t VALUES (2)")
      try scenario.psql(
        "SELECT pg_replication_slot_advance('\(scenario.slot)', pg_current_wal_lsn())")
      let (code, log) = try end(scenario, of: scenario.launch())
      #expect(code == 3 && log.contains("the slot was moved to"), "\(log)")
      let accepted = try launch(scenario, "--accept-gap", "pg")
      let server = scenario.postgres
      func connects() throws {
        try eventually(within: .seconds(60), "its stream") {
          try Scenario.requireAlive(accepted)
          return try server.readSlots("slot_name = '\(scenario.slot)'") == 1
        }
      }
      try connects()
      try scenario.psql(
        """
        SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots
          WHERE slot_name = '\(scenario.slot)'
        """)
      pause(.milliseconds(500))
      try connects()
      try scenario.psql("INSERT INTO t VALUES (3)")
      #expect(try scenario.events(2, from: accepted).integers("id").sorted() == [1, 3])
      #expect(try scenario.stop(accepted) == .exited(0))
    }
  }
}
