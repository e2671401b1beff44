import Support
import Testing

/// The black-box tests: the built program, a configuration file, real servers.
///
/// They run two at a time, one of each half, because most of them load a machine and wait for it in
/// turn.
@Suite(.needsPostgres) enum Integration {
  /// Those that need a Kafka, kill one, or measure what goes to one.
  @Suite(.serialized) enum WithKafka {}

  /// Those whose PostgreSQL is all that they need.
  @Suite(.serialized) enum WithPostgres {}

  /// The PostgreSQL that tests share; each has a database of its own there.
  ///
  /// Whoever restarts a server starts one for itself.
  static var postgres: PostgresServer {
    get throws { try sharedPostgres.get() }
  }

  /// The Kafka that tests share; each has a topic of its own there.
  ///
  /// Whoever kills it starts it again.
  static var kafka: KafkaBroker {
    get throws { try sharedKafka.get() }
  }

  private static let sharedPostgres = Result { try PostgresServer() }
  private static let sharedKafka = Result { try KafkaBroker() }
}
