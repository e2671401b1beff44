/// A sink whose topics can be compared with the tables of one of its sources.
struct VerifyTarget: Sendable {
  /// The source, and what it is.
  let source: SourceConfiguration
  let postgres: PostgresSourceConfiguration
  /// The sink, and what it is.
  let sink: SinkConfiguration
  let kafka: KafkaSinkConfiguration
  /// How the sink's events are routed and written.
  let setup: LaneSetup
  /// Where what was read is kept.
  let directory: String

  /// Those of a configuration: each PostgreSQL source with each of its Kafka sinks.
  static func all(of configuration: Configuration) -> [VerifyTarget] {
    var targets: [VerifyTarget] = []
    for source in configuration.sources {
      guard case .postgres(let postgres) = source.kind else { continue }
      let directory = postgres.spool.settings(store: configuration.store).directory
      for sink in configuration.sinks(of: source.name) {
        guard case .kafka(let kafka) = sink.kind else { continue }
        targets.append(
          VerifyTarget(
            source: source, postgres: postgres, sink: sink, kafka: kafka,
            setup: sink.setup(for: source.name), directory: directory))
      }
    }
    return targets
  }
}
