import KafkaBridge

/// Where a table's events go in one lane.
struct Route {
  /// The sink's topic.
  let topic: TopicID
  /// The partition hash of events without a key: that of the table's name, so that a replay keeps
  /// their order.
  let keylessHash: Int32
  /// The table's qualified name, for errors.
  let table: String

  init(topic: TopicID, table name: String) {
    self.topic = topic
    table = name
    var name = name
    // SAFETY: the pointer does not leave the closure.
    keylessHash = name.withUTF8 { unsafe Murmur2.hash(UnsafeRawBufferPointer($0)) }
  }

  /// Another topic for events of the same table.
  init(topic: TopicID, like other: borrowing Route) {
    self.topic = topic
    keylessHash = other.keylessHash
    table = other.table
  }
}
