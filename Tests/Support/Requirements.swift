import Synchronization
public import Testing

extension Trait where Self == ConditionTrait {
  /// The test needs PostgreSQL's programs; without them it is skipped and says so.
  public static var needsPostgres: Self {
    .enabled("PostgreSQL's programs are needed") {
      Requirement.present(
        PostgresPrograms.search() != nil,
        else: "no PostgreSQL: install the package postgresql, or set PG_BIN")
    }
  }

  /// The test needs this major version of PostgreSQL; without it it is skipped and says so.
  public static func needsPostgres(_ version: Int) -> Self {
    .enabled("PostgreSQL \(version) is needed") {
      Requirement.present(
        PostgresPrograms.installed[version] != nil,
        else: "no PostgreSQL \(version): run make servers")
    }
  }

  /// The test needs a real Kafka broker; without a kit it is skipped and says so.
  public static var needsKafka: Self {
    .enabled("a Kafka kit is needed") {
      Requirement.present(KafkaKit.directory != nil, else: KafkaKit.reasonToSkip)
    }
  }
}

/// What a test cannot do without.
public enum Requirement {
  private static let printed = Mutex<Set<String>>([])

  /// Whether only tests run that need no server.
  public static let isUnitRun = TestEnvironment["PSQL_STREAMER_UNIT"] != nil

  /// Passes the condition on; when it is false the reason is printed, once per run.
  ///
  /// With PSQL_STREAMER_UNIT nothing is present: `make unit` runs what needs no server.
  public static func present(_ condition: Bool, else reason: String) -> Bool {
    if isUnitRun { return false }
    if !condition, printed.withLock({ $0.insert(reason).inserted }) {
      printToStandardError("skipped: \(reason)")
    }
    return condition
  }
}
