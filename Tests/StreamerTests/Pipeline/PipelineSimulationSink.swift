import PGWire
import Support

@testable import Streamer

/// What one sink of the simulation has ever made durable; it survives crashes, as a broker does.
///
/// It judges each record on arrival: whether it is one that was committed, and whether it may be
/// given at all or again.
final class SimulatedTopic {
  let lane: Int
  let history: SimulatedHistory
  /// Whether readers of the primary see a transaction; nil where nobody asks.
  var isVisible: ((SimulatedHistory.Entry) -> Bool)?
  /// Whether each event is durable and reported as such.
  private(set) var reported: [Bool]
  /// Every event in the order in which it became durable, repeats included.
  private(set) var durable: [Int] = []
  /// The first rule that was broken.
  private(set) var complaint: String?
  /// How many events came more than once.
  private(set) var repeats = 0
  private var given: Set<Int> = []
  private var start = LSN.zero
  private var firstUnreported = 0

  init(lane: Int, _ history: SimulatedHistory) {
    self.lane = lane
    self.history = history
    reported = Array(repeating: false, count: history.events.count)
  }

  /// The sink failed, or the process crashed: everything from `position` on may come again.
  func mayRepeat(from position: LSN) {
    given = []
    start = position
  }

  /// Takes a record; gives the event's number, nil when it is none.
  func take(_ json: String, key: String?) -> Int? {
    guard let event = history.byJSON[json] else {
      complain("a record is no event that was committed: \(json)")
      return nil
    }
    let expected = history.events[event]
    let keyMatches = key.map { expected.orderKey.hasSuffix(" \($0)") }
    guard keyMatches ?? expected.orderKey.hasSuffix(" ") else {
      complain("the key \(key ?? "null") does not belong to \(json)")
      return nil
    }
    if !history.wants(event, lane: lane) { complain("an excluded event was given: \(json)") }
    if !given.insert(event).inserted { complain("an event was given twice: \(json)") }
    if isVisible?(history.entries[expected.entry]) == false {
      complain("an event was given before readers of the primary see it: \(json)")
    }
    if history.entries[expected.entry].commitLSN < start {
      complain("an event before the position \(start) was given: \(json)")
    }
    return event
  }

  func makeDurable(_ event: Int) { durable.append(event) }

  func report(_ event: Int) { reported[event] = true }

  /// The commit before which everything is delivered.
  func deliveredPrefix() -> LSN {
    while firstUnreported < reported.count,
      reported[firstUnreported] || !history.wants(firstUnreported, lane: lane)
    {
      firstUnreported += 1
    }
    guard firstUnreported < reported.count else { return LSN(.max) }
    return history.entries[history.events[firstUnreported].entry].commitLSN
  }

  /// Judges the whole: nothing missing, and the order kept for each key.
  func finalComplaint() -> String? {
    if let complaint { return complaint }
    var seen: Set<Int> = []
    var last: [String: Int] = [:]
    for event in durable {
      guard seen.insert(event).inserted else {
        repeats += 1
        continue
      }
      let key = history.events[event].orderKey
      if let before = last[key], before > event {
        return "sink \(lane): of key \(key) event \(event) came after event \(before)"
      }
      last[key] = event
    }
    let wanted = history.events.indices.filter { history.wants($0, lane: lane) }
    guard let missing = wanted.first(where: { !seen.contains($0) }) else { return nil }
    return "sink \(lane): an event is missing: \(history.events[missing].json)"
  }

  private func complain(_ text: String) {
    if complaint == nil { complaint = "sink \(lane): \(text)" }
  }
}

/// A sink with partitions: records of one partition become durable in order, partitions by chance,
/// and both reports and failures come when the simulation says so.
final class SimulatedSink: Sink {
  private struct Waiting {
    let event: Int
    let ticket: UInt64
    let size: Int
  }

  private let topic: SimulatedTopic
  private var partitions: [[Waiting]] = Array(repeating: [], count: 4)
  private var unreported: [Waiting] = []
  private var hasFailed = false
  /// Bytes taken and not reported as durable.
  private(set) var inFlightBytes = 0
  /// The largest record taken, in bytes.
  private(set) var largest = 0

  init(_ topic: SimulatedTopic) { self.topic = topic }

  func send(_ batch: borrowing RecordBatch) {
    for entry in batch.entries {
      let key = entry.key.map { batch.bytes.bytes($0).text }
      let value = entry.value.map { batch.bytes.bytes($0).text } ?? "null"
      guard let event = topic.take(value, key: key) else { continue }
      let partition = Int(UInt32(bitPattern: entry.partitionHash) % 4)
      partitions[partition].append(Waiting(event: event, ticket: entry.ticket, size: entry.size))
      inFlightBytes += entry.size
      largest = max(largest, entry.size)
    }
  }

  func poll(_ report: (DeliveryReceipt) -> Void) throws(StreamerError) {
    if hasFailed { throw StreamerError(what: "sink", why: "it was told to fail", retryable: true) }
    for waiting in unreported {
      topic.report(waiting.event)
      inFlightBytes -= waiting.size
      report(DeliveryReceipt(ticket: waiting.ticket, count: 1, bytes: waiting.size))
    }
    unreported = []
  }

  /// How many records wait in each partition, and how many reports, for an error's text.
  var summary: String {
    "\(partitions.map(\.count)) waiting, \(unreported.count) unreported, failed \(hasFailed)"
  }

  /// Makes a few records of one partition durable; they are reported by the next poll.
  func deliver(using random: inout SeededRandom) {
    let partition = Int.random(in: 0..<4, using: &random)
    let count = min(partitions[partition].count, Int.random(in: 1...5, using: &random))
    for waiting in partitions[partition].prefix(count) { topic.makeDurable(waiting.event) }
    unreported += partitions[partition].prefix(count)
    partitions[partition].removeFirst(count)
  }

  /// Fails, or goes down with the process: what waits is delivered in part, and never reported.
  func fail(using random: inout SeededRandom) {
    for partition in partitions.indices {
      let count = Int.random(in: 0...partitions[partition].count, using: &random)
      for waiting in partitions[partition].prefix(count) { topic.makeDurable(waiting.event) }
      partitions[partition] = []
    }
    hasFailed = true
  }
}
