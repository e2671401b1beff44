import PGWire

/// Copies existing rows beside the stream, round by round, without sockets, clocks or threads.
///
/// ```
/// resting ─▶ locking ─▶ opening ─▶ fencing ─▶ reading ─▶ closing ─▶ delivering ─▶ saving ─▶ resting … off
/// ```
/// A round takes a snapshot of the server, lets the stream run to the place where everything is read
/// that the snapshot sees and nothing else, pauses it there, and hands the rows of some tables to the
/// lanes. Tables with a key are read in parts; what is delivered of them is saved by the key of the
/// last row, and a restart goes on behind it. A snapshot that is older than the stream is given up.
///
/// What is copied is in the book: the copy of the start, then those that somebody has asked for, one
/// after the other. A round has tables of one copy.
struct Snapshot {
  typealias Instant = ContinuousClock.Instant

  /// How long the stream may wait for one round.
  let pause: Duration
  /// How many readers a round has, and the rows of a part behind which another can begin.
  private let parallelism: Int
  private let pieceRows: Int
  private let windowLimit: Int
  private(set) var state = State.off
  /// The copies and how far each table is, the rows that are being delivered included.
  private(set) var book = CopyBook()
  /// The same without them, as the store has it.
  private(set) var saved = CopyBook()
  /// The copy whose turn it is; nil when all wait or have ended.
  private(set) var current: CopyRequest?
  /// The copy that was said to have begun.
  private var announced: Int?
  /// The tables of the snapshot that is being taken.
  private var opened: [TableProgress] = []
  /// How many rows of each table the server believes there are, by its OID; negative where it has not
  /// counted.
  private(set) var estimates: [UInt32: Int64] = [:]
  /// What has been read for the copy whose turn it is, since the program began or went on with it.
  private(set) var pace = CopyPace()
  private var origin: SourceOrigin?
  private(set) var isUnderWay = false
  /// Blocks that nobody uses.
  private var spare: [RowBlock] = []
  /// Rows that can be read and taken in a second, as measured.
  private var rate = 20_000.0
  /// Where the last round stood and the number of the next event there.
  private var last: (place: LSN, ordinal: UInt64) = (.zero, 0)
  private var remarks: [Remark] = []
  /// How long the stream has waited for rows.
  private(set) var pauses = CopyPauses()
  private var failures = Backoff(longest: Limits.longestRetry)
  /// When the next round is due behind one that has failed.
  private var retry: Instant?
  /// How many snapshots were given up, one after the other.
  private var givenUp = 0
  private var random: any RandomNumberGenerator & Sendable
  /// When progress that could not be saved is saved again.
  private(set) var nextSave: Instant?
  /// Whether somebody wants no rounds for now.
  var isHeld = false
  /// Whether some sink wants to be told of copies.
  var tells = false
  /// What is to be told between two rounds, and what is being delivered of it.
  var notices: [CopyNotice] = []
  var telling: [CopyNotice] = []
  /// The copy that was told to have begun.
  var begun: Int?
  private var rereads = Rereads()

  init(
    pause: Duration, parallelism: Int = 1, pieceRows: Int = Limits.pieceRows,
    windowLimit: Int = Limits.fenceWindow,
    random: any RandomNumberGenerator & Sendable = SystemRandomNumberGenerator()
  ) {
    self.pause = pause
    self.parallelism = parallelism
    self.pieceRows = pieceRows
    self.windowLimit = windowLimit
    self.random = random
  }

  /// Begins with the copies that are kept of a database, or goes on with them.
  mutating func begin(_ book: CopyBook, of origin: SourceOrigin, now: Instant) {
    self.origin = origin
    self.book = book
    saved = book
    rereads = Rereads()
    announced = nil
    begun = nil
    // Whether that was told before is not known.
    notices =
      !tells
      ? []
      : book.unfinished.compactMap { number in
        book[number].flatMap { $0.state == .paused ? notice(.paused, of: $0) : nil }
      }
    telling = []
    state = .resting(until: now)
    look()
  }

  /// Goes on from what the store and the sinks have: a sink was replaced that keeps its position itself.
  mutating func rewind(to kept: CopyBook, now: Instant) {
    if tells { repeatNotices() }
    saved.put(kept)
    book = saved
    nextSave = nil
    state = .resting(until: now)
    look()
  }

