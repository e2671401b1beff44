import KafkaBridge
import PGWire

/// What a record's headers say of its event, for sinks that are asked for them.
enum EventHeaders {
  /// UUID, LSN, Schema, Table and Action; a logical message has no schema and no table.
  static func headers(
    _ action: EventAction, _ place: EventPlace, _ state: borrowing EncodingState, schema: String,
    table: String, isExtraDelete: Bool = false
  ) -> [RecordHeader] {
    guard let uuid = state.uuid else { return [] }
    var text = ByteWriter(capacity: 40)
    uuid.append(ordinal: place.ordinal, isExtraDelete: isExtraDelete, to: &text)
    return [
      ("UUID", text.bytes.text), ("LSN", "\(place.lsn)"), ("Schema", schema), ("Table", table),
      ("Action", "\(action.name)"),
    ].map { RecordHeader(name: $0, value: Array($1.utf8)) }
  }
}
