import Glibc
import Support
import Testing

extension Integration.SecondThird {
  /// SIGHUP: what can change while changes flow does, the rest is refused with a reason.
  @Suite struct Reload {
    /// New routes count from one transaction to the next, on the same connection: nothing is lost,
    /// nothing comes twice, nothing is cut.
    @Test(.needsKafka) func `Routes change between two transactions`() throws {
      let mapping = "tableTopicMapping = { \"public.t\" = \"%\" }"
      let scenario = try Scenario(
        "reload", lines: Scenario.Lines(sink: [mapping]),
        tables: "CREATE TABLE t (id serial PRIMARY KEY, x xid8 DEFAULT pg_current_xact_id())")
      let file = scenario.directory.file("psql-streamer.toml")
      let names = (0..<3).map { "\(scenario.name)_\($0)" }
      func text(_ topic: String) -> String {
        scenario.configuration.replacing("\"%\"", with: "\"\(topic)\"")
      }
      try FileBytes.write(text(names[0]), to: file)
      let streamer = try Subprocess(Binary.psqlStreamer, ["run", "--config", file])
      try eventually("the slot in use") { try walsender(of: scenario) != "" }
      let before = try walsender(of: scenario)
      let load = try Subprocess(
        scenario.postgres.program("psql"),
        [
          "-d", scenario.postgres.dsn(database: scenario.name), "-c",
          """
          DO $$ BEGIN FOR i IN 1..2000 LOOP
            INSERT INTO t SELECT FROM generate_series(1, 3); COMMIT; PERFORM pg_sleep(0.001);
            END LOOP; END $$
          """,
        ])
      for (number, name) in names.enumerated().dropFirst() {
        try eventually("rows before reload \(number)") {
          try Int(scenario.psql("SELECT count(*) FROM t")) ?? 0 > number * 1500
        }
        try FileBytes.write(text(name), to: file)
        streamer.send(SIGHUP)
        try eventually("reload \(number) in \(streamer.standardError)") {
          streamer.standardError.ranges(of: "the sinks' new settings count").count == number
        }
      }
      #expect(try load.wait(within: .seconds(60)) == .exited(0))
      try scenario.psql("INSERT INTO t DEFAULT VALUES")
      try scenario.waitUntilConfirmed(streamer)
      #expect(try walsender(of: scenario) == before)
      let events = try names.map { try scenario.broker.records($0).map { try Event($0) } }
      #expect(events.allSatisfy { !$0.isEmpty })
      #expect(events.joined().compactMap { $0["id"]?.int }.sorted() == Array(1...6001))
      // A transaction's rows went one way.
      let ways = events.map { Set($0.compactMap { $0["x"]?.string }) }
      #expect(ways.joined().count == 2001)
      #expect(ways[0].isDisjoint(with: ways[1]) && ways[1].isDisjoint(with: ways[2]))
      #expect(try scenario.stop(streamer) == .exited(0))
    }

    private func walsender(of scenario: Scenario) throws -> String {
      try scenario.postgres.psql(
        """
        SELECT active_pid FROM pg_replication_slots WHERE slot_name = '\(scenario.slot)' AND active
          AND confirmed_flush_lsn IS NOT NULL
        """
      )
    }

    /// What a sink refuses leaves everything as it was, and counts at the next signal that finds it
    /// possible.
    @Test(.needsKafka) func `A topic that is missing is refused, and taken once it is there`()
      throws
    {
      let scenario = try Scenario("remade", tables: "CREATE TABLE t (id int PRIMARY KEY)")
      let file = scenario.directory.file("psql-streamer.toml")
      let text = scenario.configuration.replacing("createTopics = \"create\"", with: "")
        .replacing("topics = { partitions = 4, replication = 1 }", with: "")
      try scenario.broker.createTopic(scenario.name)
      try FileBytes.write(text, to: file)
      let streamer = try Subprocess(Binary.psqlStreamer, ["run", "--config", file])
      try eventually("the slot in use") { try walsender(of: scenario) != "" }
      let other = "\(scenario.name)_other"
      try FileBytes.write(
        text.replacing(
          "topicFallback = \"\(scenario.name)\"", with: "topicFallback = \"\(other)\""),
        to: file)
      streamer.send(SIGHUP)
      try eventually("the refusal in \(streamer.standardError)") {
        streamer.standardError.contains("the sinks' new settings are refused")
      }
      try scenario.psql("INSERT INTO t VALUES (1)")
      try scenario.waitUntilConfirmed(streamer)
      try scenario.broker.createTopic(other)
      streamer.send(SIGHUP)
      try eventually("the new topic in \(streamer.standardError)") {
        streamer.standardError.contains("the sinks' new settings count")
      }
      try scenario.psql("INSERT INTO t VALUES (2)")
      try scenario.waitUntilConfirmed(streamer)
      for (topic, id) in [(scenario.name, 1), (other, 2)] {
        let events = try scenario.broker.records(topic).map { try Event($0) }
        #expect(events.map { $0["id"]?.int } == [id])
      }
      #expect(try scenario.stop(streamer) == .exited(0))
    }

    /// A file that is wrong changes nothing and is told of; what needs a restart is named; level,
    /// token and ticker count at once.
    @Test func `What cannot be taken over is refused with a reason`() throws {
      let run = try LocalRun(
        "reload", lines: Scenario.Lines(top: ["httpToken = \"one\"", "tickerInterval = \"0s\""]),
        tables: "CREATE TABLE t (id int PRIMARY KEY)")
      let streamer = try run.start()
      let file = run.directory.file("psql-streamer.toml")
      let text = try FileBytes.text(of: file)
      func reload(_ changed: String) throws {
        try FileBytes.write(changed, to: file)
        streamer.send(SIGHUP)
      }
      func says(_ words: String) throws {
        try eventually("\"\(words)\" in the log: \(streamer.standardError)") {
          streamer.standardError.contains(words)
        }
      }
      let flag = "psql_streamer_config_last_reload_successful"
      #expect(try run.metric(flag) == 1)

      try reload(text + "\nnonsense = 1\n[source.pg2]\ntype = \"x\"\n")
      try says("the configuration is not reloaded")
      #expect(streamer.standardError.contains("nonsense"))
      #expect(try run.metric(flag) == 0)

      try reload(
        text.replacing("httpToken = \"one\"", with: "httpToken = \"two\"\nlogLevel = \"debug\"")
          .replacing(
            "tickerInterval = \"0s\"", with: "tickerInterval = \"100ms\"\ninFlight = \"1MiB\""
          )
          .replacing("startRetryInterval = \"50ms\"", with: "startRetryInterval = \"60ms\""))
      try says("wait for a restart\" keys=\"inFlight, source.pg.startRetryInterval\"")
      try says("is reloaded\" changed=\"logLevel, httpToken, tickerInterval\"")
      try says("msg=source source=pg")
      #expect(try run.metric(flag) == 1)
      let answers = try ["one", "two"].map { token in
        try Subprocess.check(
          "curl",
          [
            "-s", "-o", "/dev/null", "-w", "%{http_code}", "-H", "Authorization: Bearer \(token)",
            "http://127.0.0.1:\(run.httpPort)/debug/off",
          ])
      }
      #expect(answers == ["401", "200"])
      try run.psql("INSERT INTO t VALUES (1)")
      #expect(try run.events(1, from: streamer).count == 1)
      #expect(try run.stop(streamer) == .exited(0))
    }
  }
}
