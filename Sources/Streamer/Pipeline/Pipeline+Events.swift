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
    guard size <= settings.maxRowSize else { return try refuse(change, table, at: lsn, size) }
    guard let binary = table.binary else {
      guard !change.new.hasBinary, !change.old.hasBinary else {
        throw violation("a value came in binary that was not asked for")
      }
      return try row(ofText: change, table, at: lsn)
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
      ofText: BinaryRow.change(like: change, in: text, boundary: boundary), table, at: lsn)
    text.removeAll()
    text.shrink(to: Limits.rowTextBytes)
    rowText = consume text
  }

  private mutating func row(
    ofText change: borrowing Change, _ table: KnownTable, at lsn: LSN
  ) throws(DecodingError) {
    if table.mayRefresh {
      guard agrees(change, table) else { return hold(rowOf: table) }
    } else if agrees(change, table) {
      tables.replace(table.refreshable)
    }
    table.count(change.kind)
    if change.kind == .update, table.table.changesKey(change) {
      let first = EventPlace(lsn: lsn, ordinal: try takeOrdinal())
      emit(RowEvent(deletingOldKeyOf: change, at: first), table)
      let second = EventPlace(lsn: lsn, ordinal: try takeOrdinal())
      emit(RowEvent(insertingNewKeyOf: change, at: second), table)
    } else {
      let place = EventPlace(lsn: lsn, ordinal: try takeOrdinal())
      emit(RowEvent(change, at: place), table)
    }
  }

  /// Whether the row's composite values have the fields that their types are known to have.
  private mutating func agrees(_ change: borrowing Change, _ table: KnownTable) -> Bool {
    guard table.holdsComposites else { return true }
    for index in lanes.indices {
      guard let lane = table.lanes[index] else { continue }
      // One lane tells for all: their plans were made of the same types.
      return lane.plan.agrees(change, &encodings[index].state)
    }
    return true
  }

  private mutating func emit(_ event: borrowing RowEvent, _ table: KnownTable) {
    for index in lanes.indices {
      guard lanes[index].wants(event.place.ordinal) else { continue }
      guard let lane = table.lanes[index] else {
        lanes[index].counts.excluded += 1
        table.metrics.sinks[index].leaveOut()
        continue
      }
      lane.metrics.events.add()
      let first = lanes[index].batch.count
      lane.plan.encode(
        event, lane.route, ticket: lanes[index].ticket, &encodings[index].state,
        into: &lanes[index].batch)
      lanes[index].produced(from: first, event.place, table: lane.route.table)
    }
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
      let place = EventPlace(lsn: lsn, ordinal: try takeOrdinal())
      for index in lanes.indices where lanes[index].wants(place.ordinal) {
        guard let lane = table.lanes[index] else {
          lanes[index].counts.excluded += 1
          table.metrics.sinks[index].leaveOut()
          continue
        }
        let first = lanes[index].batch.count
        let record = RecordPlace(event: place, route: lane.route, ticket: lanes[index].ticket)
        lane.plan.encode(
          truncate: record, &encodings[index].state, into: &lanes[index].batch)
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
      guard message.lsn > .zero else { throw violation("a message has no position") }
      let last = LSN(message.lsn.value - 1)
      open(Transaction(xid: nil, commitLSN: last, commitTime: nil))
    }
    let place = EventPlace(lsn: message.lsn, ordinal: try takeOrdinal())
    for index in lanes.indices where lanes[index].wants(place.ordinal) {
      guard let route = encodings[index].messageRoute else {
        lanes[index].counts.excluded += 1
        continue
      }
      guard size <= settings.maxRowSize else {
        lanes[index].refused(place, tooLarge("a logical message", place, size))
        continue
      }
      let first = lanes[index].batch.count
      let record = RecordPlace(event: place, route: route, ticket: lanes[index].ticket)
      encodings[index].format.encode(
        message, record, &encodings[index].state, into: &lanes[index].batch)
      lanes[index].produced(from: first, place, table: "logical messages")
    }
    if alone { close(endLSN: message.lsn) }
  }

  /// Says what became of a prepared transaction; it goes where logical messages go.
  mutating func outcome(
    _ action: EventAction, gid: String, at lsn: LSN
  ) throws(DecodingError) {
    let place = EventPlace(lsn: lsn, ordinal: try takeOrdinal())
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

  private mutating func takeOrdinal() throws(DecodingError) -> UInt64 {
    eventCount += 1
    guard let ordinal = transaction?.takeOrdinal() else {
      throw violation("a change came outside a transaction")
    }
    return ordinal
  }

  // MARK: - Changes that are too large

  /// Refuses a change before anything is made of it, in every lane that it would go to.
  private mutating func refuse(
    _ change: borrowing Change, _ table: KnownTable, at lsn: LSN, _ size: Int
  ) throws(DecodingError) {
    table.count(change.kind)
    let place = EventPlace(lsn: lsn, ordinal: try takeOrdinal())
    if change.kind == .update, table.table.changesKey(change) { _ = try takeOrdinal() }
    for index in lanes.indices where lanes[index].wants(place.ordinal) {
      guard table.lanes[index] != nil else {
        lanes[index].counts.excluded += 1
        continue
      }
      let what = "a change of \(table.table.qualifiedName)"
      lanes[index].refused(place, tooLarge(what, place, size))
    }
  }

  private func tooLarge(_ what: String, _ place: EventPlace, _ size: Int) -> StreamerError {
    StreamerError(
      what: "source \(settings.source)",
      why: "\(what) at LSN \(place.lsn), transaction \(transaction?.commitLSN ?? .zero), takes "
        + "\(size) bytes, more than maxRowSize (\(settings.maxRowSize)) allows",
      hint: "Raise maxRowSize in [source.\(settings.source)], or leave the table out of the "
        + "publication.")
  }
}
