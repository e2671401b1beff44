import Testing

@testable import Streamer

@Suite struct ConfigurationMigrationTests {
  @Test func everyKeyOfTheSeedMigratesAndLoads() throws {
    let text = try ConfigurationMigration.migrate(
      text: SeedConfigurationTests.everyKey, file: "old.toml")
    let new = try ConfigurationFixture.parse(text)
    let old = try ConfigurationFixture.parse(SeedConfigurationTests.everyKey)
    #expect(new.store == "/tmp/psql-streamer.positions.db")
    #expect(new.sources == old.sources)
    #expect(new.sinks == old.sinks)
    #expect(new.notes.isEmpty, "nothing is left to say")
    #expect(text.contains("# maxAttempts = 3\n"))
    #expect(!text.contains("\nboltdb"))
  }

  @Test func onlyWhatMustChangeChanges() throws {
    let old = """
      # keep me
      BoltDB   =  'C:\\x.bolt' # and me\r
      tickerInterval = 2500000000   # nanoseconds
      [source."ü"]
      type = "postgres"
      dsn = "user=u password=a${b}"
      publication = "p"
      replicationSlot = "s"
        timeout = "3000000"
      colour = "blue"
      [sink]
      k = { type = "kafka", sources = ["ü"], hosts = ["h:1"], topicFallback = "f", async = true, \
      requiredAcks = 0, maxAttempts = 2 }
      """
    #expect(
      try ConfigurationMigration.migrate(text: old, file: "o.toml") == """
        # Rewritten by `psql-streamer config migrate` from o.toml.
        # What was changed has a comment that begins with "migrated:".
        # keep me
        # migrated: boltdb is now store, a new file of another kind; to go on where the \
        old program stopped, set walPositionOverride of each source to \(SeedStore.lastPosition).
        store   =  "C:\\\\x.positions.db" # and me
        # migrated: a number without a unit counted nanoseconds.
        tickerInterval = "2500ms"   # nanoseconds
        [source."ü"]
        type = "postgres"
        dsn = "user=u password=a$${b}"
        publication = "p"
        replicationSlot = "s"
          # migrated: a number without a unit counted nanoseconds.
          timeout = "3ms"
        # migrated: the key is unknown and was ignored before.
        # colour = "blue"
        [sink]
        # migrated: true could lose events; where that is wanted, write allowLoss = true beside it.
        # migrated: 0 could lose events; where that is wanted, write allowLoss = true beside it.
        # migrated: sending is retried until it succeeds.
        k = { type = "kafka", sources = ["ü"], hosts = ["h:1"], topicFallback = "f", async = false, \
        requiredAcks = -1, maxAttempts = 2 }

        """)
  }

  @Test func whatCannotBeRewrittenIsAnErrorAtItsOldLine() {
    let old = """
      boltdb = "x"
      [source.db1]
      type = "postgres"
      dsn = "host=x"
      publication = "p"
      replicationSlot = "Slot"
      [sink.k]
      type = "stub_log"
      sources = ["db1"]
      [sink.k.extra]
      a = 1
      """
    let error = #expect(throws: ConfigurationErrors.self) {
      try ConfigurationMigration.migrate(text: old, file: "o.toml")
    }
    #expect(
      error?.description == """
        psql-streamer: o.toml:6: source.db1.replicationSlot: found "Slot", expected a slot's name: \
        1 to 63 lower-case letters, digits and underscores.
        psql-streamer: o.toml:10: sink.k.extra: found an unknown key, expected a key of a stub_log \
        sink. They are: bytea, cloudevents, debezium, debug, flat, format, geometry, interval, \
        json, keyFormat, numeric, onSchemaError, registry, schemaStyle, sources, table, type, verbose.
        """)
  }

  @Test func syntaxErrorKeepsItsPlace() {
    let error = #expect(throws: ConfigurationErrors.self) {
      try ConfigurationMigration.migrate(text: "a = 1\nb = \n", file: "o.toml")
    }
    #expect(error?.errors.first?.line == 2)
  }
}
