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
    // What a process begins with is there.
    existing.formUnion(setups.flatMap(\.namedTopics))
    guard repeating else { return }
    for (topic, position) in zip(topics, positions) { topic.mayRepeat(from: position) }
  }

  /// What the lanes confirm now: where one whose sink is replaced begins anew.
  func note(_ confirmed: [LSN]) { self.confirmed = confirmed }

  /// The number of the setups that were asked for last: all topics have it in their names.
  private(set) var route = 0
  /// Why topics that are not there yet cannot be used; nil when they can.
  var refusesTopics: StreamerError?
  /// The topics that there are.
  private var existing: Set<String> = []
  /// The routes of topics that were refused for good.
  private(set) var refusedRoutes: Set<Int> = []

  /// What a driver makes its sinks of.
  var plans: [SinkPlan] {
    setups.enumerated().map { lane, setup in
      SinkPlan(name: Self.names[lane], setup: setup) { [self] (_, _) throws(StreamerError) in
        try make(lane)
      }
    }
  }

  /// How events are routed now.
  var setups: [LaneSetup] {
    var second = TopicRouting()
    second.mappings = ["accounts", "audit", "journal"].compactMap(TablePattern.init).map {
      TopicRouting.Mapping(tables: $0, topic: "t\(route)")
    }
    return [
      LaneSetup(routing: TopicRouting(fallback: "t\(route)"), messageTopic: "m\(route)"),
      LaneSetup(routing: second),
    ]
  }

  /// Gives other setups, by which every event goes elsewhere.
  func reroute() -> [LaneSetup] {
    route += 1
    return setups
  }

  /// The next process goes by the setups of this route.
  func restore(route: Int) {
    self.route = route
    refusesTopics = nil
  }

  /// Makes sure that a topic is there.
  func prepare(_ name: String) throws(StreamerError) {
    guard !existing.contains(name) else { return }
    if let refusesTopics {
      if !refusesTopics.isRetryable { refusedRoutes.insert(Self.route(of: name)) }
      throw refusesTopics
    }
    existing.insert(name)
  }

  /// The number of the setups that a topic belongs to.
  static func route(of topic: String) -> Int { Int(topic.dropFirst()) ?? -1 }

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
