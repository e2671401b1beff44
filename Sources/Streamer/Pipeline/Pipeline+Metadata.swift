import PGWire

/// What is told of transactions beside their events, in lanes that have a topic for it.
extension Pipeline {
  /// The first event of a transaction comes; `lsn` is its own position.
  @inline(never)
  mutating func tellBegin(at lsn: LSN) {
    guard let transaction, let xid = transaction.xid, !transaction.isRound else { return }
    for index in lanes.indices {
      guard let metadata = encodings[index].metadata, let route = encodings[index].metadataRoute,
        lanes[index].isWanted(0)
      else { continue }
      let first = lanes[index].batch.count
      // One that came in chunks has no message of its own where it begins.
      let place = EventPlace(lsn: transaction.beginLSN ?? lsn, ordinal: 0)
      let record = RecordPlace(event: place, route: route, ticket: lanes[index].ticket)
      metadata.encode(
        beginOf: xid, at: place.lsn, record, &encodings[index].state, into: &lanes[index].batch)
      // It goes on with the event that follows: no position lies between the two.
      lanes[index].gathered(from: first)
    }
  }

  /// The transaction is complete.
  mutating func tellEnd(at lsn: LSN) {
    guard let transaction, let xid = transaction.xid, !transaction.isRound,
      transaction.nextOrdinal > 0
    else { return }
    // No event has that number: it tells whether the end was told before a connection was lost.
    let place = EventPlace(lsn: lsn, ordinal: transaction.nextOrdinal)
    for index in lanes.indices {
      guard let metadata = encodings[index].metadata, let route = encodings[index].metadataRoute,
        lanes[index].isWanted(place.ordinal)
      else { continue }
      let first = lanes[index].batch.count
      let record = RecordPlace(event: place, route: route, ticket: lanes[index].ticket)
      metadata.encode(
        endOf: xid, at: lsn, record, &encodings[index].state, into: &lanes[index].batch)
      lanes[index].produced(from: first, place, table: "transactions")
    }
  }

  /// Counts an event that was produced before a connection was lost, and writes nothing.
  @inline(never)
  mutating func recount(_ event: borrowing RowEvent, _ lane: TableLane, _ index: Int) {
    guard lane.plan is DebeziumTablePlan else { return }
    let first = lanes[index].batch.count
    if let rules = lane.rules {
      follow(rules, event, lane, index)
    } else {
      encode(event, lane, index)
    }
    encodings[index].formats[lane.format].state.setback = nil
    lanes[index].batch.truncate(to: first)
  }

  /// The same for a logical message.
  mutating func recount(_ message: borrowing LogicalMessage, _ place: EventPlace) {
    for index in lanes.indices {
      guard encodings[index].metadata != nil, encodings[index].state.debezium.counts.isOn,
        lanes[index].goesOn, !lanes[index].isWanted(place.ordinal),
        encodings[index].messageRoute != nil, !isOutbox(message, lane: index)
      else { continue }
      _ = encodings[index].state.debezium.counts.countMessage()
    }
  }
}
