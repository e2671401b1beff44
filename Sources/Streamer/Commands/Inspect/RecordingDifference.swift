import PGWire
import Recording

/// Compares what two configurations make of a recording, event by event.
///
/// Both get the same bytes at the same time, so that only the events of one piece of the recording
/// are kept.
struct RecordingDifference: ~Copyable {
  /// What was found.
  struct Counts: Hashable {
    var same = 0
    var changed = 0
    var added = 0
    var removed = 0
  }

  /// What was found.
  private(set) var counts = Counts()
  /// Events of transactions whose commit LSN lies below it are left out.
  var from = LSN.zero
  /// Events of transactions whose commit LSN lies above it are left out.
  var to = LSN(.max)
  private var feed: RecordingFeed
  private var a: RecordingSide
  private var b: RecordingSide

  /// Prepares both configurations; `source` is what the recording replaces in both.
  init(
    _ path: String, _ a: Configuration, _ b: Configuration, source: String?
  ) throws(StreamerError) {
    let feed = try RecordingFeed(path)
    let host = feed.firstConnection?.host
    let first = try RecordingSide(a, source: source, feed.header, host: host)
    let second = try RecordingSide(b, source: source, feed.header, host: host)
    self.feed = feed
    self.a = first
    self.b = second
  }

  /// How the recording ends, once it was read.
  var ending: RecordingReader.Ending? { feed.ending }

  /// Reads the recording and gives each difference as a line.
  mutating func run(_ report: (String) -> Void) throws(StreamerError) {
    while true {
      switch try feed.step() {
      case .ended: return
      case .noted: break
      case .connected(let start):
        a.connected(at: start)
        b.connected(at: start)
      case .received:
        let (consumed, other) = (try a.consume(feed), try b.consume(feed))
        compare(report)
        guard let consumed, let other else {
          feed.endConnection()
          continue
        }
        precondition(consumed == other, "both configurations read all that is there")
        feed.consume(consumed)
      }
    }
  }

  private mutating func compare(_ report: (String) -> Void) {
    let (before, after) = (a.takeEvents(), b.takeEvents())
    var rest = Dictionary(grouping: after, by: \.place)
    var lines: [(place: RecordingSide.Place, line: String)] = []
    for event in before where isWanted(event) {
      guard var others = rest[event.place], !others.isEmpty else {
        counts.removed += 1
        lines.append((event.place, "- \(event)"))
        continue
      }
      let other = others.firstIndex(of: event).map { others.remove(at: $0) } ?? others.removeFirst()
      rest[event.place] = others
      if other == event {
        counts.same += 1
      } else {
        counts.changed += 1
        lines.append((event.place, "- \(event)\n+ \(other)"))
      }
    }
    for event in rest.values.joined() where isWanted(event) {
      counts.added += 1
      lines.append((event.place, "+ \(event)"))
    }
    for line in lines.sorted(by: { $0.place < $1.place }) { report(line.line) }
  }

  private func isWanted(_ event: RecordingSide.Event) -> Bool {
    event.place.commitLSN >= from && event.place.commitLSN <= to
  }
}

/// One configuration's part of a ``RecordingDifference``: a pipeline whose sinks keep what they get.
struct RecordingSide: ~Copyable {
  /// What identifies an event in both configurations.
  struct Place: Hashable, Comparable {
    let commitLSN: LSN
    let ordinal: Int
    let topic: String

    static func < (a: Place, b: Place) -> Bool {
      (a.commitLSN, a.ordinal, a.topic) < (b.commitLSN, b.ordinal, b.topic)
    }
  }

  /// One record of a sink.
  struct Event: Hashable, CustomStringConvertible {
    let place: Place
    let key: String?
    let value: String

    var description: String {
      "\(place.commitLSN) \(place.ordinal) \(place.topic) \(key ?? "null") \(value)"
    }
  }

  private var pipeline: Pipeline
  private let sinks: [KeepingSink]
  private let schemas: SchemaBook