  /// Copies are new, or somebody has decided about some; the store has them already.
  mutating func take(_ changed: CopyBook, now: Instant) {
    for number in changed.requests.map(\.number) where book.hasEnded(number) {
      if announced == number { announced = nil }
      if begun == number { begun = nil }
    }
    if tells { note(changed.requests) }
    book.put(changed)
    saved.put(changed)
    let surplus = saved.surplus
    saved.forget(surplus)
    book.forget(surplus)
    if case .off = state { state = .resting(until: now) }
    look()
  }

  /// What has to be copied once more since these rows were moved, so that every value arrives.
  mutating func rereads(for rows: [MovedRow]) -> [CopyCommand] {
    rereads.commands(for: rows, saved, book)
  }

  /// Finds the copy whose turn it is, after the book has changed.
  private mutating func look() {
    current = book.current
    if current == nil { pace.pause() }
    if case .resting = state, current == nil, book.unfinished.isEmpty, notices.isEmpty {
      state = .off
    }
  }

  /// Whether there is something to copy.
  var isOn: Bool { if case .off = state { false } else { true } }

  /// Whether something is delivered, or will be, that is not saved.
  var isUnsaved: Bool {
    switch state {
    case .closing, .delivering, .saving: book != saved
    case .off, .resting, .locking, .opening, .fencing, .reading: false
    }
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
    case .off, .locking, .fencing, .saving: return nil
    case .opening:
      let request = opened.first.flatMap { book[$0.request] }
      return .open(opened, filter: request?.filter, keys: request?.keys)
    case .resting(let until):
      guard mayBegin, !isHeld, notices.isEmpty, now >= until, let current else { return nil }
      let left = book.tables(of: current.number).filter { !$0.isDone }
      if announced != current.number {
        announced = current.number
        estimates = [:]
        pace = CopyPace()
        remarks.append(.began(current, tables: left.count))
      }
      pace.begin(now: now)
      opened = Array(left.prefix(Limits.roundTables))
      state = .locking
      return .lock(
        opened, uncounted: left.map(\.relation).filter { estimates[$0] == nil })
    case .reading(var round):
      guard let part = round.ask() else { return nil }
      state = .reading(round)
      if part.seeksEnd {
        return .seek(part.table, after: part.after, rows: part.limit, reader: part.reader)
      }
      let block = spare.popLast() ?? RowBlock()
      block.reader = part.reader
      guard !part.isAsked else { return .readOn(part.table, into: block) }
      return .read(part.table, after: part.after, limit: part.limit, into: block)
    case .closing: return .close
    case .delivering:
      if lanes.haveLostRound {
        book = saved
        repeatNotices()
        nextSave = nil
        state = .resting(until: now + failures.next(using: &random))
        look()
        return nil
      }
      guard lanes.haveDeliveredRound, let origin, nextSave.map({ now >= $0 }) ?? true else {
        return nil
      }
      state = .saving
      return .save(book.changes(since: saved), origin)
    }
  }

  /// A step has ended; throws what cannot pass by itself.
  mutating func take(
    _ answer: SnapshotAnswer, _ pipeline: inout Pipeline, now: Instant
  ) throws(StreamerError) {
    isUnderWay = false
    pipeline.awaitsSnapshot = false
    switch answer {
    case .locked:
      guard case .locking = state else { return }
      state = .opening
      pipeline.awaitsSnapshot = true
    case .opened(let point):
      guard case .opening = state else { return }
      estimates.merge(point.estimates) { $1 }
      pipeline.stop(at: point.snapshot, limit: point.limit)
      state = .fencing(point, since: now)
    case .found(let key, let reader):
      guard case .reading(var round) = state, let key else { return }
      round.found(key, by: reader)
      state = .reading(round)
    case .rows(let block):
      guard case .reading(var round) = state, round.put(block) else { return spare.append(block) }
      state = .reading(round)
    case .closed:
      guard case .closing(let isStale) = state else { return }
      state = isStale ? .resting(until: now + failures.next(using: &random)) : .delivering
    case .saved:
      let unfinished = saved.unfinished
      saved = book
      telling = []
      nextSave = nil
      let due = retry.take()
      if due == nil { failures.reset() }
      state = .resting(until: due ?? now)
      for number in unfinished { tellEnd(of: number) }
      look()
    case .refused(let changed):
      take(changed, now: now)
      remarks += changed.requests.map(Remark.refused)
      end(&pipeline, now: now)
      if isOpening {
        state = .resting(until: now)
        look()
      }
    case .failed(let error):
      remarks.append(.failed(error))
      if case .reading = state { retry = now + failures.next(using: &random) }
      end(&pipeline, now: now)
      if case .saving = state {
        state = .delivering
        nextSave = now + failures.next(using: &random)
      }
      if isOpening { state = .resting(until: now + failures.next(using: &random)) }
      guard error.isRetryable else { throw error }
    }
  }

  // MARK: - What the driver's thread does

  /// Goes on as far as it can; `window` holds what was received and not read.
  mutating func turn(
    _ pipeline: inout Pipeline, _ window: RawSpan, mayRead: Bool, now: Instant
  ) throws(StreamFault) {
    switch state {
    case .resting: if mayRead { tell(&pipeline, now: now) }
    case .fencing(let point, let since):
      if pipeline.looksBehindFence { pipeline.lookBehindFence(window) }
      // More than that is not received before what is there is read.
      let isFull = pipeline.looksBehindFence && window.byteCount >= windowLimit
      guard now - since < Limits.fencePatience else { return giveUp(&pipeline, isLate: true) }
      guard mayRead, !isFull, pipeline.fence?.isTorn == false else { return giveUp(&pipeline) }
      guard pipeline.isAtFence else { return }
      guard pipeline.read.areSeen(by: point.snapshot) else { return giveUp(&pipeline) }
      givenUp = 0
      begin(point, &pipeline, now: now)
      try read(&pipeline, now: now)
    case .reading:
      guard mayRead, pipeline.isInRound, isWanted else { return end(&pipeline, now: now) }
      try read(&pipeline, now: now)
    case .off, .locking, .opening, .closing, .delivering, .saving: break
    }
  }

  /// The connection is gone, and with it the round: what the lanes have of it counts.
  mutating func disconnected(_ pipeline: inout Pipeline, now: Instant) { end(&pipeline, now: now) }

  /// Tells what waits to be told, where the stream lets it.
  private mutating func tell(_ pipeline: inout Pipeline, now: Instant) {
    guard case .resting(let until) = state, now >= until, !notices.isEmpty, pipeline.mayTell
    else { return }
    // Its last rows were on their way when somebody paused it: it was told to be complete.
    notices.removeAll { $0.kind.isPause && book.hasEnded($0.request.number) }
    if notices.isEmpty { return look() }
    pipeline.tell(alone: notices)
    telling = notices
    notices = []
    state = .delivering
  }

  /// The snapshot is of no use; another is taken.
  ///
  /// `isLate` says that the stream has not come to it, else it is ahead of it.
  private mutating func giveUp(_ pipeline: inout Pipeline, isLate: Bool = false) {
    givenUp += 1
    remarks.append(.stale(times: givenUp, isLate: isLate))
    pipeline.fence = nil
    state = .closing(isStale: true)
  }

  private mutating func begin(_ point: SnapshotPoint, _ pipeline: inout Pipeline, now: Instant) {
    let place = pipeline.fencePlace
    let first = place == last.place ? last.ordinal : 0
    last = (place, first)
    var rests: [Round.Rest] = []
    var gone: [TableProgress] = []
    let request = opened.first?.request ?? CopyRequest.start
    for wanted in opened {
      guard let index = book.index(of: wanted.relation, in: request), !book.tables[index].isDone
      else { continue }
      if let table = point.tables.first(where: { $0.relation.oid == wanted.relation }) {
        rests.append(Round.Rest(table: table, after: book.tables[index].lastKey))
      } else {
        // It is published no more, or gone.
        book.change(index) { $0.isDone = true }
        remarks.append(.gone(book.tables[index]))
        gone.append(book.tables[index])
      }
    }
    pipeline.beginRound(
      Transaction(existingRowsAt: place, time: point.time, firstOrdinal: first),
      rests.map(\.table.relation))
    let left = book.tables(of: CopyRequest.start).count { !$0.isDone }
    var round = Round(request: request, rests: rests, leftAtStart: left, began: now)
    for table in gone { round.note(table) }
    state = .reading(round)
    tellPlace(&pipeline)
    guard tells, let copy = book[request] else { return }
    if begun != request {
      begun = request
      pipeline.tell(notice(.started, of: copy))
    }
    for table in gone { pipeline.tell(notice(.tableScanCompleted, of: copy, table, .skipped)) }
    if !gone.isEmpty { tellEnd(of: copy, &pipeline) }
  }

  /// Takes rows as far as the sinks do.
  private mutating func read(_ pipeline: inout Pipeline, now: Instant) throws(StreamFault) {
    while case .reading(var round) = state {
      while round.readers < parallelism, !round.rests.isEmpty,
        round.rows == 0 || now - round.began < pause
      {
        // With fewer tables than readers some read the same one, unless each row has to count at once.
        let piece =
          round.rests.count < parallelism && !pipeline.lanes.keepPositions ? pieceRows : nil
        let part = round.begin(limit: limit(round, now: now), piece: piece, now: now)
        if tells, part.after.isEmpty { tellBegin(of: part.table, round.request, &pipeline) }
      }
      state = .reading(round)
      guard round.readers > 0 else { return end(&pipeline, now: now) }
      guard let index = round.current, let block = round.parts[index].block else { return }
      let bytes = block.takeBytes()
      let size = bytes.count
      var offset = round.parts[index].offset
      let reason: Pipeline.Pause
      do throws(StreamFault) {
        reason = try pipeline.readRound(bytes, from: &offset)
      } catch {
        block.put(bytes)
        state = .reading(round)
        throw error
      }
      block.put(bytes)
      round.take(index, upTo: offset, isStopped: offset < size)
      state = .reading(round)
      guard offset == size else {
        precondition(reason != .fence, "a round stops for a reason")
        return
      }
      pace.add(rows: Int64(block.read.count), bytes: Int64(size), now: now)
      round.took(block, of: index)
      state = .reading(round)
      spare.append(block)
      count(&pipeline, now: now)
      // Parts that take much longer than they were made for are cut behind what is taken, unless that
      // would all have to be read again.
      if case .reading(let round) = state, now - round.began > pause * 3, round.counted > 0,
        !round.parts.contains(where: \.table.isReadWhole)
      {
        return end(&pipeline, now: now)
      }
    }
  }

  /// Takes down how far tables are, now that rows have been taken.
  private mutating func count(_ pipeline: inout Pipeline, now: Instant) {
    while case .reading(var round) = state, let progress = round.takeProgress() {
      guard let index = book.index(of: progress.table.relation.oid, in: round.request) else {
        state = .reading(round)
        continue
      }
      let isComplete = progress.ended?.isLast == true
      book.change(index) { table in
        table.rows += progress.rows
        if progress.rows > 0 { table.lastKey = progress.lastKey }
        guard isComplete else { return }
        table.isDone = true
        table.lastKey = []
      }
      let table = book.tables[index]
      round.note(table, isCompleted: isComplete)
      state = .reading(round)
      if let part = progress.ended, part.fetched > 1_000 {
        rate = Double(part.fetched) / max((now - part.began).inSeconds, 0.001)
      }
      guard isComplete else { continue }
      remarks.append(.copied(table))
      guard tells, let copy = book[round.request] else { continue }
      pipeline.tell(
        notice(.tableScanCompleted, of: copy, table, table.rows > 0 ? .succeeded : .empty))
      tellEnd(of: copy, &pipeline)
    }
    tellPlace(&pipeline)
  }

  /// How many rows fit into what is left of the pause.
  private func limit(_ round: Round, now: Instant) -> Int {
    let left = max((pause - (now - round.began)).inSeconds, 0.01)
    return min(max(Int(rate * left), 1_000), 50_000_000)
  }

  /// Ends the round where it stands: the stream goes on, and what was taken counts once it is delivered.
  private mutating func end(_ pipeline: inout Pipeline, now: Instant) {
    switch state {
    case .reading(var round):
      // What was taken of a block whose rest is given up is not read again.
      round.takePart()
      state = .reading(round)
      count(&pipeline, now: now)
      last.ordinal = max(last.ordinal, pipeline.nextOrdinal)
      spare = []
      pauses.add(now - round.began)
      remarks.append(.round(rows: round.rows, pause: pauses.last))
      pipeline.endRound()
      state = .closing(isStale: false)
    case .fencing: giveUp(&pipeline)
    case .off, .resting, .locking, .opening, .closing, .delivering, .saving: break
    }
  }

  private mutating func tellEnd(of number: Int) {
    guard book.hasEnded(number), let request = book[number], request.error == nil else { return }
    let tables = book.tables(of: number)
    remarks.append(
      .finished(request, tables: tables.count, rows: tables.reduce(0) { $0 + $1.rows }))
  }
}
