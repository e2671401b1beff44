import KafkaBridge
import PGWire
import Support

@testable import Streamer

/// Keeps every record as text and reports it as durable at once, or never.
final class CapturingSink: Sink {
  /// The values, in order.
  private(set) var values: [String] = []
  /// Their keys; nil for a record without one.
  private(set) var keys: [String?] = []
  /// Keys and values as they are, for formats that are no text.
  private(set) var records: [(key: [UInt8]?, value: [UInt8]?)] = []
  /// The headers of all of them, in order.
  private(set) var headers: [String] = []
  /// What decides their partitions.
  private(set) var partitionHashes: [Int32] = []
  /// The numbers of their topics.
  private(set) var topics: [TopicID] = []
  /// Their own times.
  private(set) var times: [Int64?] = []
  /// The largest record that it takes.
  var maximumRecordBytes = Int.max
  /// Whether records are reported as durable.
  var delivers = true
  /// What the next poll throws.
  var error: StreamerError?
  private var receipts: [DeliveryReceipt] = []

  /// Forgets what it was given.
  func reset() {
    values = []
    keys = []
    topics = []
    times = []
    receipts = []
  }

  func send(_ batch: borrowing RecordBatch) {
    for entry in batch.entries {
      values.append(entry.value.map { batch.bytes.bytes($0).text } ?? "null")
      keys.append(entry.key.map { batch.bytes.bytes($0).text })
      records.append(
        (
          entry.key.map { batch.bytes.bytes($0).copied },
          entry.value.map { batch.bytes.bytes($0).copied }
        ))
      partitionHashes.append(entry.partitionHash)
      topics.append(entry.topic)
      times.append(batch.time(of: entry))
      headers += batch.headers(of: entry).map {
        "\($0.name)=\(String(decoding: $0.value ?? [], as: UTF8.self))"
      }
      receipts.append(DeliveryReceipt(ticket: entry.ticket, count: 1, bytes: entry.size))
    }
  }

  func topic(_ number: TopicID) -> SinkTopic {
    SinkTopic(name: "events", maximumRecordBytes: maximumRecordBytes)
  }

  func poll(_ report: (DeliveryReceipt) -> Void) throws(StreamerError) {
    if let error = error.take() { throw error }
    guard delivers else { return }
    for receipt in receipts { report(receipt) }
    receipts = []
  }
}

/// Notes what it is given and how far it is told that is.
final class KeepingSink: TransactionalSink {
  var topics: [TopicID] = []
  var places: [ReadPlace] = []
  let isClaimed = false
  func claim() throws(StreamerError) -> KeptPosition? { nil }
  func begin(_ identity: PositionIdentity, options: String, at place: ReadPlace) {}
  func reached(_ place: ReadPlace) { places.append(place) }
  let awaitsBoundary = false
  let isUncommitted = false
  func takeCommitted() -> LSN? { nil }
  func hurry() {}
  func send(_ batch: borrowing RecordBatch) { topics += batch.entries.map(\.topic) }
  func poll(_ report: (DeliveryReceipt) -> Void) throws(StreamerError) {}
}

/// A pipeline with one lane into a ``CapturingSink``, fed with a server's bytes.
final class CapturingPipeline {
  let sink = CapturingSink()
  var pipeline: Pipeline
  /// The primary key that the catalog would name.
  var catalogKey: [String] = []
  /// The numbers that a registry would give the table's schemas.
  var schemas: SchemaNumbers?
  /// The types that the catalog would describe.
  var types = TypeCatalog()
  /// The number of a table's topic.
  var topicNumber: (Relation) -> TopicID = { _ in 1 }
  /// Whether look-ups are answered as soon as they are asked for.
  var answers = true
  /// The numbers of the topics that outboxes have named, from 100 on; nil leaves the requests to the
  /// test.
  var topicNumbers: [String: TopicID]?
  /// How often look-ups were taken, and how many at each time.
  private(set) var taken: [Int] = []
  /// All look-ups that were asked for.
  private(set) var requests: [TableRequest] = []
  /// Bytes of open transactions in files.
  var spooledBytes: Int { pipeline.spool.fileBytes }
  /// Up to where the lane has confirmed.
  var confirmed: LSN { pipeline.lanes[0].confirmed }
  /// What the lane has counted.
  var counts: LaneCounts { pipeline.lanes[0].counts }

  private static let origin = StreamOrigin(systemIdentifier: 7, host: "h", database: "d")

