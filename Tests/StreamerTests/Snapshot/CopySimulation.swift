import PGWire
import Support

@testable import Streamer

/// A server, its stream, a copy of existing rows and a consumer, in one thread and by chance.
///
/// What matters is modelled: a commit record is written and sent before the transaction is visible, and
/// transactions become visible in another order than that of their commits; a row is locked until its
/// transaction is visible; the numbers of transactions pass 2³². Everything may be lost at any time but
/// what the store and the consumer have.
final class CopySimulation {
  typealias Instant = ContinuousClock.Instant

  /// A transaction.
  struct Writer {
    let xid: UInt64
    /// The rows that it leaves, by key; nil for one that is gone.
    var changes: [(key: Int, row: Row?, old: Row?)] = []
    /// Where its commit record begins; nil while it is open.
    var commit: LSN?
  }

  /// A row's values.
  struct Row: Equatable {
    /// Rises with each change of any row.
    var version: Int
    /// A large value that updates leave alone.
    var big: Int
  }

  static let table = SnapshotTable(
    relation: Relation(
      oid: 16_400, schema: "public", name: "t", replicaIdentity: .primaryKey,
      columns: [
        Relation.Column(name: "id", isKey: true, type: 25), Relation.Column(name: "v", type: 23),
        Relation.Column(name: "big", type: 25),
      ]), key: [0])
  static let keys = 0..<40
  static let origin = SourceOrigin(source: "db", systemIdentifier: "7", database: "d")

  var random: SeededRandom
  var now = Instant.now
  /// What has happened, for a look at a seed that fails.
  private(set) var rounds = 0, stale = 0, crashes = 0, losses = 0

  // The server.
  private var nextXID: UInt64 = (1 << 32) - 40
  private var end = LSN(0x1000)
  private var version = 0
  private var open: [Writer] = []
  /// Committed and not visible yet.
  private var hidden: [Writer] = []
  private var log: [Writer] = []
  private var visible: Set<UInt64> = []
  private var seen: [(key: String, row: Row)] = []
  private var unread: ArraySlice<(key: String, row: Row)> = []

  // The program.
  private let sink = CopySink()
  private var pipeline: Pipeline
  private var snapshot: Snapshot
  private var window: [UInt8] = []
  /// The number of the next transaction of ``log`` to be sent.
  private var sent = 0
  private var described = false
  private var step: SnapshotStep?
  private var failedSave: Instant?
  /// Saves that came again at once after one had failed.
  private(set) var hastySaves = 0

  // The store.
  private var savedPosition = LSN(0x1000)
  private var savedProgress = [
    TableProgress(number: 0, relation: table.relation.oid, name: table.name)
  ]

  init(seed: UInt64) {
    random = SeededRandom(seed: seed)
    before = Writer(xid: 0)
    pipeline = Self.pipeline(sink, at: savedPosition)
    snapshot = Self.snapshot(random)
    // Rows that were there before.
    var first = Writer(xid: nextXID)
    for key in Self.keys where key % 3 != 0 {
      version += 1
      first.changes.append((key, Row(version: version, big: version), nil))
    }
    first.commit = LSN(0x10)
    nextXID += 1
    visible.insert(first.xid)
    before = first
    pipeline.read.startAfresh()
    snapshot.begin(savedProgress, of: Self.origin, now: now)
  }
  private var before: Writer

  private static func pipeline(_ sink: CopySink, at position: LSN) -> Pipeline {
    let lanes = LaneSet(count: 1) { _ in
      Lane<LSN>(name: "sink", sink: sink, position: position, isOpen: true, capacity: 64)
    }
    var pipeline = Pipeline(
      lanes: lanes, setups: [LaneSetup(routing: .init(fallback: "t"))],
      settings: Pipeline.Settings(
        source: "db", inFlightLimit: 1_500,
        spool: Spool.Settings(directory: "/nowhere", memory: 1 << 20)),
      observer: PipelineObserver(
        source: SourceStatus(name: "s", type: "postgres"),
        sinks: [SinkStatus(name: "sink", type: "kafka")], metrics: Metrics()))
    pipeline.connected(
      at: position, StreamOrigin(systemIdentifier: 7, host: "h", database: "d"),
      messageTopics: [0])
    return pipeline
  }

