import Support
import Testing

/// The black-box tests: the built program, a configuration file, real servers.
///
/// They run three at a time, one of each third, because most of them load a machine and wait for it in
/// turn.
@Suite(.needsPostgres, .ownThread) enum Integration {
  /// About a third of them: Kafka first of all.
  @Suite(.serialized) enum FirstThird {}

  /// Another: what users do, and existing rows.
  @Suite(.serialized) enum SecondThird {}

  /// The others: versions, sessions, what the servers themselves say.
  @Suite(.serialized) enum LastThird {}

  /// The PostgreSQL that tests share; each has a database of its own there.
  ///
  /// Whoever restarts a server starts one for itself.
  static var postgres: PostgresServer {
    get throws { try sharedPostgres.get() }
  }

  /// The Kafka that the tests of a third share; each has a topic of its own there.
  ///
  /// Whoever kills it starts it again.
  static var kafka: KafkaBroker {
    get throws {
      let name = Test.current.map { "\($0.id)" } ?? ""
      if name.contains("SecondThird") { return try secondKafka.get() }
      if name.contains("LastThird") { return try lastKafka.get() }
      return try firstKafka.get()
    }
  }

  private static let sharedPostgres = Result { try PostgresServer() }
  fileprivate static let firstKafka = Result { try KafkaBroker() }
  private static let secondKafka = Result { try KafkaBroker() }
  private static let lastKafka = Result { try KafkaBroker() }
}

extension Integration.SecondThird {
  /// Tests of a third kill their Kafka: the others' must not be the same.
  @Suite(.needsKafka) struct OwnKafka {
    @Test func `Each third has its own Kafka`() throws {
      #expect(try Integration.kafka.bootstrap != Integration.firstKafka.get().bootstrap)
    }
  }
}
