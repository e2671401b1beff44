import PGWire

/// Compares some tables of a source with their topics, which no other tables share.
///
/// First the topics are read to their ends, then the tables at snapshots taken after that, then the
/// topics up to where they have everything that the snapshots saw. See ``RowStates`` for why nothing
/// that is on its way counts as a difference.
final class PartVerification {
  /// What is known of the rows.
  let rows: TopicRows
  /// What is found of each table, in the order of the tables.
  private(set) var findings: [TableFinding]
  /// The keys of rows that the topic lacks or has otherwise, by their tables, up to a number each.
  private(set) var differing: [Int: [[UInt8]]] = [:]
  /// The keys that only the topic has, likewise.
  private(set) var extra: [Int: [[UInt8]]] = [:]
  /// Everything that the snapshots saw was committed before it.
  private(set) var fence = LSN.zero
  private let target: VerifyTarget
  private let examples: Int
  private let progress: VerifyProgress
  private var snapshot: ServerSnapshot?
  /// What went wrong where nothing may be thrown.
  private var failure: StreamerError?

  /// `examples` keys are named of each table.
  init(
    _ rows: TopicRows, _ target: VerifyTarget, examples: Int, _ progress: VerifyProgress
  ) {
    self.rows = rows
    self.target = target
    self.examples = examples
    self.progress = progress
    findings = rows.subjects.map(\.finding)
  }

  /// Compares them; gives what has to be known to read what was found.
  func run(
    _ server: inout VerifyServer, _ texts: RecordTexts
  ) throws(StreamerError) -> String? {
    progress.begin("reading the topics")
    try rows.read(.before) { (count) throws(StreamerError) in try progress.advance(count) }
    progress.begin("reading the tables")
    try readTables(&server, texts)
    let remark = try server.wait(for: fence, progress)
    progress.begin("reading what has come since")
    try rows.read(.since) { (count) throws(StreamerError) in try progress.advance(count) }
    progress.begin("comparing")
    try rows.each { (rows) throws(StreamerError) in
      for (place, states) in rows { judge(place, states) }
      try progress.advance(0)
    }
    for index in findings.indices { findings[index].examples.sort { $0.key < $1.key } }
    return remark
  }

  private func readTables(
    _ server: inout VerifyServer, _ texts: RecordTexts
  ) throws(StreamerError) {
    var numbers: [UInt32: Int] = [:]
    for index in findings.indices { numbers[rows.subjects[index].table.relation.oid] = index }
    let encoder = TableRowEncoder(
      target.sink, target.source, target.postgres, origin: server.origin, catalog: server.catalog,
      list: texts.list, number: { numbers[$0.oid] })
    encoder.receive = { [unowned self] table, key, value in
      guard failure == nil else { return }
      do throws(StreamerError) {
        if try rows.add(rowOf: table, key: key, value) { findings[table].rows += 1 }
      } catch { failure = error }
    }
    let session = PostgresSession(
      name: target.source.name, target.postgres, sinks: [target.sink.name],
      store: MemoryPositionStore(), log: Log(level: .error), interruption: progress.breaker)
    defer { session.close() }
    for index in findings.indices {
      var last: [String] = []
      while let next = try readPart(of: index, after: last, session, encoder) { last = next }
    }
  }

  /// Reads a part of a table at a snapshot of its own, and gives the key of its last row; nil when it
  /// was the last part.
  private func readPart(
    of index: Int, after last: [String], _ session: PostgresSession, _ encoder: TableRowEncoder
  ) throws(StreamerError) -> [String]? {
    let table = rows.subjects[index].table
    let wanted = TableProgress(number: 0, relation: table.relation.oid, name: table.name)
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

  private func judge(_ place: TopicRows.Place, _ states: RowStates) {
    var states = states
    let table = place.table
    states.empty(at: rows.subjects[table].emptied.since)
    if states.isInTopic { findings[table].inTopic += 1 }
    let verdict = states.verdict { snapshot?.sees($0) ?? true }
    guard verdict != .agrees else { return }
    findings[table].counts[verdict, default: 0] += 1
    if verdict == .missing || verdict == .different,
      differing[table, default: []].count < Limits.verifyRepairs
    {
      differing[table, default: []].append(place.key)
    }
    if verdict == .extra, extra[table, default: []].count < Limits.verifyRepairs {
      extra[table, default: []].append(place.key)
    }
    guard findings[table].examples.count < examples else { return }
    findings[table].examples.append(
      TableFinding.Example(verdict: verdict, key: String(decoding: place.key, as: UTF8.self)))
  }
}