  init(
    _ configuration: Configuration, source name: String?, _ header: RecordingHeader, host: String?
  ) throws(StreamerError) {
    let source = try configuration.replayedSource(named: name)
    let configured = configuration.sinks(of: source.name)
    var plans = configured.map { PipelineFactory.plan($0, source: source.name, configuration) }
    // What is compared is what records say, under whatever number of their schema.
    for index in plans.indices { plans[index].list = SchemaList() }
    sinks = plans.map { KeepingSink($0.name, $0.list) }
    schemas = SchemaBook(sinks: plans, log: Log(level: .error))
    let lanes = LaneSet(count: plans.count) { [sinks] index in
      Lane(name: plans[index].name, sink: sinks[index], position: LSN.zero, isOpen: true)
    }
    let status = SourceStatus(name: source.name, type: "recording", slot: nil)
    let statuses = configured.map { SinkStatus(name: $0.name, type: $0.typeName) }
    pipeline = Pipeline(
      lanes: lanes, setups: plans.map(\.setup),
      settings: Pipeline.Settings(
        source: source.name, inFlightLimit: .max,
        spool: SpoolConfiguration().settings(store: configuration.store)),
      observer: PipelineObserver(source: status, sinks: statuses, metrics: Metrics()))
    let origin = StreamOrigin(
      systemIdentifier: UInt64(header.systemIdentifier) ?? 0, host: host ?? "",
      database: header.database)
    let topics = zip(plans, sinks).map { plan, sink in
      plan.setup.messageTopic.map { sink.prepare(topic: $0) }
    }
    pipeline.connected(at: .zero, origin, messageTopics: topics)
  }

  /// A connection begins.
  mutating func connected(at start: LSN) { pipeline.connected(at: start) }

  /// Reads the window and says how many bytes that took; nil when the server ended the stream in
  /// it.
  mutating func consume(_ feed: borrowing RecordingFeed) throws(StreamerError) -> Int? {
    var consumed = 0
    while true {
      let step: Pipeline.Consumed
      do throws(StreamFault) {
        let window = feed.window
        step = try pipeline.consume(window.extracting(consumed..<window.byteCount))
      } catch {
        guard let error = StreamerError(error, recording: feed.path) else { return nil }
        throw error
      }
      consumed += step.count
      for index in sinks.indices { try pipeline.lanes[index].poll() }
      for request in pipeline.takeRequests() {
        let topics = zip(sinks, request.topics).map { sink, topic in
          topic.map { sink.prepare(topic: $0) }
        }
        let answers = try schemas.find([request], [try feed.answer(to: request, topics: topics)])
        pipeline.answer(request, answers[0])
      }
      if step.pause == .needsBytes { return consumed }
    }
  }

  /// The events since the last call.
  mutating func takeEvents() -> [Event] { sinks.flatMap { $0.takeEvents() } }
}

/// A sink that keeps what it gets, as text.
final class KeepingSink: Sink {
  private let name: String
  private let list: SchemaList?
  private var topics: [String] = []
  private var events: [RecordingSide.Event] = []
  private var receipts: [DeliveryReceipt] = []

  init(_ name: String, _ list: SchemaList?) {
    self.name = name
    self.list = list
  }

  func prepare(topic: String) -> TopicID {
    if let known = topics.firstIndex(of: topic) { return TopicID(known) }
    topics.append(topic)
    return TopicID(topics.count - 1)
  }

  func send(_ batch: borrowing RecordBatch) {
    for entry in batch.entries {
      let value = entry.value.map { text(of: batch.bytes.bytes($0)) } ?? ""
      let document = JSONValue(Array(value.utf8))
      // Sinks without topics are told apart by their names.
      let topic = topics[Int(entry.topic)]
      let place = RecordingSide.Place(
        commitLSN: document?["CommitLSN"]?.string.flatMap { LSN($0) } ?? .zero,
        ordinal: document?["Ordinal"]?.integer ?? 0, topic: topic.isEmpty ? name : topic)
      events.append(
        RecordingSide.Event(
          place: place, key: entry.key.map { text(of: batch.bytes.bytes($0)) }, value: value))
      receipts.append(DeliveryReceipt(ticket: entry.ticket, count: 1, bytes: entry.size))
    }
  }

  /// What a record, or its key, says.
  private func text(of bytes: RawSpan) -> String {
    var json = ByteWriter()
    guard let list, list.append(bytes, to: &json) else { return bytes.text }
    return json.bytes.text
  }

  func poll(_ report: (DeliveryReceipt) -> Void) {
    for receipt in receipts { report(receipt) }
    receipts.removeAll()
  }

  /// The events since the last call.
  func takeEvents() -> [RecordingSide.Event] {
    defer { events.removeAll() }
    return events
  }
}
