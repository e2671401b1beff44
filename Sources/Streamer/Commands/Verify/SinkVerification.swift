import Glibc
import KafkaBridge
import PGWire

/// Compares the tables of one source with the topics of one of its sinks.
///
/// First the topics are read to their ends, then the tables at snapshots taken after that, then the
/// topics up to where they have everything that the snapshots saw. See ``RowStates`` for why nothing
/// that is on its way counts as a difference.
final class SinkVerification {
  /// A table that is compared.
  struct Subject {
    var table: SnapshotTable
    var topic: String
    /// The format of its records, and of all others in its topic.
    var format: FormatConfiguration.Name
    var finding: TableFinding
    /// Where it was emptied last, before the topic's noted end and behind it.
    var emptied: (before: UInt64, since: UInt64) = (0, 0)
  }

  let source: SourceConfiguration
  let postgres: PostgresSourceConfiguration
  let sink: SinkConfiguration
  let setup: LaneSetup
  let kafka: KafkaSinkConfiguration
  let options: CommandLineRequest.VerifyOptions
  private let directory: String
  private let progress: VerifyProgress
  /// The tables that are compared.
  private(set) var subjects: [Subject] = []
  /// Those that cannot be.
  private(set) var leftOut: [TableFinding] = []
  /// The keys of rows that the topic lacks or has otherwise, by their tables, up to a number each.
  private(set) var differing: [Int: [[UInt8]]] = [:]
  /// The keys that only the topic has, likewise.
  private(set) var extra: [Int: [[UInt8]]] = [:]
  /// What says what records have that name their schemas.
  private let texts: RecordTexts
  /// What reads the records of each format.
  private var readers: [FormatConfiguration.Name: RowRecordReader] = [:]
  private var snapshot: ServerSnapshot?
  private var buckets: KeyBuckets?
  /// What went wrong where nothing may be thrown.
  private var failure: StreamerError?
  private var fence = LSN.zero

  init(
    _ source: SourceConfiguration, _ postgres: PostgresSourceConfiguration,
    _ sink: SinkConfiguration, _ kafka: KafkaSinkConfiguration,
    _ options: CommandLineRequest.VerifyOptions, directory: String, progress: VerifyProgress
  ) {
    self.source = source
    self.postgres = postgres
    self.sink = sink
    setup = sink.setup(for: source.name)
    texts = RecordTexts(setup, sink: sink.name)
    self.kafka = kafka
    self.options = options
    self.directory = directory
    self.progress = progress
  }

  /// Compares them; adds what it finds.
  func run(_ report: inout VerifyReport) throws(StreamerError) {
    var server = try VerifyServer.connect(source, postgres, progress.breaker)
    try choose(try server.tables(), database: server.origin.database)
    guard !subjects.isEmpty else {
      report.findings += leftOut
      return
    }
    do throws(SpoolFault) { buckets = try KeyBuckets(in: directory) } catch {
      throw Self.explained(error)
    }
    let topics = try TopicReading(
      Array(Set(subjects.map(\.topic))).sorted(), of: kafka, log: Log(level: .error))
    defer { topics.close() }
    readers = Dictionary(
      uniqueKeysWithValues: Set(subjects.map(\.format)).map { format in
        (
          format,
          RowRecordReader(
            setup.written(in: format), database: server.origin.database,
            tables: subjects.map { ($0.table.relation.schema, $0.table.relation.name) })
        )
      })
    try read(topics, .before)
    try readTables(&server)
    if let remark = try server.wait(for: fence, progress) { report.remarks.append(remark) }
    try read(topics, .since)
    try compare()
    report.findings += subjects.map(\.finding) + leftOut
  }

  // MARK: - Steps

  private func choose(
    _ tables: [SnapshotTable], database: String
  ) throws(StreamerError) {
    let wanted = SnapshotConfiguration(tables: options.tables)
    var all: [Subject] = []
    for table in tables.sorted(by: { $0.name < $1.name }) {
      let (schema, name) = (table.relation.schema, table.relation.name)
      guard let topic = setup.topic(database: database, schema: schema, table: name) else {
        continue
      }
      all.append(
        Subject(
          table: table, topic: topic, format: setup.format(schema: schema, table: name),
          finding: TableFinding(sink: sink.name, table: table.name, topic: topic)))
    }
    let formats = Dictionary(grouping: all, by: \.topic).mapValues { $0.map(\.format) }
    for var subject in all {
      let relation = subject.table.relation
      guard options.tables.isEmpty || wanted.covers(schema: relation.schema, table: relation.name)
      else { continue }
      subject.finding.leftOut = VerifyScope.obstacle(
        subject.table, setup, sharing: formats[subject.topic] ?? [])
      if subject.finding.leftOut == nil {
        subjects.append(subject)
      } else {
        leftOut.append(subject.finding)
      }
    }
  }

  private func read(
    _ topics: TopicReading, _ origin: KeyEntry.Origin
  ) throws(StreamerError) {
    let byTopic = Dictionary(grouping: subjects.indices) { subjects[$0].topic }
    progress.begin(
      origin == .before ? "reading the topics" : "reading what has come since",
      total: try topics.ahead())
    try topics.read(pause: { (count) throws(StreamerError) in try progress.advance(count) }) {
      (message) throws(StreamerError) in
      let tables = byTopic[message.topic] ?? []
      guard let first = tables.first, let reader = readers[subjects[first].format] else { return }
      let isBare = message.value == nil
      var json = ByteWriter()
      var found: RowRecord?
      if let value = message.value {
        guard try texts.write(value, subjects[first].format, to: &json) else { return }
        found = reader.read(json.bytes)
      } else {
        found = reader.read(nil)
      }
      guard let record = found else { return }
      if isBare, tables.count > 1, !reader.tellsBare { return }
      guard let table = record.table ?? tables.first, table < subjects.count,
        subjects[table].topic == message.topic
      else { return }
      if record.content == .emptied {
        if origin == .before {
          subjects[table].emptied.before = max(subjects[table].emptied.before, record.lsn)
        } else {
          subjects[table].emptied.since = max(subjects[table].emptied.since, record.lsn)
        }
        return
      }
      guard let key = message.key, let text = try texts.key(key, subjects[first].format) else {
        return
      }
      try add(
        KeyEntry(
          table: table, key: text, origin: origin, partition: message.partition, record: record))
    }
  }

