import PGWire

/// Makes events of decoded messages and gives them to the lanes.
extension Pipeline {
  /// A row has changed; `size` is what the change takes as it was received, in bytes.
  mutating func row(
    _ change: borrowing Change, at lsn: LSN, size: Int
  ) throws(DecodingError) {
    guard let table = try table(change.relation) else { return }
    guard table.table.fits(change) else {
      throw violation("a row has another number of columns than its relation")
    }
    guard size <= settings.maxRowSize else {
      return try refuse(change, table, at: lsn, .size(size))
    }
    guard let binary = table.binary else {
      guard !change.new.hasBinary, !change.old.hasBinary else {
        throw violation("a value came in binary that was not asked for")
      }
      return try row(ofBytes: change, table, at: lsn)
    }
    var text = rowText.take() ?? ByteWriter()
    let boundary: Int
    do { boundary = try binary.write(change, to: &text) } catch {
      rowText = consume text
      if table.mayRefresh { return hold(rowOf: table) }
      binaryFault = BinaryFault(table: table.table.qualifiedName, error: error)
      return
    }
    try row(
      ofBytes: BinaryRow.change(like: change, in: text, boundary: boundary), table, at: lsn)
    text.removeAll()
    text.shrink(to: Limits.rowTextBytes)
    rowText = consume text
  }

  /// A row whose values may be no text, which the database has not checked.
  @inline(__always)
  private mutating func row(
    ofBytes change: borrowing Change, _ table: KnownTable, at lsn: LSN
  ) throws(DecodingError) {
    guard origin.holdsAnyBytes else { return try row(ofText: change, table, at: lsn) }
    try row(unchecked: change, table, at: lsn)
  }

  @inline(never)
  private mutating func row(
    unchecked change: borrowing Change, _ table: KnownTable, at lsn: LSN
  ) throws(DecodingError) {
    let column = TextRepair.firstInvalidColumn(of: change)
    if settings.invalidUTF8 == .stop {
      let relation = table.table.relation
      if let column {
        let what = "column \(relation.columns[column].name) of \(table.table.qualifiedName)"
        return try refuse(change, table, at: lsn, .noText(what))
      }
      if table.table.hasInvalidName {
        let what = "a name of table \(table.table.qualifiedName) or of its columns"
        return try refuse(change, table, at: lsn, .noText(what))
      }
    }
    guard column != nil else { return try row(ofText: change, table, at: lsn) }
    var text = rowRepaired.take() ?? ByteWriter()
    let boundary = try TextRepair.write(change, settings.invalidUTF8, to: &text)
    try row(
      ofText: BinaryRow.change(like: change, in: text, boundary: boundary), table, at: lsn)
    text.removeAll()
    text.shrink(to: Limits.rowTextBytes)
    rowRepaired = consume text
  }

  private mutating func row(
    ofText change: borrowing Change, _ table: KnownTable, at lsn: LSN
  ) throws(DecodingError) {
    if table.mayRefresh {
      guard agrees(change, table) else { return hold(rowOf: table) }
    } else if agrees(change, table) {
      tables.replace(table.refreshable)
    }
    let isRead = transaction?.isRound == true
    table.count(change.kind, isRead: isRead)
    if table.isSignal, !isRead, change.kind == .insert {
      signals.append(SignalRow(change, of: table.table.relation, at: lsn))
      lanes.holdPositions(true)
    }
    if change.kind == .update, table.table.changesKey(change) {
      if read.isNeeded, let row = MovedRow(change, of: table.table, at: lsn) {
        moved.append(row)
        lanes.holdPositions(true)
      }
      let first = EventPlace(lsn: lsn, ordinal: try takeOrdinal(at: lsn))
      emit(RowEvent(deletingOldKeyOf: change, at: first), table)
      let second = EventPlace(lsn: lsn, ordinal: try takeOrdinal(at: lsn))
      emit(RowEvent(insertingNewKeyOf: change, at: second), table)
    } else {
      let place = EventPlace(lsn: lsn, ordinal: try takeOrdinal(at: lsn))
      emit(RowEvent(change, at: place, isRead: isRead), table)
    }
  }

  /// Whether the row's composite values have the fields that their types are known to have.
  private mutating func agrees(_ change: borrowing Change, _ table: KnownTable) -> Bool {
    guard table.holdsComposites else { return true }
    for index in lanes.indices {
      guard let lane = table.lanes[index], lane.plan.holdsComposites else { continue }
      if let rules = lane.rules, rules.rewrites {
        guard agrees(change, rules, lane, index) else { return false }
        continue
      }
      // One lane with all columns tells for all: their plans were made of the same types.
      return lane.plan.agrees(change, &encodings[index].formats[lane.format].state)
    }
    return true
  }

