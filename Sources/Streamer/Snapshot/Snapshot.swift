import PGWire

/// Copies existing rows beside the stream, round by round, without sockets, clocks or threads.
///
/// ```
/// resting ─▶ opening ─▶ fencing ─▶ reading ─▶ closing ─▶ delivering ─▶ saving ─▶ resting … off
/// ```
/// A round takes a snapshot of the server, lets the stream run to the place where everything is read
/// that the snapshot sees and nothing else, pauses it there, and hands the rows of some tables to the
/// lanes. Tables with a key are read in parts; what is delivered of them is saved by the key of the
/// last row, and a restart goes on behind it. A snapshot that is older than the stream is given up.
struct Snapshot {
  typealias Instant = ContinuousClock.Instant

  /// What it is doing.
  enum State {
    /// There is nothing to copy.
    case off
    /// The next round is due then.
    case resting(until: Instant)
    /// The worker takes a snapshot.
    case opening
    /// The stream runs to the place where the rows belong.
    case fencing(SnapshotPoint, since: Instant)
    /// Rows are read, and the stream waits.
    case reading(Round)
    /// The worker lets go of the snapshot, which was of no use perhaps.
    case closing(isStale: Bool)
    /// The sinks deliver the rows.
    case delivering
    /// The worker saves how far the copy is.
    case saving
  }

  /// The rows that are read at one snapshot.
  struct Round {
    /// The tables, as the snapshot has them, in the order in which they are read.
    var tables: [SnapshotTable]
    /// When it began.
    var began: Instant
    /// The part of a table that is being read; nil before the first.
    var part: Part?
    /// The block whose rows are being taken, and how far.
    var block: RowBlock?
    var offset = 0
    /// The block behind it.
    var next: RowBlock?
    /// The rows that it has brought.
    var rows: Int64 = 0
  }

  /// A part of a table: its rows behind a key, a bounded number of them.
  struct Part {
    var limit: Int
    var began: Instant
    /// How many rows have been fetched.
    var fetched = 0
    /// Whether it has been asked for, and whether all of it has come.
    var isAsked = false
    var isFetched = false
  }

  /// What is worth a line in the log.
  enum Remark {
    case began(tables: Int)
    case copied(TableProgress)
    case gone(TableProgress)
    /// A round has ended: how many rows it had and how long the stream has waited.
    case round(rows: Int64, pause: Duration)
    /// A snapshot was older than the stream.
    case stale
    case failed(StreamerError)
    case finished(tables: Int, rows: Int64)
  }

  /// How long the stream may wait for one round.
  let pause: Duration
  private let windowLimit: Int
  private(set) var state = State.off
  /// How far each table is, the rows that are being delivered included.
  private(set) var progress: [TableProgress] = []
  /// The same without them.
  private var saved: [TableProgress] = []
  /// How many rows of each table the server believes there are, by its OID.
  private(set) var estimates: [UInt32: Int64] = [:]
  private var origin: SourceOrigin?
  private var isUnderWay = false
  /// Blocks that nobody uses.
  private var spare: [RowBlock] = []
  /// Rows that can be read and taken in a second, as measured.
  private var rate = 20_000.0
  /// Where the last round stood and the number of the next event there.
  private var last: (place: LSN, ordinal: UInt64) = (.zero, 0)
  private var remarks: [Remark] = []
  private var rounds: UInt64 = 0
  private var lastPause = Duration.zero
  private var failures = Backoff(longest: Limits.longestRetry)
  private var random: any RandomNumberGenerator & Sendable
  /// When progress that could not be saved is saved again.
  private var nextSave: Instant?
  /// Whether somebody wants no rounds for now.
  var isHeld = false

  init(
    pause: Duration, windowLimit: Int = Limits.fenceWindow,
    random: any RandomNumberGenerator & Sendable = SystemRandomNumberGenerator()
  ) {
    self.pause = pause
    self.windowLimit = windowLimit
    self.random = random
  }

  /// Begins a copy, or goes on with one.
  mutating func begin(_ progress: [TableProgress], of origin: SourceOrigin, now: Instant) {
    self.origin = origin
    self.progress = progress
    saved = progress
    remarks.append(.began(tables: progress.count { !$0.isDone }))
    state = .resting(until: now)
    endIfDone()
  }

  /// Whether there is something to copy.
  var isOn: Bool { if case .off = state { false } else { true } }

  /// Whether something is delivered, or will be, that is not saved.
  var isUnsaved: Bool {
    switch state {
    case .closing, .delivering, .saving: progress != saved
    case .off, .resting, .opening, .fencing, .reading: false
    }
  }

  /// How far it is.
  var status: SnapshotStatus {
    var status = SnapshotStatus(
      tables: progress.count, tablesDone: progress.count { $0.isDone },
      rows: progress.reduce(0) { $0 + $1.rows }, rounds: rounds,
      pauseSeconds: lastPause.inSeconds)
    let left = progress.filter { !$0.isDone }
    status.table = left.first?.name
    let counted = left.map { estimates[$0.relation] ?? -1 }
    if !counted.contains(where: { $0 < 0 }) {
      status.estimatedRows = max(
        status.rows,
        counted.reduce(0, +) + progress.filter(\.isDone).reduce(0) { $0 + $1.rows })
    }
    return status
  }

