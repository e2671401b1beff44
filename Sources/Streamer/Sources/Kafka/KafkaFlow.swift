import KafkaBridge
import PGWire

/// The way of a record from the group to the sinks, without sockets, clocks or threads.
///
/// It finds each record's table, gives it to every lane, and computes the offsets that may be
/// committed: per partition the least over the lanes. A record that cannot be taken yet waits in a
/// backlog.
struct KafkaFlow: ~Copyable {
  /// What is known of one partition; it is never forgotten, since tickets name its index.
  private struct Partition {
    let place: TopicPartition
    /// Whether the group has given it to this member.
    var isOwned = true
    /// The offset that was committed, or where reading began.
    var committed: Int64?
  }

  /// The sinks' ways, in the configuration's order; that of the dead letters comes last.
  var lanes: LaneSet<KafkaOffset>
  /// Whether nothing is to be given to the lanes: a sink is being opened again.
  var isHeld = false
  /// Look-ups that nobody has taken yet.
  private var requests: [KafkaTableRequest] = []
  /// How often the numbers of topics became void, so that late answers are recognised.
  private(set) var generation = 0
  /// How many events came.
  private(set) var eventCount = 0
  /// How many records were no events.
  private(set) var malformedCount = 0
  /// Why reading cannot go on: a malformed record.
  private(set) var failure: StreamerError?

  private let name: String
  private var sinks: [SinkPlan]
  private let inFlightLimit: Int
  private let observer: PipelineObserver
  private var parser = KafkaEventParser()
  private var tables = KafkaTables()
  private var backlog = KafkaBacklog()
  private var partitions: [Partition] = []
  private var indexes: [TopicPartition: Int] = [:]
  private var last = 0

  /// Makes the flow of one source; there is a lane for each of the sinks, and one more where
  /// malformed records are kept.
  init(
    name: String, sinks: [SinkPlan], lanes: consuming LaneSet<KafkaOffset>,
    inFlightLimit: Int, observer: PipelineObserver
  ) {
    self.name = name
    self.sinks = sinks
    self.lanes = lanes
    self.inFlightLimit = inFlightLimit
    self.observer = observer
  }

  /// The lane of malformed records; nil when the pipeline stops at one.
  private var deadLetters: Int? { lanes.count > sinks.count ? lanes.count - 1 : nil }

  // MARK: - State

  /// Bytes of records that are not yet durable, over all lanes.
  var inFlightBytes: Int { lanes.inFlightBytes }

  /// Whether the sinks hold as much as they may.
  var isOverBudget: Bool { lanes.inFlightBytes >= inFlightLimit }

  /// What stands in the way of reading now; ``Pipeline/Pause/needsBytes`` for nothing.
  ///
  /// While ``isHeld`` nothing is read whatever this says.
  var pause: Pipeline.Pause {
    if isOverBudget { return .budget }
    if backlog.isEmpty { return .needsBytes }
    return tables.outstanding > 0 ? .lookUp : .trackerFull
  }

  /// Whether nothing more should be polled for now.
  var isBlocked: Bool { isHeld || pause != .needsBytes }

  /// Whether everything that was taken is delivered.
  var isIdle: Bool { lanes.isIdle }

  /// Whether everything that was taken of these partitions is delivered.
  func isIdle(_ places: [TopicPartition]) -> Bool {
    for place in places {
      guard let index = indexes[place] else { continue }
      for lane in lanes.indices where !lanes[lane].isIdle(index) { return false }
    }
    return true
  }

  /// The partitions that the group has given to this member.
  var owned: [TopicPartition] { partitions.filter(\.isOwned).map(\.place) }

  // MARK: - Partitions

  /// The group gives partitions to this member.
  ///
  /// Throws when there are more than tickets can tell apart.
  mutating func own(_ places: [TopicPartition]) throws(StreamerError) {
    for place in places {
      if let known = indexes[place] {
        partitions[known].isOwned = true
        continue
      }
      guard partitions.count < StrandTicket.strands else {
        throw StreamerError(
          what: "source \(name)",
          why: "its topics have more than \(StrandTicket.strands) partitions",
          hint: "Divide the topics among several sources.")
      }
      indexes[place] = partitions.count
      partitions.append(Partition(place: place))
    }
  }