  private static func snapshot(_ random: SeededRandom) -> Snapshot {
    Snapshot(pause: .milliseconds(4), windowLimit: 3_000, random: random)
  }

  // MARK: - Running

  /// Runs until everything is copied and delivered; gives what is wrong, if anything.
  func run() throws -> String? {
    for _ in 0..<600 { try turn(isCalm: false) }
    var turns = 0
    while snapshot.isOn || !isSettled {
      try turn(isCalm: true)
      turns += 1
      if turns > 20_000 { return "it never ends: \(snapshot.state)" }
    }
    return verdict()
  }

  private var isSettled: Bool {
    open.isEmpty && hidden.isEmpty && sent == log.count && pipeline.isSettled
      && pipeline.isBetweenTransactions && window.isEmpty
  }

  private func turn(isCalm: Bool) throws {
    now += .microseconds(Int.random(in: 50...900, using: &random))
    switch Int.random(in: 0..<12, using: &random) {
    case 0, 1: write(isCalm: isCalm)
    case 2: commit()
    case 3: show()
    case 4, 5: send()
    case 6: keepalive()
    case 7: sink.deliver(Int.random(in: 0...30, using: &random))
    case 8: answer()
    case 9 where !isCalm && Int.random(in: 0..<25, using: &random) == 0: fail()
    default: break
    }
    try work()
    if Int.random(in: 0..<4, using: &random) == 0 { savedPosition = pipeline.lanes[0].confirmed }
  }

  // MARK: - The server

  private func newRow() -> Row {
    version += 1
    return Row(version: version, big: version)
  }

  /// The row of a key as its last transaction left it.
  private func row(_ key: Int) -> Row? {
    for writer in ([before] + log).reversed() {
      if let change = writer.changes.last(where: { $0.key == key }) { return change.row }
    }
    return nil
  }

  private func write(isCalm: Bool) {
    if open.count < 3, !isCalm, Bool.random(using: &random) {
      open.append(Writer(xid: nextXID))
      nextXID += 1
    }
    guard !open.isEmpty, !isCalm else { return }
    let index = Int.random(in: open.indices, using: &random)
    let key = Int.random(in: Self.keys, using: &random)
    let locked = (open + hidden).contains { $0.changes.contains { $0.key == key } }
    guard !locked else { return }
    let old = row(key)
    var new: Row? = newRow()
    if let old, Int.random(in: 0..<4, using: &random) != 0 { new?.big = old.big }
    if old != nil, Int.random(in: 0..<6, using: &random) == 0 { new = nil }
    open[index].changes.append((key, new, old))
  }

  private func commit() {
    guard !open.isEmpty else { return }
    var writer = open.remove(at: Int.random(in: open.indices, using: &random))
    writer.commit = end
    end = LSN(end.value + 0x40)
    log.append(writer)
    hidden.append(writer)
  }

  private func show() {
    guard !hidden.isEmpty else { return }
    visible.insert(hidden.remove(at: Int.random(in: hidden.indices, using: &random)).xid)
  }

  private func send() {
    guard sent < log.count, window.count < 4_000 else { return }
    let writer = log[sent]
    sent += 1
    guard let commit = writer.commit, commit >= savedStart else { return }
    var server = ServerBytes()
    server.begin(commit, xid: UInt32(truncatingIfNeeded: writer.xid))
    if !described { server.relation(Self.table.relation) }
    described = true
    for change in writer.changes {
      let oid = Self.table.relation.oid
      let name = Self.name(change.key)
      if let row = change.row {
        let isSame = change.old?.big == row.big
        let cells: [ServerBytes.Cell] = [
          .text(name), .text("\(row.version)"), isSame ? .unchanged : .text("\(row.big)"),
        ]
        server.xLogData(
          commit,
          change.old == nil ? ServerBytes.insert(oid, cells) : ServerBytes.update(oid, cells))
      } else {
        server.xLogData(commit, ServerBytes.delete(oid, .key, [.text(name), .null, .null]))
      }
    }
    server.commit(commit, end: LSN(commit.value + 0x40))
    window += server.bytes
  }

