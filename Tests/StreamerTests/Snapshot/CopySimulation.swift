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

  static let keys = 0..<40
  static let start = LSN(0x1000)
  static let origin = SourceOrigin(source: "db", systemIdentifier: "7", database: "d")

  var random: SeededRandom
  var now = Instant.now
  /// What has happened, for a look at a seed that fails.
  private(set) var rounds = 0, stale = 0, crashes = 0, losses = 0
  var requests = 0, stops = 0, gaps = 0, doubts = 0, promotions = 0, lags = 0
  private(set) var moves = 0
  /// Rounds in which several tables were read at a time.
  private(set) var parallelRounds = 0
  /// How often a copy was unknown to the program that it had heard of and that the store has.
  private(set) var forgotten = 0
  /// Whether nothing goes wrong, and nobody stops anything.
  let isQuiet: Bool
  /// How many tables are read at a time.
  private let parallelism: Int

  // The server.
  var nextXID: UInt64 = (1 << 32) - 40
  private var version = 0
  var open: [Writer] = []
  /// Committed and not visible yet.
  var hidden: [Writer] = []
  var log: [Writer] = []
  var visible: Set<UInt64> = []
  /// The log's records, and how far it is replayed where the server is a standby.
  var replay = SimulatedReplay()
  /// Whether it is one.
  var isStandby: Bool
  /// What the snapshot sees.
  var seen: [(key: String, row: Row)] = []
  /// What each reader has not read.
  var unread: [Int: ArraySlice<(key: String, row: Row)>] = [:]

  // The program.
  let sink: CopySink
  /// The same sink, where it keeps its position itself.
  let keeper: CopyKeeper?
  private var pipeline: Pipeline
  private var snapshot: Snapshot
  private var window: [UInt8] = []
  /// The number of the next transaction of ``log`` to be sent.
  private var sent = 0
  private var described = false
  private var step: SnapshotStep?
  private var failedSave: Instant?
  private var isParallel = false
  /// Saves that came again at once after one had failed.
  private(set) var hastySaves = 0
  private var failedRead: Instant?
  /// Rounds that came again at once after rows could not be read.
  private(set) var hastyRounds = 0

  // The store.
  private var savedPosition = start
  var kept = CopyBook(
    [CopyRequest(number: CopyRequest.start, mark: "start")],
    tables.enumerated().map {
      TableProgress(number: $0, relation: $1.relation.oid, name: $1.name)
    })

  /// Copies that somebody has asked for, and what was so then.
  var asked: [(number: Int, tables: [SnapshotTable], handed: Int, visible: Set<UInt64>)] = []
  var stopped: Set<Int> = []
  /// What the worker has done of it, and the program has not heard.
  var changed: [CopyBook] = []

  /// `isStandby` makes the server one, `keepsPosition` the sink one that keeps its position itself.
  init(seed: UInt64, isStandby: Bool = false, keepsPosition: Bool = false) {
    self.isStandby = isStandby
    random = SeededRandom(seed: seed)
    isQuiet = seed % 8 == 0
    keeper = keepsPosition ? CopyKeeper() : nil
    sink = keeper ?? CopySink()
    parallelism = 1 + Int(seed % 3)
    before = Writer(xid: 0)
    pipeline = Self.pipeline(sink, at: savedPosition)
    snapshot = Self.snapshot(random, parallelism)
    // Rows that were there before.
    var first = Writer(xid: nextXID)
    for key in Self.keys where key % 3 != 0 {
      version += 1
      first.changes.append(Change(key: key, row: Row(version: version, big: version), lsn: .zero))
    }
    first.commit = LSN(0x10)
    nextXID += 1
    visible.insert(first.xid)
    before = first
    pipeline.read.startAfresh()
    snapshot.begin(kept, of: Self.origin, now: now)
    snapshot.tellPlace(&pipeline)
  }
  private(set) var before: Writer

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
      messageTopics: [0], notificationTopics: [noticeTopic])
    return pipeline
  }

  private static func snapshot(_ random: SeededRandom, _ parallelism: Int) -> Snapshot {
    var snapshot = Snapshot(
      pause: .milliseconds(4), parallelism: parallelism, pieceRows: 7, windowLimit: 3_000,
      random: random)
    snapshot.tells = true
    return snapshot
  }

  // MARK: - Running

  /// Runs until everything is copied and delivered; gives what is wrong, if anything.
  func run() throws -> String? {
    for _ in 0..<600 { try turn(isCalm: false) }
    decide(.active, about: nil)
    if let fault = try settle() ?? verdict() ?? verdictOnRequests() ?? verdictOnRepetitions() {
      return fault
    }
    // With nothing else going on all rows come once more.
    ask(Self.tables)
    return try settle() ?? verdict() ?? verdictOnRequests() ?? verdictOnNotices()
      ?? verdictOnRepetitions()
  }

  private func settle() throws -> String? {
    let began = now
    while snapshot.isOn || !isSettled || !changed.isEmpty {
      try turn(isCalm: true)
      // A store that fails again and again is given some seconds each time.
      if now - began > .seconds(120) { return "it never ends: \(snapshot.state)" }
    }
    return nil
  }

  private var isSettled: Bool {
    open.isEmpty && hidden.isEmpty && sent == log.count && isReplayed && pipeline.isSettled
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
    case 9 where !isCalm && !isQuiet && Int.random(in: 0..<25, using: &random) == 0: fail()
    case 10 where !isCalm && keeper == nil && Int.random(in: 0..<12, using: &random) == 0:
      if Int.random(in: 0..<4, using: &random) == 0 { miss() } else { order() }
    case 11 where !changed.isEmpty:
      snapshot.take(changed.removeFirst(), now: now)
      if !isCalm, !isQuiet, Int.random(in: 0..<4, using: &random) == 0 { fail() }
    default: break
    }
    if isStandby { replayOn(isCalm: isCalm) }
    try work()
    let unheard = Set(changed.flatMap { $0.requests.map(\.number) })
    forgotten += kept.settled.unfinished.count {
      snapshot.book[$0] == nil && !unheard.contains($0)
    }
    if Int.random(in: 0..<4, using: &random) == 0 { savedPosition = pipeline.lanes[0].confirmed }
  }

  // MARK: - The server

  private func newRow() -> Row {
    version += 1
    return Row(version: version, big: version)
  }

  /// The row of a key as its last transaction left it.
  func row(_ key: Int) -> Row? { last(key)?.row }

  /// The last transaction that changed a key, and what it left there.
  func last(_ key: Int) -> (xid: UInt64, row: Row?)? {
    for writer in ([before] + log).reversed() {
      if let change = writer.changes.last(where: { $0.key == key }) {
        return (writer.xid, change.row)
      }
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
    if keeper == nil, let old, let new, new.big == old.big,
      Int.random(in: 0..<3, using: &random) == 0,
      let other = freeKey()
    {
      moves += 1
      let lsn = writeChange()
      open[index].changes.append(Change(key: key, row: nil, old: old, lsn: lsn, isMoved: true))
      open[index].changes.append(
        Change(key: other, row: new, old: old, lsn: lsn, movedFrom: key))
      return
    }
    open[index].changes.append(Change(key: key, row: new, old: old, lsn: writeChange()))
  }

  /// A key that has no row, and that nobody is about to give one.
  private func freeKey() -> Int? {
    let key = Int.random(in: Self.keys, using: &random)
    let isLocked = (open + hidden).contains { $0.changes.contains { $0.key == key } }
    return isLocked || row(key) != nil ? nil : key
  }

  private func commit() {
    guard !open.isEmpty else { return }
    var writer = open.remove(at: Int.random(in: open.indices, using: &random))
    writer.commit = write(writer.xid)
    log.append(writer)
    // What readers of a standby see is what it replays.
    if !isStandby { hidden.append(writer) }
  }

  private func show() {
    guard !hidden.isEmpty else { return }
    visible.insert(hidden.remove(at: Int.random(in: hidden.indices, using: &random)).xid)
  }

  private func send() {
    guard sent < log.count, window.count < 4_000, maySend(log[sent]) else { return }
    let writer = log[sent]
    sent += 1
    guard let commit = writer.commit, commit >= savedStart, !writer.isMissed else { return }
    var server = ServerBytes()
    server.begin(commit, xid: UInt32(truncatingIfNeeded: writer.xid))
    if !described { server.relation(Self.table.relation) }
    described = true
    for change in writer.changes where !change.isMoved {
      let oid = Self.table.relation.oid
      let name = Self.name(change.key)
      if let row = change.row, let from = change.movedFrom {
        server.xLogData(
          change.lsn,
          ServerBytes.update(
            oid, old: (.key, [.text(Self.name(from)), .null, .null]),
            [.text(name), .text("\(row.version)"), .unchanged]))
      } else if let row = change.row {
        let isSame = change.old?.big == row.big
        let cells: [ServerBytes.Cell] = [
          .text(name), .text("\(row.version)"), isSame ? .unchanged : .text("\(row.big)"),
        ]
        server.xLogData(
          change.lsn,
          change.old == nil ? ServerBytes.insert(oid, cells) : ServerBytes.update(oid, cells))
      } else {
        server.xLogData(change.lsn, ServerBytes.delete(oid, .key, [.text(name), .null, .null]))
      }
    }
    server.commit(commit, end: replay.end(ofRecordAt: commit))
    window += server.bytes
  }

  /// Where the connection began.
  private var savedStart = start

  private func keepalive() {
    guard window.count < 4_000 else { return }
    var server = ServerBytes()
    server.keepalive(walEnd: sentUpTo(before: sent < log.count ? log[sent] : nil))
    window += server.bytes
  }

  static func name(_ key: Int) -> String { String(1_000 + key) }

  // MARK: - The worker

  private func answer() {
    guard let step else { return }
    self.step = nil
    var answer: SnapshotAnswer
    switch step {
    case .lock: answer = .locked
    case .open(_, let filter, let keys):
      answer = openSnapshot(filter: filter, keys: keys)
    case .seek(let table, let last, let rows, let reader):
      let behind = rowsSeen(of: table, after: last)
      let key = behind.count < rows ? [] : [behind[rows - 1].key]
      answer = .found(Bool.random(using: &random) ? key : nil, reader: reader)
    case .read(let table, _, _, let block) where table.goneKeys != nil:
      let present = Set(seen.map(\.key))
      unread[block.reader] =
        Self.keys.map(Self.name).filter { !present.contains($0) }
        .map { ($0, Row(version: 0, big: 0)) }[...]
      answer = .rows(fill(block, of: table))
    case .read(let table, _, _, let block) where table == Self.still:
      unread[block.reader] = (0..<5).map { (Self.name($0), Row(version: $0, big: $0)) }[...]
      answer = .rows(fill(block, of: table))
    case .read(let table, let last, let limit, let block):
      unread[block.reader] = rowsSeen(of: table, after: last).prefix(limit)[...]
      answer = .rows(fill(block, of: table))
    case .readOn(let table, let block): answer = .rows(fill(block, of: table))
    case .close: answer = .closed
    case .save where !isQuiet && Int.random(in: 0..<8, using: &random) == 0:
      failedSave = now
      answer = .failed(StreamerError(what: "store", why: "it is full", retryable: true))
    case .save(let changes, _):
      kept.put(changes)
      answer = .saved
    }
    if case .save = step {
    } else if !isQuiet, Int.random(in: 0..<40, using: &random) == 0 {
      switch step {
      case .read, .readOn, .seek: if pipeline.isInRound { failedRead = now }
      default: break
      }
      answer = .failed(StreamerError(what: "server", why: "it was told to fail", retryable: true))
    }
    try? snapshot.take(answer, &pipeline, now: now)
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
    readAgain()
    let roundsBefore = pipeline.isInRound
    let bytes = window
    repeat {
      try unsafe snapshot.turn(&pipeline, bytes.span.bytes, mayRead: true, now: now)
    } while answerLookUps() > 0
    if !roundsBefore, pipeline.isInRound { rounds += 1 }
    if !isParallel, case .reading(let round) = snapshot.state {
      isParallel = round.parts.count { $0.fetched > 0 && !$0.isFetched } > 1
      if isParallel { parallelRounds += 1 }
    } else if !pipeline.isInRound {
      isParallel = false
    }
    if step == nil {
      step = snapshot.takeStep(pipeline.lanes, isStreaming: true, isEnding: false, now: now)
    }
    if case .save? = step, let failed = failedSave.take(), now - failed < .milliseconds(40) {
      hastySaves += 1
    }
    if case .lock? = step, let failed = failedRead.take(), now - failed < .milliseconds(40) {
      hastyRounds += 1
    }
    // A copy may begin in the middle of a stream.
    pipeline.read.isNeeded = snapshot.isOn
    if !snapshot.isOn { pipeline.read = ReadTransactions() }
    for remark in snapshot.takeRemarks() { if case .stale = remark { stale += 1 } }
  }

  /// What has to be read once more is written down before the position passes what asks for it.
  private func readAgain() {
    for command in snapshot.rereads(for: pipeline.moved) {
      guard case .copy(let tables, let filter, let mark) = command,
        !kept.requests.contains(where: { $0.mark == mark })
      else { continue }
      let added = kept.settled.next(tables, filter: filter, mark: mark, of: [Self.table])
      kept.put(added)
      kept.forget(kept.settled.surplus)
      changed.append(added)
    }
    pipeline.moved = []
    pipeline.lanes.holdPositions(false)
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
      if isStandby { lagBehind() }
      // The sink may be what has failed: a fresh one begins where this one has confirmed.
      if Bool.random(using: &random) {
        sink.crash(Int.random(in: 0...100, using: &random))
        pipeline.lanes[0].restart(with: sink)
        pipeline.lanes[0].opened()
        snapshot.disconnected(&pipeline, now: now)
        pipeline.disconnected()
        if claim() {
          snapshot.rewind(to: kept.settled, now: now)
          snapshot.tellPlace(&pipeline)
        }
      } else {
        snapshot.disconnected(&pipeline, now: now)
        pipeline.disconnected()
      }
      savedStart = pipeline.lanes[0].confirmed
      pipeline.connected(at: savedStart)
    } else {
      crashes += 1
      // What was handed over may arrive all the same, as far as it goes.
      sink.crash(Int.random(in: 0...100, using: &random))
      savedStart = keeper?.committed.lsn ?? savedPosition
      pipeline = Self.pipeline(sink, at: savedStart)
      snapshot = Self.snapshot(random, parallelism)
      (step, failedSave, failedRead) = (nil, nil, nil)
      changed = []
      _ = claim()
      snapshot.begin(kept.settled, of: Self.origin, now: now)
      pipeline.read.isNeeded = snapshot.isOn
      snapshot.tellPlace(&pipeline)
    }
    sent = log.firstIndex { ($0.commit ?? .zero) >= savedStart } ?? log.count
  }

  /// A sink that keeps its position says where it stands; false where it does not.
  private func claim() -> Bool {
    guard let place = keeper?.committed else { return false }
    pipeline.lanes[0].claimed(at: place.lsn, cut: place.cut)
    if let mark = place.copied { kept.put(kept.settled.changes(by: mark)) }
    return true
  }
}
