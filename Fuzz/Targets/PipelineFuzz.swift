import PGWire
import Support

@testable import Streamer

/// The pipeline on a server's bytes: the same events however they arrive, each a line of JSON.
enum PipelineFuzz: FuzzTarget {
  static let name = "pipeline"

  static var seeds: [[UInt8]] {
    get throws {
      try Recordings.streams().filter { $0.count < 8_000 }.map { [1, 5] + $0 }
        + [[0, 9] + messages(try payloads())]
    }
  }

  /// One transaction, as messages of the plugin.
  private static func payloads() throws -> [[UInt8]] {
    try Recordings.messages().filter { $0.tag == .copyData && $0.body.count < 256 }
      .prefix(20).map { $0.body }
  }

  /// The form in which most mutations stay messages: a byte for the length before each.
  private static func messages(_ bodies: [[UInt8]]) -> [UInt8] {
    bodies.flatMap { [UInt8($0.count)] + $0 }
  }

  static func run(_ input: [UInt8]) throws(Violation) {
    var input = FuzzInput(input)
    let isRaw = input.byte() & 1 == 1
    var cuts = Cuts(input.byte())
    let stream = isRaw ? input.all() : framed(&input)
    let whole = try PipelineRun(stream) { stream.count }
    let cut = try PipelineRun(stream) { cuts.next(upTo: 1 << 12, usually: 300) }
    try require(
      whole.outcome == cut.outcome && whole.sink.records == cut.sink.records,
      "a stream gives \(whole) in one piece and \(cut) in parts")
    for record in whole.sink.records { try record.check() }
  }

  private static func framed(_ input: inout FuzzInput) -> [UInt8] {
    var stream: [UInt8] = []
    while !input.isEmpty {
      let body = input.bytes(Int(input.byte()))
      stream += [UInt8(ascii: "d"), 0, 0, 0, 0] + body
      let length = body.count + 4
      stream[stream.count - body.count - 2] = UInt8(length >> 8)
      stream[stream.count - body.count - 1] = UInt8(length & 0xFF)
    }
    return stream
  }
}

/// One pipeline with one lane, fed with a whole stream.
private struct PipelineRun: CustomStringConvertible {
  let sink = RecordingSink()
  private(set) var outcome: Outcome

  var description: String { "\(outcome) after \(sink.records.count) records" }

  init(_ stream: [UInt8], size: () -> Int) throws(Violation) {
    var options = ValueOptions()
    // What a server calls JSON is passed on as it is: here it may be anything.
    options.json = .string
    var pipeline = Pipeline(
      lanes: LaneSet(count: 1) { [sink] _ in
        Lane(name: "sink", sink: sink, position: LSN.zero, isOpen: true, capacity: 256)
      },
      setups: [LaneSetup(routing: TopicRouting(fallback: "t"), values: options)],
      settings: Pipeline.Settings(
        inFlightLimit: 1 << 20,
        // Kept transactions stay in memory: no input of a fuzzer fills it.
        spool: Spool.Settings(directory: "/nowhere", memory: 1 << 20)),
      observer: PipelineObserver(
        source: SourceStatus(name: "s", type: "postgres"),
        sinks: [SinkStatus(name: "sink", type: "kafka")], metrics: Metrics()))
    pipeline.connected(
      at: .zero, StreamOrigin(systemIdentifier: 7, host: "h", database: "d"), messageTopics: [0])
    outcome = .value("")
    do throws(StreamFault) {
      try Self.feed(stream, size, &pipeline)
      // Not before the end: what is confirmed already is passed over when it comes again.
      try? pipeline.lanes[0].poll()
      outcome = .value("\(pipeline.isAtRest) \(pipeline.startLSN) \(pipeline.sent)")
    } catch {
      outcome = .failure("\(error)")
    }
    try require(pipeline.startLSN <= pipeline.sent, "what the server never sent is confirmed")
  }

  private static func feed(
    _ stream: [UInt8], _ size: () -> Int, _ pipeline: inout Pipeline
  ) throws(StreamFault) {
    var window: [UInt8] = []
    var sent = 0
    while sent < stream.count {
      let count = min(size(), stream.count - sent)
      window += stream[sent..<sent + count]
      sent += count
      while true {
        let consumed = try pipeline.consume(unsafe window.span.bytes)
        window.removeFirst(consumed.count)
        for request in pipeline.takeRequests() {
          pipeline.answer(
            request,
            TableAnswer(
              catalogKey: ["id"], types: TypeCatalog(), topics: request.topics.map { _ in 1 }))
        }
        guard consumed.pause == .replaying || consumed.pause == .lookUp else { break }
      }
    }
  }
}

/// Keeps every record and reports it as durable at once.
private final class RecordingSink: Sink {
  struct Record: Hashable {
    let key: [UInt8]?
    let value: [UInt8]

    /// Key and value are lines of JSON.
    func check() throws(Violation) {
      for bytes in [key, value] {
        guard let bytes else { continue }
        try require(bytes.allSatisfy { $0 >= 0x20 }, "an event is more than one line")
        let text = String(decoding: bytes, as: UTF8.self)
        try require((try? JSON(text)) != nil, "an event is no JSON: \(text)")
      }
    }
  }

  private(set) var records: [Record] = []
  private var receipts: [DeliveryReceipt] = []

  func send(_ batch: borrowing RecordBatch) {
    for entry in batch.entries {
      records.append(
        Record(
          key: entry.key.map { batch.bytes.bytes($0).copy },
          value: entry.value.map { batch.bytes.bytes($0).copy } ?? []))
      receipts.append(DeliveryReceipt(ticket: entry.ticket, count: 1, bytes: entry.size))
    }
  }

  func poll(_ report: (DeliveryReceipt) -> Void) {
    for receipt in receipts { report(receipt) }
    receipts = []
  }
}
