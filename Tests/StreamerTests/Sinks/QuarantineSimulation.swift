import PGWire
import Support

@testable import Streamer

/// One process whose sink holds records back: the real lane, ``QuarantineSink`` and file, over topics of
/// which one takes no large records; the seed decides on deliveries, failures and crashes.
///
/// What must hold in the end, once the topic takes them: every record is there, and in each topic the first
/// appearances are in order. What PostgreSQL was told is always in a topic or on disk.
final class QuarantineSimulation {
  struct Failure: Error, CustomStringConvertible { let description: String }

  /// What happened.
  struct Summary {
    var crashes = 0, failures = 0, held = 0, released = 0, refusals = 0
  }

  private struct Event {
    var topic: TopicID
    var size: Int
  }

  private struct Step {
    var commitLSN: UInt64
    var events: [Event]
    var endLSN: UInt64 { commitLSN + 8 }
  }

  private var random: SeededRandom
  private let path: String
  private let cluster = SimulatedTopics.Cluster()
  private var steps: [Step] = []
  private var stored = LSN(100)
  private var quarantine: Quarantine
  private var below: SimulatedTopics
  private var lane: Lane<LSN>
  private var next: (step: Int, ordinal: Int?) = (0, nil)
  private var job: (@Sendable () -> StreamerError?)?
  private(set) var summary = Summary()

  /// `folder` is where the file lies.
  init(seed: UInt64, folder: String) throws {
    var random = SeededRandom(seed: seed)
    path = "\(folder)/\(seed).sqlite"
    var lsn: UInt64 = 200
    for _ in 0..<150 {
      let events = (0..<Int.random(in: 0...4, using: &random)).map { _ in
        let topic = TopicID.random(in: 0..<3, using: &random)
        let isLarge = topic == 1 && Int.random(in: 0..<12, using: &random) == 0
        return Event(topic: topic, size: isLarge ? 300 + Int(topic) : 40)
      }
      steps.append(Step(commitLSN: lsn, events: events))
      lsn += 32
    }
    // Of some the client knows, of others the broker only.
    cluster.clientLimit = Bool.random(using: &random) ? 200 : .max
    cluster.brokerLimit = 200
    quarantine = Quarantine(path: path, limit: .max)
    below = SimulatedTopics(cluster)
    lane = Lane(name: "k", sink: below, position: .zero)
    self.random = random
    try begin()
  }

  /// Plays so many steps, then mends the topic, lets everything come to rest, and judges.
  func run(steps count: Int) throws {
    for _ in 0..<count { try play() }
    cluster.clientLimit = .max
    cluster.brokerLimit = .max
    try crash()
    for _ in 0..<20_000 {
      read(.random(in: 0...3, using: &random))
      below.deliver(.random(in: 1...50, using: &random), &random)
      try turn()
      if Bool.random(using: &random) { runJob() }
      save()
      if stored == LSN(9_999), lane.quarantine?.held.isEmpty == true, lane.isIdle {
        return try judge()
      }
    }
    throw Failure(description: "it did not come to rest: \(stored), \(lane.quarantine?.held ?? [])")
  }

  private func play() throws {
    switch Int.random(in: 0..<16, using: &random) {
    case 0..<4: read(Int.random(in: 1...12, using: &random))
    case 4..<7: below.deliver(Int.random(in: 1...12, using: &random), &random)
    case 7..<10: try turn()
    case 10, 11: runJob()
    case 12, 13: save()
    case 14 where chance(6): try crash()
    case 15 where chance(6):
      below.error = StreamerError(what: "broker", retryable: true)
      try turn()
    default: break
    }
    summary.held = max(summary.held, lane.quarantine?.held.map(\.records).reduce(0, +) ?? 0)
  }

  private func chance(_ one: Int) -> Bool { Int.random(in: 0..<one, using: &random) == 0 }

  private func makeSink() -> QuarantineSink {
    below = SimulatedTopics(cluster)
    return QuarantineSink(below, name: "k", quarantine, log: Log(level: .error, descriptor: -1))
  }

  /// A process begins where its store says.
  private func begin() throws {
    quarantine = Quarantine(path: path, limit: .max)
    lane = Lane(name: "k", sink: makeSink(), position: stored)
    job = nil
    try open()
  }

  private func open() throws {
    try lane.sink.open()
    _ = lane.sink.prepare(topics: SimulatedTopics.names)
    lane.opened()
    lane.resume(at: lane.confirmed)
    next = (steps.firstIndex { $0.endLSN > lane.confirmed.value } ?? steps.count, nil)
  }

  private func crash() throws {
    summary.crashes += 1
    // What was on its way may have arrived.
    below.deliver(.random(in: 0...20, using: &random), &random)
    // And what was being written may be on disk.
    if Bool.random(using: &random) { _ = job?() }
    try begin()
  }

