import PGWire

/// Tells of the rows that were deleted in a gap which a source has gone over: once all rows are copied,
/// keys that a topic still has are looked for in the tables, and those without a row are told as deleted.
///
/// Rows that are missing or older in the topic have come with the copy. It works on a thread of its own,
/// at a bounded rate; that it is owed is in the store until all of it is done, so that a start after a
/// crash does it again.
final class GapComparison: Sendable {
  /// Has keys told that have no row.
  typealias Order = @Sendable (CopyCommand) -> Result<Void, StreamerError>

  private let source: String
  private let targets: [VerifyTarget]
  /// The sinks that have no topics.
  private let others: [String]
  private let store: any SourceStore
  private let log: Log
  private let order: Order
  private let end: StopRequest

  /// Makes that of a source; nil where a gap is never gone over with a copy, and none is owed.
  init?(
    _ source: SourceConfiguration, _ configuration: Configuration, store: any SourceStore,
    log: Log, order: @escaping Order
  ) throws(StreamerError) {
    guard case .postgres(let postgres) = source.kind else { return nil }
    let mayBegin = postgres.onGap == .snapshot || postgres.snapshot.mode == .whenNeeded
    if !mayBegin, try store.owedComparison(source: source.name) == nil { return nil }
    self.source = source.name
    let targets = VerifyTarget.all(of: configuration).filter { $0.source.name == source.name }
    self.targets = targets
    others = configuration.sinks(of: source.name).map(\.name).filter { name in
      !targets.contains { $0.sink.name == name }
    }
    self.store = store
    self.log = log.with(["source": source.name])
    self.order = order
    end = try StopRequest()
  }

  /// Asks it to end; what it has begun is done again at the next start.
  func stop() { end.make() }

  /// Waits until a comparison is owed and the rows are copied, and does it, until it is stopped.
  func run() {
    // What is done of the one that is owed, should the rest have to be tried again.
    var work: (owed: OwedComparison, done: Set<String>)?
    while !end.isMade {
      do throws(StreamerError) {
        if let owed = try store.owedComparison(source: source),
          try store.copies(of: owed.origin).hasEnded(CopyRequest.start)
        {
          var done = work?.owed == owed ? work?.done ?? [] : []
          if work?.owed != owed { tellOfOthers() }
          defer { work = (owed, done) }
          for target in targets { try compare(target, &done) }
          try store.settle(owed)
          log.info("the keys of the topics are compared: what the gap has deleted is told")
        }
        end.wait(Limits.gapLook)
      } catch {
        guard !end.isMade else { return }
        log.limited("gap-comparison")?.warning(
          "the keys of the topics cannot be compared now", ["error": "\(error)"])
        end.wait(Limits.gapRetry)
      }
    }
  }

  /// Waits as long as keeps the rate; throws when it is to end.
  private func pace(_ count: Int) throws(StreamerError) {
    end.wait(.seconds(Double(count) / Double(Limits.gapRate)))
    if end.isMade { throw StreamerError(what: "source \(source)", why: "it is being stopped") }
  }

  private func tellOfOthers() {
    for sink in others {
      log.warning(
        "rows that were deleted in the gap are not looked for",
        ["sink": sink, "why": "it has no topics that can be read"])
    }
  }

  private func tellOfLeft(_ table: String, _ target: VerifyTarget, _ why: String) {
    log.warning(
      "rows of a table that were deleted in the gap are not told",
      ["sink": target.sink.name, "table": table, "why": why])
  }