  private mutating func emit(_ event: borrowing RowEvent, _ table: KnownTable) {
    for index in lanes.indices {
      guard lanes[index].wants(event.place.ordinal) else {
        if encodings[index].metadata != nil, lanes[index].goesOn, let lane = table.lanes[index] {
          recount(event, lane, index)
        }
        continue
      }
      guard let lane = table.lanes[index] else {
        lanes[index].counts.excluded += 1
        table.metrics.sinks[index].leaveOut()
        continue
      }
      lane.metrics.events.add()
      let first = lanes[index].batch.count
      if let rules = lane.rules {
        follow(rules, event, lane, index)
      } else {
        encode(event, lane, index)
      }
      guard encodings[index].formats[lane.format].state.setback == nil else {
        setBack(event, table, lane, from: first, lane: index)
        continue
      }
      lanes[index].produced(from: first, event.place, table: lane.route.table)
    }
  }

  @inline(__always)
  mutating func encode(_ event: borrowing RowEvent, _ lane: TableLane, _ index: Int) {
    lane.plan.encode(
      event, lane.route, ticket: lanes[index].ticket,
      &encodings[index].formats[lane.format].state, into: &lanes[index].batch)
  }

  mutating func truncated(_ truncate: Truncate, at lsn: LSN) throws(DecodingError) {
    var emptied: [KnownTable] = []
    for relation in truncate.relations {
      guard let table = try table(relation) else { return }
      emptied.append(table)
    }
    for table in emptied {
      table.metrics.source.events.add()
      table.metrics.source.truncates.add()
      let place = EventPlace(lsn: lsn, ordinal: try takeOrdinal(at: lsn))
      for index in lanes.indices {
        let isWanted = lanes[index].wants(place.ordinal)
        // One that was produced before is counted again where events are.
        guard isWanted || encodings[index].metadata != nil && lanes[index].goesOn else { continue }
        guard let lane = table.lanes[index] else {
          guard isWanted else { continue }
          lanes[index].counts.excluded += 1
          table.metrics.sinks[index].leaveOut()
          continue
        }
        guard lane.rules?.actions.take(.truncate) != false else { continue }
        let first = lanes[index].batch.count
        let record = RecordPlace(event: place, route: lane.route, ticket: lanes[index].ticket)
        lane.plan.encode(
          truncate: record, &encodings[index].formats[lane.format].state,
          into: &lanes[index].batch)
        guard isWanted else {
          lanes[index].batch.truncate(to: first)
          continue
        }
        lanes[index].produced(from: first, place, table: lane.route.table)
      }
    }
  }

  /// A transactional message counts in its transaction; another stands alone.
  ///
  /// A message's position is the end of its record, and a commit record may start right there: it
  /// is confirmed by that position itself, and its last byte stands for it in the order of commits.
  mutating func logical(
    _ message: borrowing LogicalMessage, size: Int
  ) throws(DecodingError) {
    let alone = !message.isTransactional
    if alone {
      guard transaction == nil else { throw violation("a lone message came in a transaction") }
      if Heartbeat.isHeartbeat(message.prefix) { return passed(message.lsn) }
      if waits(nil, at: message.lsn) { return }
      guard message.lsn > .zero else { throw violation("a message has no position") }
      let last = LSN(message.lsn.value - 1)
      open(Transaction(xid: nil, commitLSN: last, commitTime: nil))
    }
    let place = EventPlace(lsn: message.lsn, ordinal: try takeOrdinal(at: message.lsn))
    recount(message, place)
    for index in lanes.indices where lanes[index].wants(place.ordinal) {
      if isOutbox(message, lane: index) {
        outbox(message, place, size: size, lane: index)
        continue
      }
      guard let route = encodings[index].messageRoute else {
        lanes[index].counts.excluded += 1
        continue
      }
      guard size <= settings.maxRowSize else {
        if let dead = lanes[index].deadLetters {
          let reason = "the message takes \(size) bytes, maxRowSize allows \(settings.maxRowSize)"
          lanes[index].bury(
            letter(of: message, place, route, .rowSize, reason, lane: index), into: dead)
        } else {
          lanes[index].refused(place, tooLarge("a logical message", place, size))
        }
        continue
      }
      let first = lanes[index].batch.count
      let record = RecordPlace(event: place, route: route, ticket: lanes[index].ticket)
      if let error = encode(message, record, lane: index) {
        if let dead = lanes[index].deadLetters {
          lanes[index].bury(
            letter(of: message, place, route, .notText, error.why, lane: index), into: dead)
        } else {
          lanes[index].refused(place, error)
        }
        continue
      }
      lanes[index].produced(from: first, place, table: "logical messages")
    }
    if alone { close(endLSN: message.lsn) }
  }

