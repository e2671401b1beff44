import KafkaBridge
import PGWire

/// Reads all partitions of the demo's topics, as a consumer of somebody else would.
struct DemoReader: ~Copyable {
  /// A record that is kept to be shown.
  struct Record {
    let topic: String
    let partition: Int32
    let offset: Int64
    let key: String?
    /// The value, as JSON where it names a schema.
    let value: [UInt8]
  }

  private let consumer: Consumer
  /// What reads records that name a schema; nil where none does.
  private let list: SchemaList?
  /// How many records have come, by topic.
  private(set) var counts: [String: Int] = [:]
  /// Bytes of keys and values.
  private(set) var bytes = 0
  private var kept: [Record] = []
  /// Whether records are kept to be shown.
  var keepsRecords = true

  /// Starts reading at the beginning of each partition.
  init(
    bootstrapServers: String, topics: [String], partitions: Int, list: SchemaList?
  ) throws(KafkaError) {
    var properties = KafkaConfiguration.consumer(
      bootstrapServers: bootstrapServers, group: "psql-streamer-demo")
    properties.set("fetch.wait.max.ms", "2")
    let consumer = try Consumer(configuration: properties)
    let all = topics.flatMap { topic in
      (0..<partitions).map { TopicPartition(topic: topic, partition: Int32($0)) }
    }
    try consumer.assign(all, startingAt: Dictionary(uniqueKeysWithValues: all.map { ($0, 0) }))
    self.consumer = consumer
    self.list = list
  }

  deinit { consumer.close(timeout: .zero) }

  /// How many records have come.
  var count: Int { counts.values.reduce(0, +) }

  /// Takes what has arrived, without waiting.
  ///
  /// Throws `StreamerError` when reading fails for good.
  mutating func poll() throws(StreamerError) {
    let (keeps, list) = (keepsRecords, list)
    let outcome = consumer.poll { record in
      counts[record.topic, default: 0] += 1
      bytes += (record.key?.byteCount ?? 0) + (record.value?.byteCount ?? 0)
      guard keeps else { return }
      var (key, value): (String?, [UInt8]) = (nil, [])
      if let bytes = record.key { key = String(decoding: Self.json(bytes, list), as: UTF8.self) }
      if let bytes = record.value { value = Self.json(bytes, list) }
      kept.append(
        Record(
          topic: record.topic, partition: record.partition, offset: record.offset, key: key,
          value: value))
    }
    if case .error(let error)? = outcome.event, !error.isRetriable {
      throw StreamerError(what: "demo's consumer", why: "\(error)")
    }
  }

  /// The records since the last call, in the order of the source's transactions.
  mutating func takeRecords() -> [(record: Record, value: JSONValue)] {
    defer { kept.removeAll() }
    let read = kept.map { ($0, JSONValue($0.value) ?? .null) }
    return read.sorted { place($0.1) < place($1.1) }
  }

  private static func json(_ bytes: RawSpan, _ list: SchemaList?) -> [UInt8] {
    var json = ByteWriter()
    guard let list, list.append(bytes, to: &json) else { return bytes.array }
    return json.bytes.array
  }

  private func place(_ event: JSONValue) -> (Int, Int) {
    let lsn = event["WALPosition"] ?? event["source"]?["lsn"]
    return (lsn?.integer ?? 0, event["Ordinal"]?.integer ?? 0)
  }
}

extension RawSpan {
  /// A copy of the bytes.
  var array: [UInt8] {
    // SAFETY: the buffer does not leave the closure.
    unsafe withUnsafeBytes { unsafe Array($0) }
  }
}
