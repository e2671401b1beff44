import PGWire

/// Makes events of decoded messages and gives them to the lanes.
extension Pipeline {
  mutating func row(_ change: borrowing Change, at lsn: LSN) throws(DecodingError) {
    let plan = try plan(change.relation)
    guard plan.table.fits(change) else {
      throw violation("a row has another number of columns than its relation")
    }
    guard let binary = plan.binary else {
      guard !change.new.hasBinary, !change.old.hasBinary else {
        throw violation("a value came in binary that was not asked for")
      }
      return try row(ofText: change, plan, at: lsn)
    }
    var text = rowText.take() ?? ByteWriter()
    let boundary: Int
    do { boundary = try binary.write(change, to: &text) } catch {
      rowText = consume text
      if plan.mayRefresh { return hold(rowOf: plan) }
      binaryFault = BinaryFault(table: plan.table.qualifiedName, error: error)
      return
    }
    try row(
      ofText: BinaryRow.change(like: change, in: text, boundary: boundary), plan, at: lsn)
    text.removeAll()
    text.shrink(to: Limits.rowTextBytes)
    rowText = consume text
  }

  private mutating func row(
    ofText change: borrowing Change, _ plan: KnownTable, at lsn: LSN
  ) throws(DecodingError) {
    if plan.mayRefresh {
      guard agrees(change, plan) else { return hold(rowOf: plan) }
    } else {
      plan.mayRefresh = agrees(change, plan)
    }
    plan.count(change.kind)
    if change.kind == .update, plan.table.changesKey(change) {
      let first = EventPlace(lsn: lsn, ordinal: try takeOrdinal())
      emit(RowEvent(deletingOldKeyOf: change, at: first), plan)
      let second = EventPlace(lsn: lsn, ordinal: try takeOrdinal())
      emit(RowEvent(insertingNewKeyOf: change, at: second), plan)
    } else {
      let place = EventPlace(lsn: lsn, ordinal: try takeOrdinal())
      emit(RowEvent(change, at: place), plan)
    }
  }

  /// Whether the row's composite values have the fields that their types are known to have.
  private func agrees(_ change: borrowing Change, _ plan: KnownTable) -> Bool {
    for index in lanes.indices {
      guard let lanePlan = plan.lanes[index] else { continue }
      // One lane tells for all: their encoders were made of the same types.
      return lanes[index].encoder.agrees(change, lanePlan.encoding)
    }
    return true
  }

  private func emit(_ event: borrowing RowEvent, _ plan: KnownTable) {
    for index in lanes.indices {
      let lane = lanes[index]
      guard lane.wants(event.place.ordinal) else { continue }
      guard let lanePlan = plan.lanes[index] else {
        lane.counts.excluded += 1
        plan.metrics.sinks[index].noTopic.add()
        continue
      }
      plan.metrics.sinks[index].events.add()
      lane.produce(event.place, route: lanePlan.route) { encoder, json in
        encoder.row(event, lanePlan.encoding, into: &json)
      }
    }
  }

  mutating func truncated(_ truncate: Truncate, at lsn: LSN) throws(DecodingError) {
    for relation in truncate.relations {
      let plan = try plan(relation)
      plan.metrics.source.events.add()
      plan.metrics.source.truncates.add()
      let place = EventPlace(lsn: lsn, ordinal: try takeOrdinal())
      for (index, lane) in lanes.enumerated() where lane.wants(place.ordinal) {
        guard let lanePlan = plan.lanes[index] else {
          lane.counts.excluded += 1
          plan.metrics.sinks[index].noTopic.add()
          continue
        }
        plan.metrics.sinks[index].events.add()
        lane.produce(place, route: lanePlan.route) { encoder, json in
          encoder.truncate(place, lanePlan.encoding, into: &json)
        }
      }
    }
  }

  /// A transactional message counts in its transaction; another stands alone.
  ///
  /// A message's position is the end of its record, and a commit record may start right there: it
  /// is confirmed by that position itself, and its last byte stands for it in the order of commits.
  mutating func logical(_ message: borrowing LogicalMessage) throws(DecodingError) {
    let alone = !message.isTransactional
    if alone {
      guard transaction == nil else { throw violation("a lone message came in a transaction") }
      guard message.lsn > .zero else { throw violation("a message has no position") }
      let last = LSN(message.lsn.value - 1)
      open(Transaction(xid: nil, commitLSN: last, commitTime: nil))
    }
    let place = EventPlace(lsn: message.lsn, ordinal: try takeOrdinal())
    for lane in lanes where lane.wants(place.ordinal) {
      guard let route = lane.messageRoute else {
        lane.counts.excluded += 1
        continue
      }
      lane.produce(place, route: route) { encoder, json in
        encoder.message(message, place, into: &json)
      }
    }
    if alone { close(endLSN: message.lsn) }
  }

  /// Says what became of a prepared transaction; it goes where logical messages go.
  mutating func outcome(
    _ action: NativeEnvelope.Action, gid: String, at lsn: LSN
  ) throws(DecodingError) {
    let place = EventPlace(lsn: lsn, ordinal: try takeOrdinal())
    for lane in lanes where lane.wants(place.ordinal) {
      guard let route = lane.messageRoute else {
        lane.counts.excluded += 1
        continue
      }
      lane.produce(place, route: route) { encoder, json in
        encoder.outcome(action, gid: gid, place, into: &json)
      }
    }
  }

  private mutating func takeOrdinal() throws(DecodingError) -> UInt64 {
    eventCount += 1
    guard let ordinal = transaction?.takeOrdinal() else {
      throw violation("a change came outside a transaction")
    }
    return ordinal
  }
}
