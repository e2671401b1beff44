import Glibc
import PGWire
import Support
import Testing

extension Integration.LastThird {
  /// A failover slot on the primary, and what becomes of it on the standby.
  @Suite(.serialized) struct Failover {
    @Test(arguments: [17, 18].filter { PostgresPrograms.installed[$0] != nil })
    func `A synchronised slot is refused on the standby and goes on after a promotion`(
      major: Int
    ) throws {
      let primary = try MatrixServer(major: major)
      let service = try MatrixService(primary, "followed", source: ["failover = true"])
      let standby = try PostgresServer(
        standbyOf: primary.postgres, settings: ["sync_replication_slots": "on"])
      var streamer = try service.startStreaming()
      var rows = 0
      // A new copy needs what the standby has from its creation on, and becomes permanent once the
      // primary's slot has gone past that. The worker keeps it until then; pg_sync_replication_slots
      // drops it and begins anew at each call, so that each write in between moves its aim.
      try eventually("the slot on the standby") {
        rows += 1
        try service.insert(rows...rows)
        try service.waitForRows(rows, streamer)
        try primary.sql("SELECT pg_log_standby_snapshot()")
        return try standby.psql(
          "SELECT synced AND NOT temporary FROM pg_replication_slots "
            + "WHERE slot_name = '\(service.slot)'") == "t"
      }
      try service.stop(streamer)

      let refused = try service.check(dsn: standby.dsn())
      #expect(refused.termination == .exited(3))
      #expect(refused.standardOutput.contains("kept in step with the primary by this standby"))
      #expect(refused.standardOutput.contains("after a promotion it can be read here"))

      try eventually("the standby's catching up") {
        try standby.psql("SELECT count(*) FROM followed") == "\(rows)"
      }
      try primary.postgres.stop(.immediate)
      streamer = try service.start(dsn: standby.dsn())
      try eventually("the wait for a promotion") {
        try Scenario.requireAlive(streamer)
        return streamer.standardError.contains("kept in step with the primary by this standby")
      }
      try standby.psql("SELECT pg_promote()")
      try standby.psql("INSERT INTO followed SELECT generate_series(\(rows + 1), \(rows + 5))")
      try service.waitForRows(rows + 5, streamer)
      #expect(try Set(service.rows()) == Set(1...(rows + 5)))
      streamer.send(SIGTERM)
      #expect(try streamer.wait(within: .seconds(60)) == .exited(0))
    }
  }
}