  init(
    position: LSN = .zero, capacity: Int = 16, inFlightLimit: Int = 1 << 20,
    maxRowSize: Int = Limits.rowBytes, invalidUTF8: InvalidUTF8? = nil,
    setup: LaneSetup = LaneSetup(routing: .init(fallback: "t")),
    messageTopic: TopicID? = 0, deadLetterTopic: TopicID? = nil,
    transactionTopic: TopicID? = nil,
    spool: Spool.Settings = Spool.Settings(directory: "/nowhere", memory: 1 << 20)
  ) {
    let lanes = LaneSet(count: 1) { [sink] _ in
      Lane(name: "sink", sink: sink, position: position, isOpen: true, capacity: capacity)
    }
    pipeline = Pipeline(
      lanes: lanes, setups: [setup],
      settings: Pipeline.Settings(
        source: "db", inFlightLimit: inFlightLimit, maxRowSize: maxRowSize,
        invalidUTF8: invalidUTF8 ?? .replace, spool: spool),
      observer: PipelineObserver(
        source: SourceStatus(name: "s", type: "postgres"),
        sinks: [SinkStatus(name: "sink", type: "kafka")], metrics: Metrics()))
    var origin = Self.origin
    origin.holdsAnyBytes = invalidUTF8 != nil
    pipeline.connected(
      at: position, origin, messageTopics: [messageTopic], deadLetterTopics: [deadLetterTopic],
      transactionTopics: [transactionTopic])
  }

  /// A new connection after the old one was lost.
  func reconnect() { pipeline.connected(at: confirmed) }

  /// What came of streamed transactions since the last call.
  func takeStreamEnds() -> [StreamReplay.Summary] { pipeline.takeStreamEnds() }

  /// Feeds what `write` puts together; look-ups are answered at once unless ``answers`` is false.
  func feed(_ write: (inout ServerBytes) -> Void) throws(StreamFault) {
    var server = ServerBytes()
    write(&server)
    var bytes = server.bytes
    while true {
      let consumed = try pipeline.consume(unsafe bytes.span.bytes)
      bytes.removeFirst(consumed.count)
      let answered = takeRequests()
      if answers { for request in answered { answer(request) } }
      if topicNumbers != nil { answerTopics() }
      switch consumed.pause {
      case .replaying: continue
      case .lookUp where answers: continue
      case .budget where topicNumbers != nil && !bytes.isEmpty && sink.delivers: continue
      case .needsBytes: precondition(bytes.isEmpty, "whole messages are read whole")
      default: break
      }
      break
    }
    rest = bytes
    try? pipeline.lanes[0].poll()
  }

  /// Answers the requests for topics of an outbox.
  func answerTopics() {
    let requests = pipeline.takeTopicRequests()
    let answers = requests.map { request in
      let number = topicNumbers?[request.topic.name] ?? TopicID(100 + (topicNumbers?.count ?? 0))
      topicNumbers?[request.topic.name] = number
      return Result<TopicID, StreamerError>.success(number)
    }
    try? pipeline.answer(requests, answers)
    pipeline.lanes.flush()
  }

  /// The names of the topics that the records went to.
  var topics: [String] {
    sink.topics.map { number in
      topicNumbers?.first { $0.value == number }?.key ?? "\(number)"
    }
  }

  /// What of the last feed was not read.
  private(set) var rest: [UInt8] = []

  /// The look-ups that have been asked for since the last call.
  func takeRequests() -> [TableRequest] {
    let new = pipeline.takeRequests()
    if !new.isEmpty { taken.append(new.count) }
    requests += new
    return new
  }

  /// Answers a look-up.
  func answer(_ request: TableRequest) {
    pipeline.answer(
      request,
      TableAnswer(
        catalogKey: catalogKey, types: types,
        topics: request.topics.map { _ in topicNumber(request.relation) },
        schemas: request.topics.map { _ in schemas }))
  }

  /// Reads on in what the last feed has left.
  func goOn() throws(StreamFault) {
    let bytes = rest
    try feed { $0.append(bytes) }
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
        while true {
          let consumed = try pipeline.consume(feed.window)
          feed.consume(consumed.count)
          try pipeline.lanes[0].poll()
          for request in takeRequests() {
            pipeline.answer(
              request, try feed.answer(to: request, topics: request.topics.map { _ in 1 }))
          }
          if consumed.pause == .needsBytes { break }
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
