import KafkaBridge
import PGWire

/// Records that can never be delivered: the source ends with their place, or they are held.
extension Lane {
  /// Why a record of the batch, which can never be delivered, ends the source; nil when it can, or when
  /// it is held with what follows it in its topic.
  func refusal(_ index: Int, _ table: String, _ place: String) -> StreamerError? {
    let (number, size) = (batch.entries[index].topic, batch.size(index))
    let topic = sink.topic(number)
    let refused = refusedRecords[RefusedRecord(topic: topic.name, bytes: size.payload)]
    let limit = sink.maximumRecordBytes
    guard size.whole > limit || refused != nil else { return nil }
    let key = batch.parts(index).key.flatMap { bytes in
      bytes.count <= Limits.shownKeyBytes ? String(validating: bytes, as: UTF8.self) : nil
    }
    if let quarantine {
      guard !quarantine.holds(number) else { return nil }
      quarantine.hold(
        number,
        because: HeldTopic.Reason(
          table: table, place: place.last == "," ? String(place.dropLast()) : place, key: key,
          size: size.payload,
          text: refused?.why
            ?? "a record takes \(size.whole) bytes, the sink takes \(limit) at most"))
      return nil
    }
    let record = "a record of \(table) at \(place) takes \(size.whole) bytes"
    let itsKey = key.map { " (key \($0))" } ?? ""
    guard let refused else {
      return StreamerError(
        what: "sink \(name)",
        why: "\(record), more than the \(limit) that the sink takes\(itsKey)",
        hint: "Raise message.max.bytes in [sink.\(name).librdkafka] and the topic's "
          + "max.message.bytes, or leave the table out.")
    }
    return refused.saying("\(record)\(itsKey): \(refused.why)")
  }

  /// Holds all that goes to a topic from now on, unless it is held.
  func hold(_ topic: TopicID, of table: String, at place: String, because why: String) {
    guard let quarantine, !quarantine.holds(topic) else { return }
    quarantine.hold(
      topic,
      because: HeldTopic.Reason(table: table, place: place, key: nil, size: 0, text: why))
  }
}