  /// Where the connection began.
  private var savedStart = LSN(0x1000)

  private func keepalive() {
    guard window.count < 4_000 else { return }
    var server = ServerBytes()
    server.keepalive(walEnd: sent < log.count ? log[sent].commit ?? end : end)
    window += server.bytes
  }

  private static func name(_ key: Int) -> String { String(1_000 + key) }

  // MARK: - The worker

  private func answer() {
    guard let step else { return }
    self.step = nil
    var answer: SnapshotAnswer
    switch step {
    case .open:
      let running = (open + hidden).map(\.xid)
      let xmin = running.min() ?? nextXID
      let text = "\(xmin):\(nextXID):\(running.map(String.init).joined(separator: ","))"
      var rows: [Int: Row] = [:]
      for writer in [before] + log where visible.contains(writer.xid) {
        for change in writer.changes { rows[change.key] = change.row }
      }
      seen = rows.sorted { $0.key < $1.key }.map { (Self.name($0.key), $0.value) }
      guard let snapshot = ServerSnapshot(text) else { preconditionFailure("a snapshot's text") }
      answer = .opened(
        SnapshotPoint(snapshot: snapshot, limit: end, time: 0, tables: [Self.table]))
    case .read(_, let last, let limit, let block):
      unread = seen.filter { last.isEmpty || $0.key > last[0] }.prefix(limit)[...]
      answer = .rows(fill(block))
    case .readOn(_, let block): answer = .rows(fill(block))
    case .close: answer = .closed
    case .save where Int.random(in: 0..<8, using: &random) == 0:
      failedSave = now
      answer = .failed(StreamerError(what: "store", why: "it is full", retryable: true))
    case .save(let progress, _):
      for table in progress { savedProgress[table.number] = table }
      answer = .saved
    }
    if case .save = step {
    } else if Int.random(in: 0..<40, using: &random) == 0 {
      answer = .failed(StreamerError(what: "server", why: "it was told to fail", retryable: true))
    }
    try? snapshot.take(answer, &pipeline, now: now)
  }

  private func fill(_ block: RowBlock) -> RowBlock {
    var bytes = block.takeBytes()
    bytes.removeAll()
    block.read = RowsRead()
    block.lastKey = []
    let rows = unread.prefix(Int.random(in: 0...6, using: &random))
    unread = unread.dropFirst(rows.count)
    for (key, row) in rows {
      let payload = ServerBytes.insert(
        Self.table.relation.oid, [.text(key), .text("\(row.version)"), .text("\(row.big)")])
      bytes.append(bigEndian: Int32(payload.count))
      for byte in payload { bytes.append(byte) }
      block.lastKey = [key]
    }
    block.read.count = rows.count
    block.read.isEnd = unread.isEmpty
    block.put(bytes)
    return block
  }

  // MARK: - The program

  private func work() throws {
    try? pipeline.lanes[0].poll()
    while true {
      let bytes = window
      let consumed = try unsafe pipeline.consume(bytes.span.bytes)
      window.removeFirst(consumed.count)
      if answerLookUps() == 0 { break }
    }
    let roundsBefore = pipeline.isInRound
    let bytes = window
    repeat {
      try unsafe snapshot.turn(&pipeline, bytes.span.bytes, mayRead: true, now: now)
    } while answerLookUps() > 0
    if !roundsBefore, pipeline.isInRound { rounds += 1 }
    if step == nil {
      step = snapshot.takeStep(pipeline.lanes, isStreaming: true, isEnding: false, now: now)
    }
    if case .save? = step, let failed = failedSave.take(), now - failed < .milliseconds(40) {
      hastySaves += 1
    }
    for remark in snapshot.takeRemarks() { if case .stale = remark { stale += 1 } }
  }

