import PGWire

/// Changes that cannot be delivered, and go to the sink's dead letter topic instead.
///
/// What goes there is a record like any other: of the same transaction, in the same order, and
/// confirmed when it is delivered.
extension Lane where Position == LSN {
  /// Replaces those of the records that were added from `first` on which the sink cannot take.
  mutating func buryOversized(
    from first: Int, _ place: EventPlace, commitLSN: LSN, table: String, source: String,
    into route: Route
  ) {
    for index in first..<batch.count {
      let size = batch.size(index)
      guard size.whole > sink.maximumRecordBytes || !refusedRecords.isEmpty else { continue }
      let topic = sink.topic(batch.entries[index].topic)
      let refusal = refusedRecords[RefusedRecord(topic: topic.name, bytes: size.payload)]
      let isRefused = refusal?.cause == .recordTooLarge
      guard isRefused || size.whole > sink.maximumRecordBytes else { continue }
      let (key, value) = batch.parts(index)
      var letter = DeadLetter(
        source: source, sink: name, topic: topic.name, table: table, place: place,
        commitLSN: commitLSN, cause: .oversized,
        reason: isRefused
          ? "the broker refused the record: topic \(topic.name) takes "
            + "\(topic.maximumRecordBytes) bytes at most"
          : "the record takes \(size.whole) bytes, the sink takes \(sink.maximumRecordBytes) at most",
        size: size.payload, digest: SHA256.digest(of: value ?? []),
        key: key.flatMap { $0.count <= Limits.deadKeyBytes ? $0 : nil })
      let limit = sink.topic(route.topic).maximumRecordBytes
      if size.payload < limit {
        letter.payload = value
        // Escaping may make it larger than the topic takes.
        if letter.json.count + (letter.key?.count ?? 0) > limit { letter.payload = nil }
      }
      batch.replace(index, key: letter.key, value: letter.json, route: route)
      bury(letter)
    }
  }

  /// Puts a letter in place of a change that no record was made of.
  mutating func bury(_ letter: DeadLetter, into route: Route) {
    let first = batch.count
    batch.add(key: letter.key, value: letter.json, route: route, ticket: ticket)
    bury(letter)
    produced(from: first, letter.place, table: letter.table)
  }

  private mutating func bury(_ letter: DeadLetter) {
    counts.deadLetters[letter.cause, default: 0] += 1
    guard buried.count < Limits.notices else { return }
    buried.append(
      BuriedChange(
        table: letter.table, lsn: letter.place.lsn, topic: letter.topic, cause: letter.cause,
        size: letter.size))
  }

  /// The changes that went to the dead letter topic since the last call, some of them.
  mutating func takeBuried() -> [BuriedChange] {
    if buried.isEmpty { return [] }
    defer { buried = [] }
    return buried
  }
}