  /// What is worth a line in the log, since the last call.
  mutating func takeRemarks() -> [Remark] {
    defer { remarks.removeAll() }
    return remarks
  }

  // MARK: - What the worker does

  /// The step that is due, if none is under way; `isEnding` says that nothing is begun any more.
  mutating func takeStep(
    _ lanes: borrowing LaneSet<LSN>, isStreaming: Bool, isEnding: Bool, now: Instant
  ) -> SnapshotStep? {
    guard !isUnderWay, let step = step(lanes, isStreaming && !isEnding, now: now) else {
      return nil
    }
    isUnderWay = true
    return step
  }

  private mutating func step(
    _ lanes: borrowing LaneSet<LSN>, _ mayBegin: Bool, now: Instant
  ) -> SnapshotStep? {
    switch state {
    case .off, .opening, .fencing, .saving: return nil
    case .resting(let until):
      guard mayBegin, !isHeld, now >= until else { return nil }
      state = .opening
      return .open(Array(progress.lazy.filter { !$0.isDone }.prefix(Limits.roundTables)))
    case .reading(var round):
      guard var part = round.part, let table = round.tables.first, round.next == nil,
        !part.isFetched
      else { return nil }
      let block = spare.popLast() ?? RowBlock()
      let isAsked = part.isAsked
      part.isAsked = true
      round.part = part
      state = .reading(round)
      guard !isAsked else { return .readOn(table, into: block) }
      return .read(table, after: lastKey(of: table), limit: part.limit, into: block)
    case .closing: return .close
    case .delivering:
      if lanes.haveLostRound {
        progress = saved
        nextSave = nil
        state = .resting(until: now + failures.next(using: &random))
        return nil
      }
      guard lanes.haveDeliveredRound, let origin, nextSave.map({ now >= $0 }) ?? true else {
        return nil
      }
      state = .saving
      let before = Set(saved)
      return .save(progress.filter { !before.contains($0) }, origin)
    }
  }

  /// When the next step is due by time alone.
  var deadline: Instant? {
    switch state {
    case .resting(let until) where !isUnderWay && !isHeld: until
    case .delivering: nextSave
    default: nil
    }
  }

  /// A step has ended; throws what cannot pass by itself.
  mutating func take(
    _ answer: SnapshotAnswer, _ pipeline: inout Pipeline, now: Instant
  ) throws(StreamerError) {
    isUnderWay = false
    switch answer {
    case .opened(let point):
      guard case .opening = state else { return }
      for table in point.tables { estimates[table.relation.oid] = table.estimatedRows }
      pipeline.fence = Fence(point.snapshot, limit: point.limit)
      state = .fencing(point, since: now)
    case .rows(let block):
      guard case .reading(var round) = state else { return spare.append(block) }
      round.part?.fetched += block.read.count
      if block.read.isEnd { round.part?.isFetched = true }
      if round.block == nil { round.block = block } else { round.next = block }
      state = .reading(round)
    case .closed:
      guard case .closing(let isStale) = state else { return }
      state = isStale ? .resting(until: now + failures.next(using: &random)) : .delivering
    case .saved:
      saved = progress
      nextSave = nil
      failures.reset()
      state = .resting(until: now)
      endIfDone()
    case .failed(let error):
      remarks.append(.failed(error))
      end(&pipeline, now: now)
      if case .saving = state {
        state = .delivering
        nextSave = now + failures.next(using: &random)
      }
      if case .opening = state { state = .resting(until: now + failures.next(using: &random)) }
      guard error.isRetryable else { throw error }
    }
  }

  // MARK: - What the driver's thread does

  /// Goes on as far as it can; `window` holds what was received and not read.
  mutating func turn(
    _ pipeline: inout Pipeline, _ window: RawSpan, mayRead: Bool, now: Instant
  ) throws(StreamFault) {
    switch state {
    case .fencing(let point, let since):
      if pipeline.looksBehindFence { pipeline.lookBehindFence(window) }
      // More than that is not received before what is there is read.
      let isFull = pipeline.looksBehindFence && window.byteCount >= windowLimit
      guard mayRead, !isFull, pipeline.fence?.isTorn == false, now - since < Limits.fencePatience
      else {
        return giveUp(&pipeline)
      }
      guard pipeline.isAtFence else { return }
      guard pipeline.read.areSeen(by: point.snapshot) else { return giveUp(&pipeline) }
      begin(point, &pipeline, now: now)
      try read(&pipeline, now: now)
    case .reading:
      guard mayRead, pipeline.isInRound else { return end(&pipeline, now: now) }
      try read(&pipeline, now: now)
    case .off, .resting, .opening, .closing, .delivering, .saving: break
    }
  }

