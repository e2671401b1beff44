/// What a sink tells about itself.
///
/// The pipelines' threads write, the HTTP thread and the ticker read. A class, because they
/// share it.
final class SinkStatus: Sendable {
  /// The sink's name in the configuration.
  let name: String
  /// The sink's type in the configuration: "kafka", "stub_log".
  let type: String

  private let cell = StateCell()

  /// Bytes handed over and not yet acknowledged.
  let inFlightBytes = AtomicCounter()
  /// How many events the sink was given.
  let total = AtomicCounter()
  /// How many events had no topic, which is a configured exclusion.
  let noTopic = AtomicCounter()
  /// How many events the sink's rules left out.
  let skipped = AtomicCounter()
  /// How many deliveries have failed.
  let errors = AtomicCounter()
  /// How many records Kafka has acknowledged.
  let kafkaMessages = AtomicCounter()

  /// Makes the status of a sink that is starting.
  init(name: String, type: String) {
    self.name = name
    self.type = type
  }

  /// The state now.
  var state: StateRecord { cell.value }

  /// Enters a state, with its cause when it is no good one.
  func enter(_ state: PipelineState, error: String? = nil, at time: UTCTime = .now) {
    cell.enter(state, error: error, at: time)
  }
}