  /// The group takes partitions away: nothing more of them is given to the lanes.
  mutating func disown(_ places: [TopicPartition]) {
    for place in places {
      guard let index = indexes[place] else { continue }
      partitions[index].isOwned = false
      backlog.forget(index)
    }
  }

  /// The partitions are somebody else's: what is still outstanding of them changes nothing.
  mutating func retire(_ places: [TopicPartition]) {
    disown(places)
    for place in places {
      guard let index = indexes[place] else { continue }
      partitions[index].committed = nil
      for lane in lanes.indices { lanes[lane].retire(index) }
    }
  }

  /// Where each owned partition has to be read again, where that is not the group's own offset.
  var positions: [TopicPartition: Int64] {
    var positions: [TopicPartition: Int64] = [:]
    for (index, partition) in partitions.enumerated() where partition.isOwned {
      positions[partition.place] = committable(index)
    }
    return positions
  }

  /// A lane has begun anew: all partitions are read again from ``positions``.
  mutating func rewind() {
    backlog.removeAll()
    forgetTables()
  }

  /// The sinks go by other setups: what waits is looked up again.
  mutating func adopt(_ sinks: [SinkPlan]) {
    self.sinks = sinks
    forgetTables()
  }

  private mutating func forgetTables() {
    tables.removeAll()
    requests.removeAll()
    generation += 1
  }

  /// The topics that the tables which have come would have by these setups.
  func routes(by setups: [LaneSetup]) -> [(name: TablePolicy.Name, topics: [String?])] {
    tables.all.map { table in
      (
        TablePolicy.Name(schema: table.schema, table: table.table),
        setups.map {
          $0.topic(database: table.database, schema: table.schema, table: table.table)
        }
      )
    }
  }

  // MARK: - Offsets

  private func committable(_ partition: Int) -> Int64? {
    var least: Int64?
    for lane in lanes.indices {
      guard let offset = lanes[lane].confirmed(of: partition)?.value else { return nil }
      least = min(least ?? offset, offset)
    }
    return least
  }

  /// The offsets that have moved since the last call and that every lane has delivered, of all
  /// partitions or of those given.
  mutating func takeCommittable(_ places: [TopicPartition]? = nil) -> [PartitionOffset] {
    var moved: [PartitionOffset] = []
    let chosen = places.map { $0.compactMap { indexes[$0] } } ?? Array(partitions.indices)
    for index in chosen {
      guard let offset = committable(index), let before = partitions[index].committed,
        offset > before
      else { continue }
      partitions[index].committed = offset
      moved.append(PartitionOffset(partitions[index].place, offset))
    }
    return moved
  }

  /// These offsets were not committed after all: they are given again.
  mutating func commitFailed(_ places: [PartitionOffset]) {
    for place in places {
      guard let index = indexes[place.partition], partitions[index].committed != nil else {
        continue
      }
      partitions[index].committed = 0
    }
  }

  // MARK: - Reading

  /// Takes a record that was polled, or keeps it until it can be taken.
  mutating func read(_ record: borrowing ConsumedRecord) {
    guard let partition = index(of: record) else { return }
    read(partition, record.offset, record.key, record.value, record.headers)
  }

  /// Takes a record of a partition by its index, or keeps it until it can be taken.
  mutating func read(
    _ partition: Int, _ offset: Int64, _ key: RawSpan?, _ value: RawSpan?,
    _ headers: [RecordHeader]
  ) {
    if backlog.isEmpty, take(partition, offset, key, value, headers) { return }
    // The tables of what waits are asked for together.
    if tables.outstanding > 0, let value { lookAt(value) }
    backlog.append(partition: partition, offset: offset, key: key, value: value, headers: headers)
  }

  /// Takes what has been waiting, as far as it can be taken now, and hands it to the sinks.
  mutating func readBacklog() {
    guard !backlog.isEmpty, !isOverBudget else { return }
    // Not in its place: what is taken from it goes into the lanes beside it.
    var waiting = KafkaBacklog()
    swap(&waiting, &backlog)
    while let entry = waiting.next {
      let isTaken = take(
        entry.partition, entry.offset, waiting.part(entry.key), waiting.part(entry.value),
        entry.headers)
      guard isTaken else { break }
      waiting.removeFirst()
    }
    swap(&waiting, &backlog)
    flush()
  }

