import PGWire

/// Records of a lane whose topics its sink is being asked for, in the order in which they were read.
///
/// They count as produced: nothing behind them is confirmed before they are delivered.
struct AwaitedRecords {
  /// A record, and what is said of it should the sink not take it.
  struct Record {
    let record: HeldRecord
    /// What stands for the topic's number.
    let topic: TopicID
    let ticket: UInt64
    let place: EventPlace
    let commitLSN: LSN
    /// The table's qualified name, or what else it is of.
    let table: String
  }

  private(set) var records: [Record] = []
  /// Keys, values and headers, in bytes.
  private(set) var bytes = 0

  /// Whether there is none.
  var isEmpty: Bool { records.isEmpty }

  /// Whether no more may be read before topics are known.
  var isFull: Bool {
    records.count >= Limits.awaitedRecords || bytes >= Limits.awaitedBytes
  }

  /// Whether one waits for that topic.
  func contains(_ topic: TopicID) -> Bool { records.contains { $0.topic == topic } }

  mutating func append(_ record: Record) {
    records.append(record)
    bytes += record.record.wholeBytes
  }

  /// Takes the records that wait for a topic.
  mutating func take(_ topic: TopicID) -> [Record] {
    let taken = records.filter { $0.topic == topic }
    records.removeAll { $0.topic == topic }
    bytes -= taken.reduce(0) { $0 + $1.record.wholeBytes }
    return taken
  }

  /// Takes all of them.
  mutating func takeAll() -> [Record] {
    defer { (records, bytes) = ([], 0) }
    return records
  }
}
