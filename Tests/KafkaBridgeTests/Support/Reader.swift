import KafkaBridge
import Testing

/// A consumer whose events are answered as an owner would, and what it has read.
struct Reader {
  /// A copy of a record.
  struct Copy: Hashable {
    let place: TopicPartition
    let offset: Int64
    let key: [UInt8]?
    let value: [UInt8]?
    let headers: [RecordHeader]
    let timestamp: Int64?
  }

  private static let rebalance = "REBALANCE_IN_PROGRESS"

  let consumer: Consumer
  private(set) var records: [Copy] = []
  private(set) var owned: Set<TopicPartition> = []
  private(set) var revoked: [TopicPartition] = []
  private(set) var ends: [PartitionOffset] = []
  private(set) var committed: [PartitionOffset] = []
  private(set) var errors: [KafkaError] = []
  /// Whether the group moved on before a commit could be made: another round was quicker.
  private(set) var wasOvertaken = false

  init(_ bootstrapServers: String, group: String, _ properties: [(String, String)] = []) throws {
    var configuration = KafkaConfiguration.consumer(
      bootstrapServers: bootstrapServers, group: group)
    for (name, value) in properties { configuration.set(name, value) }
    consumer = try Consumer(configuration: configuration)
  }

  /// Polls once, waiting at most 100 ms.
  mutating func poll(limit: Int = 10_000) throws {
    awaitReadable(consumer.eventDescriptor)
    var arrived: [Copy] = []
    let outcome = consumer.poll(limit: limit) { arrived.append(Reader.copy($0)) }
    #expect(outcome.records == arrived.count)
    for record in arrived {
      #expect(owned.contains(record.place), "a record of a partition that was not assigned")
    }
    records.append(contentsOf: arrived)
    switch outcome.event {
    case .assigned(let partitions):
      owned.formUnion(partitions)
      try consumer.assign(partitions)
    case .revoked(let partitions, let isLost):
      if !isLost {
        do throws(KafkaError) {
          try consumer.commit(places, timeout: .seconds(5))
        } catch {
          wasOvertaken = wasOvertaken || error.name == Self.rebalance
          if !wasOvertaken { Issue.record("commit before giving back \(partitions): \(error)") }
        }
      }
      owned.subtract(partitions)
      revoked.append(contentsOf: partitions)
      try consumer.unassign(partitions)
    case .committed(let places, let error):
      if error?.name == Self.rebalance { wasOvertaken = true }
      #expect(error == nil || error?.name == Self.rebalance)
      committed.append(contentsOf: places)
    case .endOfPartition(let place): ends.append(place)
    case .error(let error): errors.append(error)
    case nil: break
    }
  }

  /// Polls until the condition holds or twenty seconds are over; returns whether it holds.
  mutating func poll(until condition: (borrowing Reader) -> Bool) throws -> Bool {
    let end = ContinuousClock.now + .seconds(20)
    while !condition(self) {
      if ContinuousClock.now > end { return false }
      try poll()
    }
    return true
  }

  /// What may be committed: one beyond the last record of each owned partition.
  var places: [PartitionOffset] {
    var next: [TopicPartition: Int64] = [:]
    for record in records where owned.contains(record.place) {
      next[record.place] = max(next[record.place] ?? 0, record.offset + 1)
    }
    return next.map { PartitionOffset($0.key, $0.value) }
  }

  private static func copy(_ record: borrowing ConsumedRecord) -> Copy {
    var key: [UInt8]?
    if let span = record.key { key = unsafe span.withUnsafeBytes { unsafe [UInt8]($0) } }
    var value: [UInt8]?
    if let span = record.value { value = unsafe span.withUnsafeBytes { unsafe [UInt8]($0) } }
    return Copy(
      place: TopicPartition(topic: record.topic, partition: record.partition),
      offset: record.offset, key: key, value: value, headers: record.headers,
      timestamp: record.timestamp)
  }
}