  /// Hands to the sinks what has gathered.
  mutating func flush() { lanes.flush() }

  private mutating func index(of record: borrowing ConsumedRecord) -> Int? {
    if last < partitions.count {
      let place = partitions[last].place
      if place.partition == record.partition, place.topic == record.topic { return last }
    }
    let place = TopicPartition(topic: record.topic, partition: record.partition)
    guard let index = indexes[place] else { return nil }
    last = index
    return index
  }

  /// Takes one record; false when it has to wait.
  mutating func take(
    _ partition: Int, _ offset: Int64, _ key: RawSpan?, _ value: RawSpan?,
    _ headers: [RecordHeader] = []
  ) -> Bool {
    // What was read of a partition that is no longer ours comes again, to whoever has it.
    guard partitions[partition].isOwned else { return true }
    guard !isHeld, failure == nil else { return false }
    for lane in lanes.indices where lanes[lane].isFull(partition) || lanes[lane].hasFailed {
      return false
    }
    guard let value else { return refuse(partition, offset, key, nil, headers, .noValue) }
    do throws(KafkaMalformation) { try parser.parse(value) } catch {
      return refuse(partition, offset, key, value, headers, error)
    }
    guard let table = tables.find(parser) else {
      ask()
      return false
    }
    if partitions[partition].committed == nil { partitions[partition].committed = offset }
    table.metrics.source.events.add()
    for index in sinks.indices {
      let metrics = table.metrics.sinks[index]
      if table.routes[index] == nil { metrics.leaveOut() } else { metrics.events.add() }
      lanes[index].take(
        partition, at: offset, key: key, value: value, headers: headers,
        route: table.routes[index])
    }
    if let deadLetters { lanes[deadLetters].pass(partition, at: offset) }
    eventCount += 1
    return true
  }

  // MARK: - Tables

  /// Asks for the table of a record that waits behind others.
  private mutating func lookAt(_ value: RawSpan) {
    // What is no event is said when it is taken.
    guard (try? parser.parse(value)) != nil, tables.find(parser) == nil else { return }
    ask()
  }

  private mutating func ask() {
    let (database, schema, table) = (parser.database.text, parser.schema.text, parser.table.text)
    guard tables.ask(database: database, schema: schema, table: table) else { return }
    let topics = sinks.map {
      $0.setup.topic(database: database, schema: schema, table: table)
    }
    requests.append(
      KafkaTableRequest(
        generation: generation, database: database, schema: schema, table: table, topics: topics))
  }

  /// The look-ups to be made that nobody has taken yet: each is given once.
  mutating func takeRequests() -> [KafkaTableRequest] {
    defer { requests.removeAll() }
    return requests
  }

  /// Takes the answer to a look-up, the number of each lane's topic; one that was asked for before
  /// the numbers became void is passed over.
  mutating func answer(
    _ request: KafkaTableRequest, _ topics: [TopicID?], left: [LeftOut?] = []
  ) {
    guard request.generation == generation, tables.answered(request) else { return }
    tables.add(
      KafkaTable(
        request, topics: topics,
        metrics: observer.table(
          schema: request.schema, name: request.table, hasTopic: topics.map { $0 != nil },
          left: left)))
  }

  // MARK: - Malformed records

  private mutating func refuse(
    _ partition: Int, _ offset: Int64, _ key: RawSpan?, _ value: RawSpan?,
    _ headers: [RecordHeader], _ reason: KafkaMalformation
  ) -> Bool {
    let place = partitions[partition].place
    malformedCount += 1
    guard let deadLetters else {
      failure = StreamerError(
        what: "source \(name)",
        why: "the record at topic \(place.topic), partition \(place.partition), offset \(offset) "
          + "is no event: \(reason)",
        hint: "Set malformed = \"dead-letter\" with a deadLetterTopic, or move the group's offset "
          + "beyond it.")
      return false
    }
    if partitions[partition].committed == nil { partitions[partition].committed = offset }
    for lane in sinks.indices { lanes[lane].pass(partition, at: offset) }
    lanes[deadLetters].take(
      partition, at: offset, key: key, value: value, headers: headers,
      route: Route(topic: 0, table: "\(place)"))
    return true
  }
}