  private func answerLookUps() -> Int {
    let requests = pipeline.takeRequests()
    for request in requests {
      pipeline.answer(
        request, TableAnswer(catalogKey: [], types: TypeCatalog(), topics: [1]))
    }
    return requests.count
  }

  private func fail() {
    window = []
    described = false
    if Bool.random(using: &random) {
      losses += 1
      snapshot.disconnected(&pipeline, now: now)
      pipeline.disconnected()
      savedStart = pipeline.lanes[0].confirmed
      pipeline.connected(at: savedStart)
      // A fresh sink would begin at the same place: what this one has is delivered all the same.
    } else {
      crashes += 1
      // What was handed over may arrive all the same, as far as it goes.
      sink.crash(Int.random(in: 0...100, using: &random))
      savedStart = savedPosition
      pipeline = Self.pipeline(sink, at: savedStart)
      snapshot = Self.snapshot(random)
      step = nil
      if savedProgress.contains(where: { !$0.isDone }) {
        pipeline.read.isNeeded = true
        snapshot.begin(savedProgress, of: Self.origin, now: now)
      }
    }
    sent = log.firstIndex { ($0.commit ?? .zero) >= savedStart } ?? log.count
  }

  // MARK: - The consumer

  /// What is wrong with what the consumer has; nil for nothing.
  private func verdict() -> String? {
    var rows: [String: (place: [Int], version: Int, row: Row?)] = [:]
    for record in sink.delivered {
      guard let event = try? JSON(record), let columns = event["Columns"],
        let key = columns["id"]?.string
      else { return "no event: \(record)" }
      let place = [event["WALPosition"]?.int ?? -1, event["Ordinal"]?.int ?? -1]
      let version = columns["v"]?.int ?? -1
      let known = rows[key]
      if let known, place.lexicographicallyPrecedes(known.place) || place == known.place {
        // Only what comes again after a loss is older than what is known.
        if crashes + losses == 0 { return "an older place after a newer one: \(record)" }
        continue
      }
      if event["Action"]?.string == "delete" {
        rows[key] = (place, known?.version ?? 0, nil)
        continue
      }
      if let known, version < known.version { return "an older row after a newer one: \(record)" }
      // A row that was read has all changes that come before it, and none behind it.
      if let known, version == known.version, event["Action"]?.string != "read" {
        return "a change behind the row that has it: \(record)"
      }
      let big = columns["big"]?.string.flatMap { Int($0) } ?? known?.row?.big
      rows[key] = (place, version, Row(version: version, big: big ?? -1))
    }
    for key in Self.keys where rows[Self.name(key)]?.row != row(key) {
      return "key \(key) is \(rows[Self.name(key)].map { "\($0)" } ?? "missing"), not "
        + (row(key).map { "\($0)" } ?? "gone")
    }
    return nil
  }
}

/// Keeps records and delivers them when it is told to.
final class CopySink: Sink {
  /// What has arrived.
  private(set) var delivered: [String] = []
  private var waiting: [(value: String, receipt: DeliveryReceipt)] = []
  private var receipts: [DeliveryReceipt] = []

  func send(_ batch: borrowing RecordBatch) {
    for entry in batch.entries {
      guard let value = entry.value else { continue }
      waiting.append(
        (
          batch.bytes.bytes(value).text,
          DeliveryReceipt(ticket: entry.ticket, count: 1, bytes: entry.size)
        ))
    }
  }

  /// Lets so many records arrive.
  func deliver(_ count: Int) {
    for (value, receipt) in waiting.prefix(count) {
      delivered.append(value)
      receipts.append(receipt)
    }
    waiting.removeFirst(min(count, waiting.count))
  }

  /// Its process ends: a part of what waits arrives and nobody hears of it.
  func crash(_ count: Int) {
    deliver(count)
    waiting = []
    receipts = []
  }

  func poll(_ report: (DeliveryReceipt) -> Void) throws(StreamerError) {
    for receipt in receipts { report(receipt) }
    receipts = []
  }
}