  private func add(_ entry: KeyEntry) throws(StreamerError) {
    do throws(SpoolFault) { try buckets?.add(entry) } catch { throw Self.explained(error) }
  }

  private static func explained(_ error: SpoolFault) -> StreamerError {
    StreamerError(
      what: "verify", why: "\(error)",
      hint: "It keeps what it has read there; `spool.dir` of the source names another directory.")
  }

  private func readTables(_ server: inout VerifyServer) throws(StreamerError) {
    var numbers: [UInt32: Int] = [:]
    for index in subjects.indices { numbers[subjects[index].table.relation.oid] = index }
    let encoder = TableRowEncoder(
      sink, source, postgres, origin: server.origin, catalog: server.catalog, list: texts.list,
      number: { numbers[$0.oid] })
    encoder.receive = { [unowned self] table, key, value in
      var json = ByteWriter()
      let format = subjects[table].format
      guard failure == nil, texts.write(ofTable: value, format, to: &json),
        let record = readers[format]?.read(json.bytes), case .row = record.content
      else { return }
      do throws(StreamerError) {
        let text = texts.key(ofTable: key, format)
        try add(KeyEntry(table: table, key: text, origin: .table, record: record))
      } catch { failure = error }
      subjects[table].finding.rows += 1
    }
    let session = PostgresSession(
      name: source.name, postgres, sinks: [sink.name], store: MemoryPositionStore(),
      log: Log(level: .error), interruption: progress.breaker)
    defer { session.close() }
    progress.begin(
      "reading the tables",
      total: subjects.reduce(Int64(0)) { $0 + max($1.table.estimatedRows, 0) })
    for index in subjects.indices {
      var last: [String] = []
      while let next = try readPart(of: index, after: last, session, encoder) { last = next }
    }
  }

  /// Reads a part of a table at a snapshot of its own, and gives the key of its last row; nil when it
  /// was the last part.
  private func readPart(
    of index: Int, after last: [String], _ session: PostgresSession, _ encoder: TableRowEncoder
  ) throws(StreamerError) -> [String]? {
    let wanted = TableProgress(
      number: 0, relation: subjects[index].table.relation.oid, name: subjects[index].table.name)
    guard case .opened(let point) = try Self.answer(session.snapshot(.open([wanted], filter: nil)))
    else { return nil }
    if snapshot == nil { snapshot = point.snapshot }
    fence = max(fence, point.limit)
    guard let table = point.tables.first else {
      throw StreamerError(
        what: "table \(wanted.name)", why: "it is not published any more", retryable: true)
    }
    try encoder.begin(point)
    defer { encoder.end() }
    var step = SnapshotStep.read(
      table, after: last, limit: Limits.verifyPartRows, into: RowBlock())
    var (count, lastKey) = (0, last)
    while case .rows(let block) = try Self.answer(session.snapshot(step)) {
      try encoder.encode(block)
      if let failure { throw failure }
      count += block.read.count
      if !block.lastKey.isEmpty { lastKey = block.lastKey }
      try progress.advance(block.read.count)
      guard !block.read.isEnd else { break }
      step = .readOn(table, into: block)
    }
    _ = session.snapshot(.close)
    return table.key.isEmpty || count < Limits.verifyPartRows ? nil : lastKey
  }

  private static func answer(_ answer: SnapshotAnswer) throws(StreamerError) -> SnapshotAnswer {
    if case .failed(let error) = answer { throw error }
    return answer
  }

  private func compare() throws(StreamerError) {
    guard let buckets else { return }
    progress.begin("comparing", total: Int64(buckets.count))
    for bucket in 0..<buckets.count {
      var rows: [Place: RowStates] = [:]
      do throws(SpoolFault) {
        try buckets.each(of: bucket) { entry in
          rows[Place(table: entry.table, key: entry.key), default: RowStates()].take(
            entry, emptied: subjects[entry.table].emptied.before)
        }
      } catch { throw Self.explained(error) }
      for (place, states) in rows { judge(place, states) }
      try progress.advance(1)
    }
    for index in subjects.indices { subjects[index].finding.examples.sort { $0.key < $1.key } }
  }

  /// A row of a table.
  private struct Place: Hashable {
    let table: Int
    let key: [UInt8]
  }

  private func judge(_ place: Place, _ states: RowStates) {
    var states = states
    states.empty(at: subjects[place.table].emptied.since)
    if states.isInTopic { subjects[place.table].finding.inTopic += 1 }
    let verdict = states.verdict { snapshot?.sees($0) ?? true }
    guard verdict != .agrees else { return }
    subjects[place.table].finding.counts[verdict, default: 0] += 1
    if verdict == .missing || verdict == .different,
      differing[place.table, default: []].count < Limits.verifyRepairs
    {
      differing[place.table, default: []].append(place.key)
    }
    if verdict == .extra, extra[place.table, default: []].count < Limits.verifyRepairs {
      extra[place.table, default: []].append(place.key)
    }
    guard subjects[place.table].finding.examples.count < options.examples else { return }
    subjects[place.table].finding.examples.append(
      TableFinding.Example(verdict: verdict, key: String(decoding: place.key, as: UTF8.self)))
  }
}