  /// Compares all topics of a sink that are not done, one after the other.
  private func compare(
    _ target: VerifyTarget, _ done: inout Set<String>
  ) throws(StreamerError) {
    var server = try VerifyServer.connect(
      target.source, target.postgres, WaitBreaker { [end] in end.isMade })
    let database = server.origin.database
    let all = VerifySubjects(try server.tables(), of: target, database: database)
    let name = target.sink.name
    if done.insert("\(name) ").inserted {
      log.info(
        "comparing the keys of the topics with the tables: rows may have been deleted in the gap",
        ["sink": name, "tables": all.compared.count])
      for finding in all.leftOut { tellOfLeft(finding.table, target, finding.leftOut ?? "") }
    }
    let texts = RecordTexts(target.setup, sink: name)
    let byTopic = Dictionary(grouping: all.compared, by: \.topic)
    for (topic, subjects) in byTopic where !done.contains("\(name) \(topic)") {
      try pace(0)
      do throws(StreamerError) {
        let topics = try TopicReading([topic], of: target.kafka, log: Log(level: .error))
        defer { topics.close() }
        let rows = try TopicRows(
          subjects, in: topics, target.setup, database: database, texts,
          directory: target.directory)
        try compare(rows, target, &server)
      } catch {
        guard !error.isRetryable, !end.isMade else { throw error }
        for subject in subjects { tellOfLeft(subject.table.name, target, "\(error)") }
      }
      done.insert("\(name) \(topic)")
    }
  }

  /// Reads a topic, and has the keys of its tables told that have no row.
  private func compare(
    _ rows: TopicRows, _ target: VerifyTarget, _ server: inout VerifyServer
  ) throws(StreamerError) {
    try rows.read(.before) { (count) throws(StreamerError) in try pace(count) }
    var tables = rows.subjects.map { GoneKeys(of: $0.table, target.setup) }
    try rows.each { (states) throws(StreamerError) in
      var keys = tables.map { _ in [[UInt8]]() }
      for (place, state) in states where state.isInTopic { keys[place.table].append(place.key) }
      for index in tables.indices {
        try tables[index].look(for: keys[index], in: &server)
        if tables[index].isFull { try tell(&tables[index]) }
      }
      try pace(keys.reduce(0) { $0 + $1.count })
    }
    for index in tables.indices {
      try tell(&tables[index])
      let (table, keys) = (tables[index].table.name, tables[index])
      if let why = keys.obstacle { tellOfLeft(table, target, why) }
      log.info(
        "the keys of a table are compared",
        ["sink": target.sink.name, "table": table, "keys": keys.looked, "deleted": keys.told])
    }
  }

  /// Has the keys told that were found, however long that takes.
  private func tell(_ keys: inout GoneKeys) throws(StreamerError) {
    guard let list = keys.take() else { return }
    while case .failure(let error) = order(.tellGone(table: keys.table.pattern, keys: list)) {
      guard error.isRetryable else { throw error }
      log.limited("gap-comparison")?.warning(
        "deleted rows cannot be told now", ["error": "\(error)"])
      end.wait(Limits.signalRetry)
      try pace(0)
    }
  }
}

/// Those of a topic's keys that have no row in their table.
private struct GoneKeys {
  /// The table.
  let table: SnapshotTable
  /// Why they cannot be told; nil where they can.
  private(set) var obstacle: String?
  /// How many keys were looked for, and how many were found to have no row.
  private(set) var looked = 0
  private(set) var told = 0
  private let setup: LaneSetup
  private var found: [[String?]] = []

  init(of table: SnapshotTable, _ setup: LaneSetup) {
    self.table = table
    self.setup = setup
    if !table.mayTellGone {
      obstacle = "it takes a primary key or an index as its replica identity, and not FULL"
    }
  }

  /// Whether no more should be found before those are told that are.
  var isFull: Bool { found.count >= Limits.verifyRepairs }

  /// Asks the server which of some keys have no row.
  mutating func look(
    for keys: [[UInt8]], in server: inout VerifyServer
  ) throws(StreamerError) {
    guard obstacle == nil, !keys.isEmpty else { return }
    guard let lists = RecordKeys.gone(keys, of: table, setup) else {
      obstacle =
        "its keys in the topic are not read: only integers, texts and UUIDs are, under the "
        + "names of the columns"
      return
    }
    looked += keys.count
    for list in lists {
      var question = table
      question.goneKeys = list
      found += try server.ask(question.query(after: [], limit: 0))
    }
  }

  /// The keys that were found since the last call, as JSON; nil when there are none.
  mutating func take() -> String? {
    guard !found.isEmpty else { return nil }
    told += found.count
    var json = JSONText()
    json.array { json in
      for row in found {
        json.object { json in
          for column in table.key {
            json.key(table.relation.columns[column].name)
            json.value(row[column])
          }
        }
      }
    }
    found = []
    return String(decoding: json.bytes, as: UTF8.self)
  }
}