  /// Adds a message to a lane's batch, its prefix mended where it is no text; or says why it cannot.
  private mutating func encode(
    _ message: borrowing LogicalMessage, _ record: RecordPlace, lane index: Int
  ) -> StreamerError? {
    guard origin.holdsAnyBytes, UTF8Scan.firstInvalid(in: message.prefix, from: 0) != nil else {
      encodings[index].format.encode(
        message, record, &encodings[index].state, into: &lanes[index].batch)
      return nil
    }
    guard settings.invalidUTF8 != .stop else {
      return noText("the prefix of a logical message", record.event)
    }
    var prefix = ByteWriter()
    TextRepair.append(message.prefix, settings.invalidUTF8, to: &prefix)
    let mended = LogicalMessage(
      isTransactional: message.isTransactional, lsn: message.lsn, prefix: prefix.bytes,
      content: message.content)
    encodings[index].format.encode(
      mended, record, &encodings[index].state, into: &lanes[index].batch)
    return nil
  }

  /// Says what became of a prepared transaction; it goes where logical messages go.
  mutating func outcome(
    _ action: EventAction, gid: String, at lsn: LSN
  ) throws(DecodingError) {
    let place = EventPlace(lsn: lsn, ordinal: try takeOrdinal(at: lsn))
    for index in lanes.indices where lanes[index].wants(place.ordinal) {
      guard let route = encodings[index].messageRoute else {
        lanes[index].counts.excluded += 1
        continue
      }
      let first = lanes[index].batch.count
      let record = RecordPlace(event: place, route: route, ticket: lanes[index].ticket)
      encodings[index].format.encode(
        action, gid: gid, record, &encodings[index].state, into: &lanes[index].batch)
      lanes[index].produced(from: first, place, table: "prepared transactions")
    }
  }

  private mutating func takeOrdinal(at lsn: LSN) throws(DecodingError) -> UInt64 {
    eventCount += 1
    guard let ordinal = transaction?.takeOrdinal() else {
      throw violation("a change came outside a transaction")
    }
    if ordinal == 0 { tellBegin(at: lsn) }
    return ordinal
  }

  // MARK: - Changes that cannot become events

  /// A change was too large to be held: what is left of it tells what and where it was.
  @inline(never)
  mutating func refuse(
    _ abridged: borrowing AbridgedMessage, _ decoder: PgOutputDecoder, at lsn: LSN
  ) throws(DecodingError) {
    guard abridged.size > settings.maxRowSize else {
      throw violation("a change is abridged that is not too large")
    }
    self.abridged = (abridged.digest.copied, abridged.size - abridged.message.byteCount)
    defer { self.abridged = nil }
    var decoder = decoder
    switch try decoder.decode(abridged.message) {
    case .change(let change): try row(change, at: lsn, size: abridged.size)
    case .message(let message): try logical(message, size: abridged.size)
    default: throw violation("a message is abridged that is no change")
    }
  }

  /// Why no event is made of a change.
  private enum Refusal {
    /// It takes more bytes than maxRowSize allows.
    case size(Int)
    /// Something of it is no text.
    case noText(String)
  }

  /// Sees to an event that cannot be delivered like others.
  private mutating func setBack(
    _ event: borrowing RowEvent, _ table: KnownTable, _ lane: TableLane, from first: Int,
    lane index: Int
  ) {
    guard
      case .unwritable(let column)? = encodings[index].formats[lane.format].state.setback.take()
    else { return outboxed(event, table, lane, from: first, lane: index) }
    refuse(event, table, lane, column: column, from: first, lane: index)
  }

  /// Refuses an event whose record the table's schema cannot say.
  private mutating func refuse(
    _ event: borrowing RowEvent, _ table: KnownTable, _ lane: TableLane, column: Int,
    from first: Int, lane index: Int
  ) {
    lanes[index].batch.truncate(to: first)
    let relation = table.table.relation
    let what = "column \(relation.columns[column].name) of \(table.table.qualifiedName)"
    let why = "a value of \(what) is none that its schema can say"
    guard let route = lanes[index].deadLetters else {
      return lanes[index].refused(event.place, unwritable(why, event.place, index))
    }
    let bytes = event.row.byteCount
    let letter = DeadLetter(
      source: settings.source, sink: lanes[index].name,
      topic: lanes[index].sink.topic(lane.route.topic).name, table: table.table.qualifiedName,
      place: event.place, commitLSN: transaction?.commitLSN ?? .zero, cause: .noSchema,
      reason: why, size: bytes, digest: event.row.digest(of: bytes),
      key: event.row.key(table.table.key, of: relation))
    lanes[index].bury(letter, into: route)
  }

