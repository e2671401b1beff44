import PGWire
import Support

@testable import Streamer

/// Keeps every record as text and reports it as durable at once, or never.
final class CapturingSink: Sink {
  /// The values, in order.
  private(set) var values: [String] = []
  /// Their keys; nil for a record without one.
  private(set) var keys: [String?] = []
  /// Whether records are reported as durable.
  var delivers = true
  private var receipts: [DeliveryReceipt] = []

  func send(_ batch: borrowing RecordBatch) {
    for entry in batch.entries {
      values.append(batch.bytes.bytes(entry.value).text)
      keys.append(entry.key.map { batch.bytes.bytes($0).text })
      receipts.append(DeliveryReceipt(ticket: entry.ticket, count: 1, bytes: entry.size))
    }
  }

  func poll(_ report: (DeliveryReceipt) -> Void) {
    guard delivers else { return }
    for receipt in receipts { report(receipt) }
    receipts = []
  }
}

/// A pipeline with one lane into a ``CapturingSink``, fed with a server's bytes.
final class CapturingPipeline {
  let sink = CapturingSink()
  let lane: Lane
  private(set) var pipeline: Pipeline
  /// The primary key that the catalog would name.
  var catalogKey: [String] = []
  /// Bytes of open transactions in files.
  var spooledBytes: Int { pipeline.spool.fileBytes }

  init(
    position: LSN = .zero, capacity: Int = 16, inFlightLimit: Int = 1 << 20,
    spool: Spool.Settings = Spool.Settings(directory: "/nowhere", memory: 1 << 20)
  ) {
    lane = Lane(
      name: "sink", routing: TopicRouting(fallback: "t"), sink: sink,
      encoder: EventEncoder(
        systemIdentifier: 7, host: "h", database: "d", options: ValueOptions()),
      position: position, capacity: capacity)
    lane.messageRoute = Route(topic: 0, table: "")
    pipeline = Pipeline(
      lanes: [lane], database: "d", inFlightLimit: inFlightLimit,
      spool: spool,
      observer: PipelineObserver(
        source: SourceStatus(name: "s", type: "postgres"),
        sinks: [SinkStatus(name: "sink", type: "kafka")], metrics: Metrics()))
    pipeline.connected(at: position)
  }

  /// A new connection after the old one was lost.
  func reconnect() { pipeline.connected(at: lane.confirmed) }

  /// What came of streamed transactions since the last call.
  func takeStreamEnds() -> [StreamReplay.Summary] { pipeline.takeStreamEnds() }

  /// Feeds what `write` puts together; every look-up of a table is answered at once.
  func feed(_ write: (inout ServerBytes) -> Void) throws(StreamFault) {
    var server = ServerBytes()
    write(&server)
    var bytes = server.bytes
    while true {
      let count = try pipeline.consume(unsafe bytes.span.bytes)
      bytes.removeFirst(count)
      if pipeline.request == nil, pipeline.isReplaying, !pipeline.isBlocked { continue }
      guard let request = pipeline.request else { break }
      pipeline.answer(
        TableAnswer(
          catalogKey: catalogKey, types: TypeCatalog(), topics: request.topics.map { _ in 1 }))
    }
    precondition(bytes.isEmpty || pipeline.isBlocked, "whole messages are read whole")
    try? lane.poll()
  }

  /// Feeds a recording, whose connections become the pipeline's.
  func replay(_ recording: String) throws {
    var feed = try RecordingFeed(recording)
    while true {
      switch try feed.step() {
      case .ended: return
      case .noted: break
      case .connected(let start): pipeline.connected(at: start)
      case .received:
        var consumed = -1
        while consumed != 0 || pipeline.isReplaying {
          consumed = try pipeline.consume(feed.window)
          feed.consume(consumed)
          try lane.poll()
          guard let request = pipeline.request else { continue }
          pipeline.answer(try feed.answer(to: request, topics: request.topics.map { _ in 1 }))
          consumed = -1
        }
      }
    }
  }

  /// The events with their own part only: action, columns and the members after the ordinal.
  var events: [String] {
    sink.values.map { value in
      let action = Self.part(of: value, from: "\"Action\":\"", to: "\",\"WALPosition\"")
      let columns = Self.part(of: value, from: "\"Columns\":", to: ",\"Schema\"")
      let ordinal = Self.part(of: value, from: "\"Ordinal\":", to: "}")
      return "\(action) \(columns) \(ordinal)"
    }
  }

  private static func part(of text: String, from start: String, to end: String) -> Substring {
    guard let first = text.firstRange(of: start) else { return "" }
    let rest = text[first.upperBound...]
    // The last member goes on to the end of the object.
    guard end != "}", let last = rest.firstRange(of: end) else { return rest.dropLast() }
    return rest[..<last.lowerBound]
  }
}
