import PGWire
import Support
import Testing

@testable import Streamer

/// An outbox and a table beside it through lost connections, failed sinks, crashes, late answers and
/// answers that fail: whatever happens, each topic has all of its events in their order.
struct OutboxSimulation {
  /// What must always hold and did not.
  struct Violation: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
  }

  private struct Written {
    let topic: String
    let name: String
    let end: LSN
  }

  private var random: SeededRandom
  private let setup: LaneSetup
  /// All events in the order of their commits.
  private var history: [Written] = []
  /// The transactions' bytes, and where they end.
  private var transactions: [(bytes: [UInt8], end: LSN)] = []
  private var run: CapturingPipeline
  private var window: [UInt8] = []
  /// The next transaction that the server sends.
  private var next = 0
  private var asked: [TopicRequest] = []
  private var numbers: [String: TopicID] = [:]
  private var taken = 0
  /// What the topics hold.
  private var log: [(topic: String, name: String)] = []
  /// How often records waited while others went on, restarts included.
  private(set) var overtaken = 0

  init(seed: UInt64) throws {
    random = SeededRandom(seed: seed)
    setup = try OutboxFixture.setup("messages = \"outbox\"")
    run = CapturingPipeline(setup: setup)
    write()
  }

  private mutating func write() {
    let types = Int.random(in: 1...6, using: &random)
    for number in 0..<Int.random(in: 1...40, using: &random) {
      let commit = LSN(UInt64(number + 1) * 0x1000)
      let end = LSN(commit.value + 0x20)
      var server = ServerBytes()
      server.begin(commit, time: 1, xid: UInt32(number + 1))
      server.relation(OutboxFixture.relation())
      server.relation(OutboxFixture.ordinary)
      for _ in 0..<Int.random(in: 0...8, using: &random) {
        let name = "\(history.count)"
        let type = "T\(Int.random(in: 0..<types, using: &random))"
        switch Int.random(in: 0..<3, using: &random) {
        case 0:
          server.xLogData(commit, OutboxFixture.order(history.count))
          history.append(Written(topic: "orders", name: name, end: end))
        case 1:
          server.xLogData(commit, OutboxFixture.insert(name, type, name))
          history.append(Written(topic: "outbox.event.\(type)", name: name, end: end))
        default:
          let content =
            #"{"id":"\#(name)","aggregatetype":"\#(type)","aggregateid":"\#(name)","payload":1}"#
          server.xLogData(
            commit,
            ServerBytes.logical(
              transactional: true, at: commit, prefix: "outbox", Array(content.utf8)))
          history.append(Written(topic: "outbox.event.\(type)", name: name, end: end))
        }
      }
      server.commit(commit, end: end, time: 1)
      transactions.append((server.bytes, end))
    }
  }

  mutating func play(steps: Int) throws {
    for _ in 0..<steps {
      switch Int.random(in: 0..<20, using: &random) {
      case 0: reconnect()
      case 1: crash()
      case 2: restartSink()
      case 3..<7: try answer(fails: Int.random(in: 0..<4, using: &random) == 0)
      case 7..<9: run.sink.delivers.toggle()
      default: try read()
      }
      try check()
    }
    run.sink.delivers = true
    for _ in 0..<(transactions.count * 4 + 20) {
      try read(whole: true)
      try answer(fails: false)
      try check()
    }
    guard let last = transactions.last, run.confirmed == last.end else {
      throw Violation("it did not come to rest: \(run.confirmed)")
    }
    guard run.pipeline.inFlightBytes == 0 else { throw Violation("bytes are in flight at rest") }
  }

  private mutating func read(whole: Bool = false) throws {
    if next < transactions.count, whole || window.isEmpty || Bool.random(using: &random) {
      window += transactions[next].bytes
      next += 1
    }
    let count = whole ? window.count : Int.random(in: 0...window.count, using: &random)
    let consumed: Pipeline.Consumed
    do {
      let part = Array(window.prefix(count))
      consumed = try run.pipeline.consume(unsafe part.span.bytes)
    }
    window.removeFirst(consumed.count)
    for request in run.takeRequests() { run.answer(request) }
    asked += run.pipeline.takeTopicRequests()
    take()
  }

  private mutating func answer(fails: Bool) throws {
    asked.shuffle(using: &random)
    guard let request = asked.popLast() else { return take() }
    if fails {
      let error = StreamerError(what: "sink", why: "away", retryable: true)
      do throws(StreamerError) { try run.pipeline.answer([request], [.failure(error)]) } catch {
        return reconnect()
      }
      return
    }
    let name = request.topic.name
    let number = numbers[name] ?? TopicID(100 + numbers.count)
    numbers[name] = number
    try run.pipeline.answer([request], [.success(number)])
    take()
  }

  /// Lets the lane take what is delivered, and notes what the topics hold.
  private mutating func take() {
    try? run.pipeline.lanes[0].poll()
    asked += run.pipeline.takeTopicRequests()
    for index in taken..<run.sink.topics.count {
      let number = run.sink.topics[index]
      let topic = numbers.first { $0.value == number }?.key ?? "orders"
      let key = run.sink.keys[index] ?? ""
      let name = topic == "orders" ? String(key.filter(\.isNumber)) : key
      log.append((topic, name))
      if !run.pipeline.lanes[0].awaited.isEmpty { overtaken += 1 }
    }
    taken = run.sink.topics.count
  }

  /// The server sends again what is not confirmed.
  private mutating func reconnect() {
    window = []
    next = transactions.firstIndex { $0.end > run.confirmed } ?? transactions.count
    run.pipeline.connected(
      at: run.confirmed, StreamOrigin(systemIdentifier: 7, host: "h", database: "d"),
      messageTopics: [nil])
    asked += run.pipeline.takeTopicRequests()
  }

  private mutating func crash() {
    let confirmed = run.confirmed
    take()
    run = CapturingPipeline(position: confirmed, setup: setup)
    asked = []
    taken = 0
    numbers = numbers.mapValues { _ in 0 }
    for (index, name) in numbers.keys.sorted().enumerated() { numbers[name] = TopicID(100 + index) }
    window = []
    next = transactions.firstIndex { $0.end > confirmed } ?? transactions.count
  }

  /// The sink is made anew: what it has not delivered is given up, and its numbers are void.
  private mutating func restartSink() {
    take()
    run.sink.reset()
    taken = 0
    run.pipeline.disconnected()
    run.pipeline.lanes[0].restart(with: run.sink)
    run.pipeline.lanes[0].opened()
    reconnect()
  }

  /// What is confirmed is in its topic, and no topic has an event in front of one before it, but for
  /// repetitions.
  private func check() throws {
    var next: [String: Int] = [:]
    let wanted = Dictionary(grouping: history, by: \.topic)
    var places: [String: Int] = [:]
    for events in wanted.values {
      for (place, event) in events.enumerated() { places[event.name] = place }
    }
    for (topic, name) in log {
      guard let place = places[name], wanted[topic]?[place].name == name else {
        throw Violation("\(name) is in topic \(topic)")
      }
      let expected = next[topic, default: 0]
      guard place <= expected else { throw Violation("\(name) of \(topic) is too early") }
      next[topic] = max(expected, place + 1)
    }
    for event in history where event.end <= run.confirmed {
      guard let place = places[event.name], next[event.topic, default: 0] > place else {
        throw Violation("\(event.name) of \(event.topic) is confirmed and is in no topic")
      }
    }
  }
}

@Suite struct OutboxSimulationTests {
  @Test(arguments: 0..<40 as Range<UInt64>)
  func eachTopicHasItsEventsInOrder(_ seed: UInt64) throws {
    var simulation = try OutboxSimulation(seed: seed)
    do { try simulation.play(steps: 200) } catch { throw SupportError("seed \(seed): \(error)") }
  }

  /// It would say nothing of an outbox whose records never wait.
  @Test func othersOvertakeThoseThatWait() throws {
    var overtaken = 0
    for seed in 0..<20 as Range<UInt64> {
      var simulation = try OutboxSimulation(seed: seed)
      try simulation.play(steps: 200)
      overtaken += simulation.overtaken
    }
    #expect(overtaken > 20)
  }
}
