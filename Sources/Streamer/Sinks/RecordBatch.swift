import PGWire

/// Encoded records on their way to one sink, gathered over one window of received bytes.
///
/// Keys and values stand in one reused buffer; an entry names their places. Once a sink has taken
/// the batch it is cleared and its memory serves the next window.
struct RecordBatch: ~Copyable {
  /// One record: places in the batch's bytes, and where it goes.
  struct Entry {
    /// The key's bytes; nil for a record without a key.
    var key: Range<Int>?
    /// The value's bytes.
    var value: Range<Int>
    /// The sink's number of the topic.
    var topic: TopicID
    /// What decides the partition: murmur2 of the key, or of the table's name without one.
    var partitionHash: Int32
    /// The transaction that waits for the record's delivery.
    var ticket: DeliveryTracker.Ticket

    /// Key and value together, in bytes: what the record costs of the in-flight budget.
    var size: Int { (key?.count ?? 0) + value.count }
  }

  /// The bytes that the entries' ranges refer to.
  var bytes = ByteWriter(capacity: Limits.batchBytes * 2)
  /// The records in reading order.
  private(set) var entries: [Entry] = []

  /// The headers of each record, when the sink is asked for them; else empty.
  private(set) var headers: [EventHeaders] = []

  /// Whether it holds no record.
  var isEmpty: Bool { entries.isEmpty }

  /// Whether it should be handed over before more is added.
  var isLarge: Bool { bytes.count >= Limits.batchBytes }

  /// Adds a record whose key and value were written to ``bytes`` before.
  mutating func add(_ entry: Entry, headers own: EventHeaders? = nil) {
    entries.append(entry)
    if let own { headers.append(own) }
  }

  /// Forgets the records and keeps the memory, but for what one large row has taken.
  mutating func removeAll() {
    entries.removeAll(keepingCapacity: true)
    headers.removeAll(keepingCapacity: true)
    bytes.removeAll()
    bytes.shrink(to: Limits.batchBytes * 4)
  }
}

/// A sink's number of a topic.
typealias TopicID = Int32
