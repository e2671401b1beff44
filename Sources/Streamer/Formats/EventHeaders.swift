import KafkaBridge

/// What a record's headers say of its event, for sinks that are asked for them.
struct EventHeaders: Hashable, Sendable {
  /// The event's UUID.
  let uuid: String
  /// The change's own LSN.
  let lsn: String
  /// The table's schema; empty for a logical message.
  let schema: String
  /// The table's name; empty for a logical message.
  let table: String
  /// insert, update, delete, truncate or message.
  let action: String

  /// The headers by their names in a record.
  var recordHeaders: [RecordHeader] {
    [("UUID", uuid), ("LSN", lsn), ("Schema", schema), ("Table", table), ("Action", action)].map {
      RecordHeader(name: $0, value: Array($1.utf8))
    }
  }
}