  /// The connection is gone, and with it the round: what the lanes have of it counts.
  mutating func disconnected(_ pipeline: inout Pipeline, now: Instant) { end(&pipeline, now: now) }

  /// The snapshot is of no use; another is taken.
  private mutating func giveUp(_ pipeline: inout Pipeline) {
    remarks.append(.stale)
    pipeline.fence = nil
    state = .closing(isStale: true)
  }

  private mutating func begin(_ point: SnapshotPoint, _ pipeline: inout Pipeline, now: Instant) {
    let place = pipeline.fencePlace
    let first = place == last.place ? last.ordinal : 0
    last = (place, first)
    var tables: [SnapshotTable] = []
    let wanted = progress.indices.filter { !progress[$0].isDone }.prefix(Limits.roundTables)
    for index in wanted {
      if let table = point.tables.first(where: { $0.relation.oid == progress[index].relation }) {
        tables.append(table)
      } else {
        // It is published no more, or gone.
        progress[index].isDone = true
        remarks.append(.gone(progress[index]))
      }
    }
    pipeline.beginRound(
      Transaction(existingRowsAt: place, time: point.time, firstOrdinal: first),
      tables.map(\.relation))
    state = .reading(Round(tables: tables, began: now))
  }

  /// Takes rows as far as the sinks do.
  private mutating func read(_ pipeline: inout Pipeline, now: Instant) throws(StreamFault) {
    while case .reading(var round) = state {
      if round.part == nil {
        guard !round.tables.isEmpty, round.rows == 0 || now - round.began < pause else {
          return end(&pipeline, now: now)
        }
        round.part = Part(limit: limit(round, now: now), began: now)
        state = .reading(round)
      }
      guard let block = round.block else { return }
      let bytes = block.takeBytes()
      let isTaken: Bool
      let reason: Pipeline.Pause
      do throws(StreamFault) {
        reason = try pipeline.readRound(bytes, from: &round.offset)
        isTaken = round.offset == bytes.count
      } catch {
        block.put(bytes)
        throw error
      }
      block.put(bytes)
      state = .reading(round)
      guard isTaken else {
        precondition(reason != .fence, "a round stops for a reason")
        return
      }
      taken(block, now: now)
      // A part that takes much longer than it was made for is cut behind what is taken.
      if case .reading(let round) = state, let table = round.tables.first, !table.key.isEmpty,
        now - round.began > pause * 3
      {
        return end(&pipeline, now: now)
      }
    }
  }

  /// The rows of a block have been taken.
  private mutating func taken(_ block: RowBlock, now: Instant) {
    guard case .reading(var round) = state, let table = round.tables.first, let part = round.part,
      let index = progress.firstIndex(where: { $0.relation == table.relation.oid })
    else { return }
    progress[index].rows += Int64(block.read.count)
    round.rows += Int64(block.read.count)
    if block.read.count > 0 { progress[index].lastKey = block.lastKey }
    round.block = round.next
    round.next = nil
    round.offset = 0
    spare.append(block)
    if block.read.isEnd {
      let seconds = max((now - part.began).inSeconds, 0.001)
      if part.fetched > 1_000 { rate = Double(part.fetched) / seconds }
      round.part = nil
      if table.key.isEmpty || part.fetched < part.limit {
        progress[index].isDone = true
        progress[index].lastKey = []
        remarks.append(.copied(progress[index]))
        round.tables.removeFirst()
      }
    }
    state = .reading(round)
  }

  /// How many rows fit into what is left of the pause.
  private func limit(_ round: Round, now: Instant) -> Int {
    let left = max((pause - (now - round.began)).inSeconds, 0.01)
    return min(max(Int(rate * left), 1_000), 50_000_000)
  }

  /// Ends the round where it stands: the stream goes on, and what was taken counts once it is delivered.
  private mutating func end(_ pipeline: inout Pipeline, now: Instant) {
    switch state {
    case .reading(let round):
      last.ordinal = max(last.ordinal, pipeline.nextOrdinal)
      spare = []
      rounds += 1
      lastPause = now - round.began
      remarks.append(.round(rows: round.rows, pause: lastPause))
      pipeline.endRound()
      state = .closing(isStale: false)
    case .fencing: giveUp(&pipeline)
    case .off, .resting, .opening, .closing, .delivering, .saving: break
    }
  }

  private mutating func endIfDone() {
    guard progress.allSatisfy(\.isDone) else { return }
    state = .off
    remarks.append(
      .finished(tables: progress.count, rows: progress.reduce(0) { $0 + $1.rows }))
  }

  private func lastKey(of table: SnapshotTable) -> [String] {
    progress.first { $0.relation == table.relation.oid }?.lastKey ?? []
  }
}

extension LaneSet where Position == LSN {
  /// Whether a sink was replaced that had not delivered the existing rows.
  var haveLostRound: Bool {
    for index in indices where self[index].roundTicket == nil { return true }
    return false
  }
}
