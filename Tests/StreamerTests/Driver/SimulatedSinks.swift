import PGWire
import Support

@testable import Streamer

/// The sinks of a simulated driver, the first a broker and the second a file, and what they have ever
/// made durable.
// SAFETY: the simulation runs everything, the worker's jobs included, on one thread.
final class SimulatedSinks: @unchecked Sendable {
  let topics: [SimulatedTopic]
  private(set) var current: [SimulatedDriverSink] = []
  /// Whether the sinks refuse to open, those made later too.
  var refusesToOpen = [false, false]
  /// The first rule that a sink's user broke.
  var complaint: String? { broken ?? current.lazy.compactMap(\.complaint).first }
  private var broken: String?
  private var confirmed: [LSN] = []

  init(_ history: SimulatedHistory) {
    topics = (0..<2).map { SimulatedTopic(lane: $0, history) }
  }

  static let names = ["a", "b"]

  /// The largest record that was handed over, in bytes.
  private(set) var largest = 0

  /// A process begins at stored positions; `repeating` unless the one before ended in good order.
  func start(at positions: [LSN], repeating: Bool) {
    keep()
    current = []
    confirmed = positions
    guard repeating else { return }
    for (topic, position) in zip(topics, positions) { topic.mayRepeat(from: position) }
  }

  /// What the lanes confirm now: where one whose sink is replaced begins anew.
  func note(_ confirmed: [LSN]) { self.confirmed = confirmed }

  /// What a driver makes its sinks of.
  var plans: [SinkPlan] {
    var second = TopicRouting()
    second.mappings = ["accounts", "audit", "journal"].compactMap(TablePattern.init).map {
      TopicRouting.Mapping(tables: $0, topic: "t")
    }
    let routings = [TopicRouting(fallback: "t"), second]
    return routings.indices.map { lane in
      SinkPlan(
        name: Self.names[lane], routing: routings[lane], messageTopic: lane == 0 ? "m" : nil,
        headers: false, values: ValueOptions()
      ) { [self] (_) throws(StreamerError) in
        try make(lane)
      }
    }
  }

  private func make(_ lane: Int) throws(StreamerError) -> SimulatedDriverSink {
    let sink = try SimulatedDriverSink(lane == 0 ? .broker : .file, topics[lane], of: self, lane)
    if lane < current.count {
      keep()
      topics[lane].mayRepeat(from: confirmed[lane])
      current[lane] = sink
    } else {
      current.append(sink)
    }
    return sink
  }

  private func keep() {
    for sink in current {
      broken = broken ?? sink.complaint
      largest = max(largest, sink.largest)
    }
  }
}
