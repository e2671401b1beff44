import Glibc
import KafkaBridge
import PGWire
import Support
import Testing

@testable import Streamer

/// Records that a topic cannot take are held, with what follows them, and sent when it can.
///
/// `PSQL_STREAMER_SEED=N` plays run N first; `PSQL_STREAMER_QUARANTINE_SIMULATIONS=N` runs that many.
@Suite struct QuarantineTests {
  private let folder: TemporaryDirectory
  init() throws { folder = try TemporaryDirectory() }

  @Test func nothingIsLostNorOutOfOrder() throws {
    let base = SeededRandom("quarantine simulation").seed
    let count = TestEnvironment["PSQL_STREAMER_QUARANTINE_SIMULATIONS"].flatMap { UInt64($0) }
    var sum = QuarantineSimulation.Summary()
    for offset in 0..<(count ?? 100) {
      let seed = base &+ offset
      do {
        let simulation = try QuarantineSimulation(seed: seed, folder: folder.path)
        defer { sum.add(simulation.summary) }
        try simulation.run(steps: 400)
      } catch {
        Issue.record("PSQL_STREAMER_SEED=\(seed): \(error)")
        return
      }
    }
    printToStandardError("quarantine simulation: \(sum)")
    #expect(sum.crashes > 0 && sum.refusals > 0 && sum.held > 0 && sum.released > 0, "\(sum)")
  }

  @Test func headersComeBack() {
    let headers = [
      RecordHeader(name: "a", value: nil), RecordHeader(name: "", value: []),
      RecordHeader(name: "b", value: [0, 255]),
    ]
    #expect([RecordHeader](kept: headers.kept) == headers)
    #expect([RecordHeader](kept: []) == [])
    #expect([RecordHeader](kept: Array(headers.kept.dropLast())) == nil)
    #expect([RecordHeader](kept: [0, 0, 0, 9]) == nil)
  }

