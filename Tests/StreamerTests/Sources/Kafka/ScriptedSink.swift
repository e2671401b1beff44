import KafkaBridge
import PGWire
import Synchronization

@testable import Streamer

/// What the sinks of one lane were given, and how they are to behave; it outlives a sink that fails.
final class SinkScript: Sendable {
  /// A copy of a record.
  struct Record: Hashable, Sendable {
    let key: String?
    let value: String?
    let topic: TopicID
    var headers: [RecordHeader] = []
  }

  struct State: Sendable {
    var records: [Record] = []
    var topics: [String] = []
    /// How many records may be acknowledged from now on.
    var acknowledgements = Int.max
    /// The sink fails once it was given this many.
    var failsAt: Int?
    var opened = 0
  }

  let state = Mutex(State())
  let wake: EventDescriptor

  init() throws { wake = try EventDescriptor() }

  /// Everything that was given, in order.
  var records: [Record] { state.withLock { $0.records } }

  /// Lets that many more records be acknowledged.
  func acknowledge(_ count: Int) {
    state.withLock { $0.acknowledgements = count }
    wake.signal()
  }

  /// Fails when it was given that many records.
  func fail(at count: Int) { state.withLock { $0.failsAt = count } }
}

/// A sink that does as its script says.
final class ScriptedSink: Sink {
  private let script: SinkScript
  private var waiting: [DeliveryReceipt] = []

  init(_ script: SinkScript) { self.script = script }

  var eventDescriptor: CInt? { script.wake.descriptor }

  func open() { script.state.withLock { $0.opened += 1 } }

  func prepare(topics: [String]) -> [Result<TopicID, StreamerError>] {
    script.state.withLock { state in
      topics.map { topic in
        if let known = state.topics.firstIndex(of: topic) { return .success(TopicID(known)) }
        state.topics.append(topic)
        return .success(TopicID(state.topics.count - 1))
      }
    }
  }

  func send(_ batch: borrowing RecordBatch) {
    for entry in batch.entries {
      let key = entry.key.map { batch.bytes.bytes($0).text }
      let value = entry.value.map { batch.bytes.bytes($0).text }
      script.state.withLock {
        $0.records.append(
          SinkScript.Record(
            key: key, value: value, topic: entry.topic, headers: batch.headers(of: entry)))
      }
      waiting.append(DeliveryReceipt(ticket: entry.ticket, count: 1, bytes: entry.size))
    }
    script.wake.signal()
  }

  func poll(_ report: (DeliveryReceipt) -> Void) throws(StreamerError) {
    script.wake.drain()
    let count = waiting.count
    let (fails, permitted) = script.state.withLock { state in
      let fails = state.failsAt.map { state.records.count >= $0 } ?? false
      if fails { state.failsAt = nil }
      let permitted = min(state.acknowledgements, count)
      if state.acknowledgements < Int.max { state.acknowledgements -= permitted }
      return (fails, permitted)
    }
    for receipt in waiting.prefix(permitted) { report(receipt) }
    waiting.removeFirst(permitted)
    if fails { throw StreamerError(what: "sink", why: "it was told to fail", retryable: true) }
  }
}