  private func unwritable(_ why: String, _ place: EventPlace, _ index: Int) -> StreamerError {
    StreamerError(
      what: "sink \(lanes[index].name)",
      why: "\(why), at LSN \(place.lsn), transaction \(transaction?.commitLSN ?? .zero): NaN or "
        + "infinity as a decimal, an array of several dimensions, or null in a key",
      hint: "Set oversized = \"dead-letter\", or decimal = \"string\" in "
        + "[sink.\(lanes[index].name).debezium], or leave the table out.")
  }

  /// Refuses a change before anything is made of it, in every lane that it would go to.
  private mutating func refuse(
    _ change: borrowing Change, _ table: KnownTable, at lsn: LSN,
    _ refusal: Refusal
  ) throws(DecodingError) {
    table.count(change.kind)
    let place = EventPlace(lsn: lsn, ordinal: try takeOrdinal(at: lsn))
    if change.kind == .update, table.table.changesKey(change) { _ = try takeOrdinal(at: lsn) }
    for index in lanes.indices where lanes[index].wants(place.ordinal) {
      guard table.lanes[index] != nil else {
        lanes[index].counts.excluded += 1
        continue
      }
      if let route = lanes[index].deadLetters {
        lanes[index].bury(letter(of: change, table, place, refusal, lane: index), into: route)
        continue
      }
      let error: StreamerError
      switch refusal {
      case .size(let size):
        error = tooLarge("a change of \(table.table.qualifiedName)", place, size)
      case .noText(let what): error = noText(what, place)
      }
      lanes[index].refused(place, error)
    }
  }

  /// What a dead letter topic gets of a change that no record is made of.
  private func letter(
    of change: borrowing Change, _ table: KnownTable, _ place: EventPlace, _ refusal: Refusal,
    lane index: Int
  ) -> DeadLetter {
    let row = change.kind == .delete ? change.old : change.new
    let bytes = row.byteCount
    var letter = DeadLetter(
      source: settings.source, sink: lanes[index].name,
      topic: table.lanes[index].map { lanes[index].sink.topic($0.route.topic).name } ?? "",
      table: table.table.qualifiedName, place: place, commitLSN: transaction?.commitLSN ?? .zero,
      cause: .rowSize, reason: "", size: bytes,
      digest: abridged?.digest ?? row.digest(of: bytes),
      // A sink with rules may not show a column under its name, or not at all.
      key: table.lanes[index]?.rules == nil
        ? row.key(table.table.key, of: table.table.relation) : nil)
    switch refusal {
    case .size(let size):
      letter.size = size
      letter.reason = "the change takes \(size) bytes, maxRowSize allows \(settings.maxRowSize)"
    case .noText(let what):
      letter.cause = .notText
      letter.reason = "\(what) holds bytes that are no UTF-8"
    }
    return letter
  }

  /// What a dead letter topic gets of a logical message that no record is made of.
  private func letter(
    of message: borrowing LogicalMessage, _ place: EventPlace, _ route: Route,
    _ cause: DeadLetter.Cause, _ reason: String, lane index: Int
  ) -> DeadLetter {
    let size = message.content.byteCount + (abridged?.bytesLeftOut ?? 0)
    let isHashed = abridged == nil && size <= Limits.hashedBytes
    return DeadLetter(
      source: settings.source, sink: lanes[index].name,
      topic: lanes[index].sink.topic(route.topic).name, table: "logical messages", place: place,
      commitLSN: transaction?.commitLSN ?? .zero, cause: cause, reason: reason, size: size,
      digest: isHashed
        ? SHA256.digest(of: message.content.copied) : abridged?.digest ?? [])
  }

  private func noText(_ what: String, _ place: EventPlace) -> StreamerError {
    StreamerError(
      what: "source \(settings.source)",
      why: "\(what) at LSN \(place.lsn), transaction \(transaction?.commitLSN ?? .zero), holds "
        + "bytes that are no UTF-8: the database is in SQL_ASCII, which takes any",
      hint:
        "Set invalidUTF8 = \"replace\" or \"base64\" in [source.\(settings.source)], or leave the "
        + "table out of the sink.")
  }

  func tooLarge(_ what: String, _ place: EventPlace, _ size: Int) -> StreamerError {
    StreamerError(
      what: "source \(settings.source)",
      why: "\(what) at LSN \(place.lsn), transaction \(transaction?.commitLSN ?? .zero), takes "
        + "\(size) bytes, more than maxRowSize (\(settings.maxRowSize)) allows",
      hint: "Raise maxRowSize in [source.\(settings.source)], or leave the table out of the "
        + "publication.")
  }
}