  @Test func theFileKeepsWhatItIsGiven() throws {
    let path = "\(folder.path)/q.sqlite"
    #expect(try QuarantineFile(path: path).open().isEmpty)
    // Looking at it makes none.
    #expect(!FileBytes.exists(path))
    let record = HeldRecord(
      topic: "t", partitionHash: -7, key: [], value: nil,
      headers: [RecordHeader(name: "h", value: [1])])
    var timed = record
    timed.time = 1_700_000_000_123
    let reason = HeldTopic.Reason(table: "public.t", place: "0/1", key: "{}", size: 9, text: "why")
    var work = QuarantineFile.Work()
    work.topics = [HeldTopic(topic: "t", reason: reason, since: "now")]
    work.records = [record, timed]
    _ = try QuarantineFile(path: path).perform(work)
    var status = stat()
    #expect(unsafe stat(path, &status) == 0 && status.st_mode & 0o777 == 0o600)
    let file = QuarantineFile(path: path)
    let held = try file.open()
    #expect(
      held.count == 1 && held[0].records == 2 && held[0].bytes == 4 && held[0].reason == reason)
    work = QuarantineFile.Work()
    work.next = ("t", 0)
    let chunk = try file.perform(work).chunk
    #expect(chunk.map(\.record) == [record, timed])
    work.delivered = ("t", chunk[0].number)
    work.next = ("t", chunk[0].number)
    let rest = try file.perform(work)
    #expect(rest.chunk.count == 1 && rest.removed.records == 1 && rest.removed.bytes == 2)
  }

  /// That is found at the start, and not when the first record has to be held.
  @Test func aMissingDirectoryIsRefused() {
    let error = #expect(throws: StreamerError.self) {
      _ = try QuarantineFile(path: "\(folder.path)/none/q.sqlite").open()
    }
    #expect(error?.exit == .preflight && error?.hint.contains("quarantine.dir") == true)
  }

  /// What is held is never taken for nothing, and never replaced.
  @Test func aDamagedFileIsRefused() throws {
    let path = "\(folder.path)/d.sqlite"
    try FileBytes.write("no database at all, but text of some length", to: path)
    let error = #expect(throws: StreamerError.self) { _ = try QuarantineFile(path: path).open() }
    #expect(error?.isRetryable == false && error?.hint.contains("is lost") == true)
  }

  /// Another `oversized` would send what comes now before what is held, and forget that: it is refused.
  @Test func whatIsHeldIsNotForgottenByAnotherSetting() throws {
    let text = """
      store = "\(folder.path)/positions.sqlite"
      [source.s]
      type = "postgres"
      dsn = "host=h dbname=d"
      publication = "p"
      replicationSlot = "s"
      [sink.k]
      type = "kafka"
      sources = ["s"]
      hosts = ["b:1"]
      topicFallback = "t"
      oversized = "ACTION"
      """
    func make(_ action: String) throws {
      let configuration = try ConfigurationFixture.parse(text.replacing("ACTION", with: action))
      _ = try PipelineFactory.plan(configuration.sinks[0], source: "s", configuration)
        .makeSink(Log(level: .error, descriptor: -1))
    }
    try make("fail")
    let reason = HeldTopic.Reason(table: "t", place: "0/1", key: nil, size: 9, text: "why")
    var work = QuarantineFile.Work()
    work.topics = [HeldTopic(topic: "t", reason: reason, since: "now")]
    work.records = [HeldRecord(topic: "t", partitionHash: 1, key: nil, value: [1])]
    _ = try QuarantineFile(path: "\(folder.path)/quarantine-s-k.sqlite").perform(work)
    try make("quarantine")
    let error = #expect(throws: StreamerError.self) { try make("fail") }
    #expect(error?.description.contains("1 records of t are held") == true)
    #expect(error?.exit == .preflight)
  }

  /// A sink that is opened twice may number its topics anew; what is held goes to its own topic.
  @Test func whatIsHeldFindsItsTopicAfterASecondOpening() throws {
    let path = "\(folder.path)/o.sqlite"
    let reason = HeldTopic.Reason(table: "t", place: "0/1", key: nil, size: 9, text: "why")
    var work = QuarantineFile.Work()
    work.topics = [HeldTopic(topic: "t", reason: reason, since: "now")]
    work.records = [HeldRecord(topic: "t", partitionHash: 1, key: nil, value: [0x61])]
    _ = try QuarantineFile(path: path).perform(work)
    let below = RenumberingSink()
    let sink = QuarantineSink(
      below, name: "k", Quarantine(path: path, limit: 1_000),
      log: Log(level: .error, descriptor: -1))
    try sink.open()
    try sink.open()
    while let job = sink.durabilityJob() {
      sink.durabilityJobEnded(job())
      try sink.poll { _ in }
    }
    #expect(below.sent == [2] && sink.held.isEmpty)
  }

  /// What was held with a schema that the registry refused goes out under the registry's number, to the
  /// partition of the key that it has then, unless something else decides that.
  @Test func heldSchemasAreNamedAnew() throws {
    let file = QuarantineFile(path: "\(folder.path)/n.sqlite")
    let schema = HeldSchema(kind: .avro, subject: "t-value", text: #""string""#)
    let number = try file.number(of: schema, topic: "t")
    #expect(try file.number(of: schema, topic: "t") == number && number > HeldSchema.first)
    #expect(try file.number(of: schema, topic: "u") != number)
    #expect(try file.schema(number, topic: "t") == schema)
    #expect(throws: StreamerError.self) { try file.schema(number, topic: "u") }
    let place: [UInt8] = [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: number >> $0) }
    let key = [0] + place + [2]
    let renamed: [UInt8] = [0, 0, 0, 1, 3, 2]
    func hash(_ bytes: [UInt8]) -> Int32 {
      unsafe bytes.withUnsafeBytes { unsafe Murmur2.hash($0) }
    }
    for (before, after) in [(hash(key), hash(renamed)), (7, 7)] {
      var record = HeldRecord(
        topic: "t", partitionHash: before, key: key, value: [0] + place + [9, 9])
      #expect(record.heldNumbers == [number, number])
      record.rename([number: 259])
      #expect(record.key == renamed && record.value == [0, 0, 0, 1, 3, 9, 9])
      #expect(record.partitionHash == after)
    }
    // Numbers of registries, JSON and nothing stay.
    for bytes in [[0, 0, 0, 1, 3, 2], Array("{\"a\":1}".utf8), [], [0, 255]] as [[UInt8]] {
      #expect(HeldRecord(topic: "t", partitionHash: 0, key: bytes, value: nil).heldNumbers.isEmpty)
    }
    try file.forgetSchemas()
    #expect(throws: StreamerError.self) { try file.schema(number, topic: "t") }
  }

  /// At its limit the sink fails, and the record that had no room is not confirmed.
  @Test func aFullQuarantineStops() throws {
    let below = CapturingSink()
    below.maximumRecordBytes = 10
    let quarantine = Quarantine(path: "\(folder.path)/f.sqlite", limit: 50)
    let sink = QuarantineSink(below, name: "k", quarantine, log: Log(level: .error, descriptor: -1))
    var lane = Lane<LSN>(name: "k", sink: sink, position: LSN(100))
    try sink.open()
    lane.opened()
    var errors: [StreamerError] = []
    for number in UInt64(1)...4 {
      lane.begin(Transaction(xid: 7, commitLSN: LSN(number * 200), commitTime: 0))
      let first = lane.batch.count
      lane.batch.add(
        key: nil, value: Array(repeating: 0x61, count: 20), route: Route(topic: 0, table: "t"),
        ticket: lane.ticket)
      lane.produced(from: first, EventPlace(lsn: LSN(number), ordinal: 0), table: "public.t")
      lane.commit(endLSN: LSN(number * 200 + 8))
      lane.flush()
      if let job = sink.durabilityJob() { sink.durabilityJobEnded(job()) }
      do { try lane.takeReports() } catch { errors.append(error) }
    }
    #expect(lane.confirmed == LSN(408) && below.values.isEmpty)
    #expect(sink.held.map(\.records) == [2] && sink.held[0].reason.table == "public.t")
    #expect(errors.first?.description.contains("quarantine.limit") == true)
    #expect(errors.first?.isRetryable == false)
  }
}

extension QuarantineSimulation.Summary {
  fileprivate mutating func add(_ other: Self) {
    crashes += other.crashes
    failures += other.failures
    held += other.held
    released += other.released
    refusals += other.refusals
  }
}

/// Gives a topic another number each time that it is opened.
private final class RenumberingSink: Sink {
  private var openings: TopicID = 0
  private var receipts: [DeliveryReceipt] = []
  private(set) var sent: [TopicID] = []

  func open() throws(StreamerError) { openings += 1 }
  func prepare(topics: [String]) -> [Result<TopicID, StreamerError>] {
    topics.map { _ in .success(openings) }
  }
  func send(_ batch: borrowing RecordBatch) {
    for entry in batch.entries {
      sent.append(entry.topic)
      receipts.count(entry)
    }
  }
  func poll(_ report: (DeliveryReceipt) -> Void) {
    for receipt in receipts { report(receipt) }
    receipts = []
  }
}
