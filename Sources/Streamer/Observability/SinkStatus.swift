import Synchronization

/// What a sink tells about itself: the worst of its lanes and the sums over them.
///
/// A class, because the pipelines' threads, the HTTP thread and the ticker share it.
final class SinkStatus: Sendable {
  /// The sink's name in the configuration.
  let name: String
  /// The sink's type in the configuration: "kafka", "stub_log".
  let type: String

  private let beginning = StateRecord(state: .starting, since: .now, error: nil)
  private let list = Mutex<[LaneStatus]>([])

  /// Makes the status of a sink that is starting.
  init(name: String, type: String) {
    self.name = name
    self.type = type
  }

  /// The way from that source; the same one again for a pipeline that is made anew, so that its
  /// totals go on.
  func lane(of source: String) -> LaneStatus {
    list.withLock { list in
      if let known = list.first(where: { $0.source == source }) { return known }
      let lane = LaneStatus(source: source)
      list.append(lane)
      return lane
    }
  }

  /// The ways from all sources, in the order in which they were made.
  var lanes: [LaneStatus] { list.withLock { $0 } }

  /// The state of the lane that is worst off; of equal ones, that of the first to be so.
  var state: StateRecord {
    lanes.map(\.state).max { a, b in
      (a.state.gravity, b.since) < (b.state.gravity, a.since)
    } ?? beginning
  }

  /// Bytes handed over and not yet acknowledged.
  var inFlightBytes: UInt64 { sum { $0.inFlightBytes.value } }
  /// How many events the sink was given.
  var total: UInt64 { sum { $0.total.value } }
  /// How many events were left out, for whatever reason.
  var noTopic: UInt64 { sum { $0.noTopic.value } }
  /// How many events came again and had been given before.
  var skipped: UInt64 { sum { $0.skipped.value } }
  /// How many deliveries have failed.
  var errors: UInt64 { sum { $0.errors.value } }
  /// How many changes went to the dead letter topic.
  var deadLetters: UInt64 { sum { $0.deadLetters.value } }
  /// How many records the sink has acknowledged.
  var kafkaMessages: UInt64 { sum { $0.kafkaMessages.value } }

  private func sum(_ number: (LaneStatus) -> UInt64) -> UInt64 {
    lanes.reduce(0) { $0 &+ number($1) }
  }
}
