import PGWire

/// Records whose topics are not known yet: they wait, and what goes to other topics flows.
extension Lane where Position == LSN {
  /// Takes the records that an event became, which were added to ``batch`` from `first` on, out of
  /// it until their topics are known.
  mutating func setAside(from first: Int, _ place: EventPlace, table: String) {
    passed(place)
    for index in first..<batch.count {
      let entry = batch.entries[index]
      count(entry.size)
      awaited.append(
        AwaitedRecords.Record(
          record: HeldRecord(entry, of: batch, topic: ""), topic: entry.topic,
          ticket: entry.ticket, place: place, commitLSN: reading.commitLSN, table: table))
    }
    batch.truncate(to: first)
    waits()
  }

  /// The sink has given a topic its number: the records that waited for it go there, in front of all
  /// that comes behind them.
  mutating func release(_ topic: TopicID, as number: TopicID) {
    let all = awaited.take(topic)
    for (index, waiting) in all.enumerated() {
      let first = batch.count
      batch.add(waiting.record, topic: number, ticket: waiting.ticket)
      if let deadLetters {
        buryOversized(
          from: first, waiting.place, commitLSN: waiting.commitLSN, table: waiting.table,
          source: sourceName, into: deadLetters)
      }
      let isTaken = released(
        first, was: waiting.record.payloadBytes, table: waiting.table,
        place: "LSN \(waiting.place.lsn), transaction \(waiting.commitLSN),")
      // Nothing of a topic goes behind a record that was refused.
      if !isTaken { return drop(Array(all[(index + 1)...])) }
    }
    waits()
  }

  /// A topic is left out: so are the records that wait for it.
  mutating func leaveOut(_ topic: TopicID) -> Int {
    let left = awaited.take(topic)
    for waiting in left { settled(waiting.ticket, bytes: waiting.record.payloadBytes) }
    counts.excluded += left.count
    waits()
    return left.count
  }

  /// The sink can never have a topic that records wait for.
  mutating func refuse(topic: TopicID, _ error: StreamerError) {
    drop(awaited.take(topic))
    refuse(error)
  }
}
