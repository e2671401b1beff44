import Support
import Testing

/// The black-box tests: the built program, a configuration file, real servers.
///
/// They run two at a time, one of each half, because most of them load a machine and wait for it in
/// turn.
@Suite(.needsPostgres) enum Integration {
  /// About half of them: Kafka first of all.
  @Suite(.serialized) enum FirstHalf {}

  /// The others.
  @Suite(.serialized) enum SecondHalf {}

  /// The PostgreSQL that tests share; each has a database of its own there.
  ///
  /// Whoever restarts a server starts one for itself.
  static var postgres: PostgresServer {
    get throws { try sharedPostgres.get() }
  }

  /// The Kafka that the tests of a half share; each has a topic of its own there.
  ///
  /// Whoever kills it starts it again.
  static var kafka: KafkaBroker {
    get throws {
      let isOfSecondHalf = Test.current.map { "\($0.id)".contains("SecondHalf") } ?? false
      return try isOfSecondHalf ? otherKafka.get() : sharedKafka.get()
    }
  }

  private static let sharedPostgres = Result { try PostgresServer() }
  fileprivate static let sharedKafka = Result { try KafkaBroker() }
  private static let otherKafka = Result { try KafkaBroker() }
}

extension Integration.SecondHalf {
  /// Tests of either half kill their Kafka: the other half's must not be the same.
  @Suite(.needsKafka) struct OwnKafka {
    @Test func `Each half has its own Kafka`() throws {
      #expect(try Integration.kafka.bootstrap != Integration.sharedKafka.get().bootstrap)
    }
  }
}