  private func read(_ count: Int) {
    for _ in 0..<count {
      guard next.step < steps.count else {
        lane.endCut(before: LSN(9_999))
        lane.keepalive(walEnd: LSN(9_999))
        break
      }
      let step = steps[next.step]
      guard let ordinal = next.ordinal else {
        guard lane.canBegin else { break }
        lane.begin(Transaction(xid: 7, commitLSN: LSN(step.commitLSN), commitTime: 0))
        next.ordinal = 0
        continue
      }
      if ordinal == step.events.count {
        lane.commit(endLSN: LSN(step.endLSN))
        next = (next.step + 1, nil)
      } else {
        add(step, ordinal)
        next.ordinal = ordinal + 1
      }
    }
    lane.flush()
  }

  private func add(_ step: Step, _ ordinal: Int) {
    guard lane.wants(UInt64(ordinal)) else { return }
    let (first, start, event) = (lane.batch.count, lane.batch.bytes.count, step.events[ordinal])
    lane.batch.bytes.append(string: Self.value(step, ordinal))
    let end = lane.batch.bytes.count
    lane.batch.add(
      key: nil, value: start..<end, route: Route(topic: event.topic, table: "t"),
      ticket: lane.ticket)
    lane.produced(
      from: first, EventPlace(lsn: LSN(step.commitLSN), ordinal: UInt64(ordinal)), table: "t")
  }

  private static func value(_ step: Step, _ ordinal: Int) -> String {
    let name = "\(step.commitLSN) \(ordinal) "
    return name + String(repeating: "x", count: step.events[ordinal].size - name.utf8.count)
  }

  private func turn() throws {
    do {
      try lane.takeReports()
    } catch {
      guard error.isRetryable else { throw error }
      summary.failures += 1
      if error.hint.contains("held") { summary.refusals += 1 }
      lane.restart(with: makeSink())
      job = nil
      return try open()
    }
    if job == nil { job = lane.sink.durabilityJob() }
  }

  private func runJob() {
    guard let job = job.take() else { return }
    let before = lane.quarantine?.held.count ?? 0
    lane.sink.durabilityJobEnded(job())
    if lane.quarantine?.held.count ?? 0 < before { summary.released += 1 }
  }

  private func save() { stored = max(stored, lane.confirmed) }

  private func judge() throws {
    for topic in TopicID(0)..<3 {
      let wanted = steps.flatMap { step in
        step.events.indices.filter { step.events[$0].topic == topic }.map { Self.value(step, $0) }
      }
      var seen: Set<String> = []
      let found = cluster.records[Int(topic)].filter { seen.insert($0).inserted }
      guard found != wanted else { continue }
      let index = zip(found, wanted).enumerated().first { $0.element.0 != $0.element.1 }?.offset
      throw Failure(
        description: "topic \(topic): \(found.count) of \(wanted.count) records, out of order from "
          + "\(index.map(String.init) ?? "nowhere") on")
    }
  }
}

/// A sink with three topics, whose records arrive, in the order of each, when the seed says so.
private final class SimulatedTopics: Sink {
  /// What all sinks write to.
  final class Cluster {
    var records: [[String]] = [[], [], []]
    var clientLimit = Int.max
    var brokerLimit = Int.max
  }

  static let names = ["a", "b", "c"]
  private let cluster: Cluster
  private var queues: [[(ticket: UInt64, value: String)]] = [[], [], []]
  private var receipts: [DeliveryReceipt] = []
  var error: StreamerError?

  init(_ cluster: Cluster) { self.cluster = cluster }

  var maximumRecordBytes: Int { cluster.clientLimit }
  func topic(_ number: TopicID) -> SinkTopic {
    SinkTopic(name: Self.names[Int(number)], maximumRecordBytes: cluster.clientLimit)
  }
  func prepare(topics: [String]) -> [Result<TopicID, StreamerError>] {
    topics.map { name in .success(TopicID(Self.names.firstIndex(of: name) ?? 0)) }
  }
  func send(_ batch: borrowing RecordBatch) {
    for entry in batch.entries {
      let value = entry.value.map { batch.bytes.bytes($0).text } ?? ""
      queues[Int(entry.topic)].append((entry.ticket, value))
    }
  }

  /// So many records arrive, each the first of some topic.
  func deliver(_ count: Int, _ random: inout SeededRandom) {
    for _ in 0..<count where error == nil {
      let topic = Int.random(in: 0..<3, using: &random)
      guard let first = queues[topic].first else { continue }
      let bytes = first.value.utf8.count
      guard bytes <= cluster.brokerLimit else {
        var refusal = StreamerError(what: "topic", why: "too large", exit: .preflight)
        refusal.refusedRecord = RefusedRecord(topic: Self.names[topic], bytes: bytes)
        error = refusal
        return
      }
      queues[topic].removeFirst()
      cluster.records[topic].append(first.value)
      receipts.append(DeliveryReceipt(ticket: first.ticket, count: 1, bytes: bytes))
    }
  }

  func poll(_ report: (DeliveryReceipt) -> Void) throws(StreamerError) {
    for receipt in receipts { report(receipt) }
    receipts = []
    if let error { throw error }
  }
}
