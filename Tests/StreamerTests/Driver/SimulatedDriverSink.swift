import PGWire
import Support

@testable import Streamer

/// A sink of a simulated driver, which outlives nothing: what it made durable stands in its topic.
///
/// As a broker it makes records durable by itself, each partition in order; as a file it does so in
/// a job of the worker, all that has gathered at once.
// SAFETY: the simulation runs everything, the worker's jobs included, on one thread.
final class SimulatedDriverSink: Sink, @unchecked Sendable {
  /// How records become durable.
  enum Kind { case broker, file }

  /// What the next calls do.
  struct Faults {
    /// The next job does nothing, or all, and fails.
    var failsNextJob = false
    var writesAllTheSame = false
  }

  private struct Waiting {
    let event: Int
    let ticket: DeliveryTracker<LSN>.Ticket
    let size: Int
  }

  let kind: Kind
  let topic: SimulatedTopic
  var faults = Faults()
  private var partitions: [[Waiting]] = Array(repeating: [], count: 4)
  private var writing: [Waiting]?
  private var unreported: [Waiting] = []
  private var failure: StreamerError?
  private let wake: EventDescriptor
  /// Bytes taken and not reported as durable.
  private(set) var inFlightBytes = 0
  /// The largest record taken, in bytes.
  private(set) var largest = 0
  private(set) var isOpen = false
  private(set) var isClosed = false
  /// The first rule that its user broke.
  private(set) var complaint: String?

  private let lane: Int
  private unowned let all: SimulatedSinks

  init(
    _ kind: Kind, _ topic: SimulatedTopic, of all: SimulatedSinks, _ lane: Int
  ) throws(StreamerError) {
    self.kind = kind
    self.topic = topic
    self.all = all
    self.lane = lane
    wake = try EventDescriptor()
  }

  var eventDescriptor: CInt? { wake.descriptor }

  /// The names of topics by their numbers.
  private var names: [String] = []
  /// The route of the last transaction, and its ticket.
  private var last: (ticket: DeliveryTracker<LSN>.Ticket, route: Int)?

  func prepare(topics: [String]) -> [Result<TopicID, StreamerError>] {
    if !isOpen || isClosed { complain("a topic was asked of a sink that is not open") }
    return topics.map { name in
      Result { () throws(StreamerError) in
        try all.prepare(name)
        if let known = names.firstIndex(of: name) { return TopicID(known) }
        names.append(name)
        return TopicID(names.count - 1)
      }
    }
  }

  /// All events of a transaction go one way, and no later transaction an older way.
  private func judge(_ ticket: DeliveryTracker<LSN>.Ticket, _ topic: TopicID) {
    guard Int(topic) < names.count else { return complain("a record has no topic") }
    let route = SimulatedSinks.route(of: names[Int(topic)])
    if let last, route < last.route || last.ticket == ticket && route != last.route {
      complain("route \(route) follows \(last.route), in one transaction \(last.ticket == ticket)")
    }
    last = (ticket, route)
  }

  func open() throws(StreamerError) {
    if isClosed { complain("a sink was opened that was closed") }
    if all.refusesToOpen[lane] {
      throw StreamerError(what: "sink", why: "it does not open", retryable: true)
    }
    isOpen = true
  }

  func send(_ batch: borrowing RecordBatch) {
    if !isOpen || isClosed { complain("records were sent to a sink that is not open") }
    for entry in batch.entries {
      judge(entry.ticket, entry.topic)
      let key = entry.key.map { batch.bytes.bytes($0).text }
      let value = entry.value.map { batch.bytes.bytes($0).text } ?? ""
      guard let event = topic.take(value, key: key) else { continue }
      let partition = kind == .file ? 0 : Int(UInt32(bitPattern: entry.partitionHash) % 4)
      partitions[partition].append(Waiting(event: event, ticket: entry.ticket, size: entry.size))
      inFlightBytes += entry.size
      largest = max(largest, entry.size)
    }
  }

  func durabilityJob() -> (@Sendable () -> StreamerError?)? {
    guard kind == .file, writing == nil, !partitions[0].isEmpty else { return nil }
    if isClosed { complain("a closed sink was asked for a job") }
    let records = partitions[0]
    partitions[0] = []
    writing = records
    return { [self] in
      if faults.failsNextJob {
        faults.failsNextJob = false
        if faults.writesAllTheSame { for record in records { topic.makeDurable(record.event) } }
        return StreamerError(what: "file", why: "it cannot be written", retryable: true)
      }
      for record in records { topic.makeDurable(record.event) }
      return nil
    }
  }

  func durabilityJobEnded(_ error: StreamerError?) {
    if isClosed { complain("a closed sink was told how a job ended") }
    guard let written = writing else { return complain("a job ended that was not asked for") }
    writing = nil
    if let error { failure = error } else { unreported += written }
    wake.signal()
  }

  func poll(_ report: (DeliveryReceipt) -> Void) throws(StreamerError) {
    wake.drain()
    if let failure { throw failure }
    for waiting in unreported {
      topic.report(waiting.event)
      inFlightBytes -= waiting.size
      report(DeliveryReceipt(ticket: waiting.ticket, count: 1, bytes: waiting.size))
    }
    unreported = []
  }

  func close(within: Duration) { isClosed = true }

  private func complain(_ text: String) { complaint = complaint ?? text }

  /// What waits in it, for an error's text.
  var summary: String {
    "\(kind): \(partitions.map(\.count)) wait, \(writing?.count ?? 0) are written, "
      + "\(unreported.count) unreported, open \(isOpen), closed \(isClosed), "
      + "failed \(failure != nil), \(inFlightBytes) bytes"
  }

  // MARK: - What the simulation does

  /// Makes a few records of one partition durable; they are reported by the next poll.
  func deliver(using random: inout SeededRandom) {
    guard kind == .broker, failure == nil else { return }
    let partition = Int.random(in: 0..<4, using: &random)
    let count = min(partitions[partition].count, Int.random(in: 1...5, using: &random))
    guard count > 0 else { return }
    for waiting in partitions[partition].prefix(count) { topic.makeDurable(waiting.event) }
    unreported += partitions[partition].prefix(count)
    partitions[partition].removeFirst(count)
    wake.signal()
  }

  /// Fails, or goes down with the process: what waits is delivered in part, and never reported.
  func fail(using random: inout SeededRandom) {
    for partition in partitions.indices where kind == .broker {
      let count = Int.random(in: 0...partitions[partition].count, using: &random)
      for waiting in partitions[partition].prefix(count) { topic.makeDurable(waiting.event) }
    }
    partitions = Array(repeating: [], count: 4)
    failure = StreamerError(what: "sink", why: "it was told to fail", retryable: true)
    wake.signal()
  }
}
