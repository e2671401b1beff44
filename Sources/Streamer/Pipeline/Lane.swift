import KafkaBridge
import PGWire

/// One sink's way through a pipeline: what it has been given, what of that is delivered, and where
/// its position stands.
///
/// A pipeline has one lane for each of its sinks.
///
/// A class because pipeline, status and jobs speak of the same lane; only the pipeline's thread
/// touches it.
final class Lane {
  /// The sink's name in the configuration.
  let name: String
  /// How the sink's topics are chosen.
  let routing: TopicRouting
  /// The sink; replaced when it has failed.
  private(set) var sink: any Sink
  /// Whether the sink is open; until then it belongs to the I/O worker, which opens it.
  private(set) var isOpen = true
  /// Turns changes into records.
  let encoder: EventEncoder
  /// What is delivered.
  private(set) var tracker: DeliveryTracker
  /// Key and value bytes handed over or gathered, and not yet durable.
  private(set) var inFlightBytes = 0
  /// Bytes that became durable since ``takeDeliveredBytes()``.
  private var deliveredBytes = 0
  /// Where logical messages go; nil excludes them.
  var messageRoute: Route?
  /// What the lane counts.
  var counts = Counts()

  private var batch = RecordBatch()
  private var failure: StreamerError?
  private var ticket: DeliveryTracker.Ticket?
  /// The last event given to the sink: an in-process reconnect repeats nothing up to it.
  private var mark: (commitLSN: LSN, nextOrdinal: UInt64) = (.zero, 0)
  /// Events of the current transaction below this ordinal are passed over.
  private var skipBelow: UInt64 = .max

  /// Totals since the start, for /stats and metrics.
  struct Counts {
    var events = 0
    var excluded = 0
    var repeated = 0
    var delivered = 0
  }

  /// Makes a lane that begins at `position`; `capacity` is the number of transactions that may be
  /// read and not yet settled.
  init(
    name: String, routing: TopicRouting, sink: any Sink, encoder: EventEncoder, position: LSN,
    capacity: Int = Limits.unsettledTransactions
  ) {
    self.name = name
    self.routing = routing
    self.sink = sink
    self.encoder = encoder
    self.tracker = DeliveryTracker(startingAt: position, capacity: capacity)
  }

  /// Everything below it is durable in the sink.
  var confirmed: LSN { tracker.confirmed }

  /// Whether a transaction may begin.
  var canBegin: Bool { !tracker.isFull || tracker.isOpen }

  /// Starts anew with a fresh sink: everything that was not confirmed will be read again.
  func restart(with sink: any Sink) {
    self.sink = sink
    isOpen = false
    tracker = DeliveryTracker(startingAt: tracker.confirmed, capacity: tracker.capacity)
    batch.removeAll()
    inFlightBytes = 0
    mark = (.zero, 0)
    ticket = nil
    skipBelow = .max
    failure = nil
  }

  /// The I/O worker has opened the sink.
  func opened() { isOpen = true }

  // MARK: - Reading

  /// A transaction begins, or begins again after a lost connection.
  func begin(_ transaction: Transaction) {
    let commitLSN = transaction.commitLSN
    ticket = nil
    skipBelow = .max
    if let open = tracker.openTicket {
      guard commitLSN >= mark.commitLSN else { return }
      // The connection broke inside a transaction. Sent again, it goes on behind what was produced.
      // Not sent any more (the publication has changed), it is settled together with the next one:
      // its entry is taken over, since the ring may have no room for another.
      ticket = open
      skipBelow = commitLSN == mark.commitLSN ? mark.nextOrdinal : 0
    } else {
      guard commitLSN >= tracker.confirmed, commitLSN > mark.commitLSN else { return }
      ticket = tracker.begin(commitTime: transaction.commitTime)
      skipBelow = 0
    }
    if commitLSN > mark.commitLSN { mark = (commitLSN, 0) }
    encoder.begin(transaction)
  }

  /// Whether the event of this ordinal is wanted; counts it when it was produced before.
  func wants(_ ordinal: UInt64) -> Bool {
    if ordinal >= skipBelow { return true }
    counts.repeated += 1
    return false
  }

  /// Encodes one event and hands it to the sink's batch.
  ///
  /// `encode` writes key and value to the batch's bytes and says where they are.
  func produce(
    _ place: EventPlace, route: Route,
    _ encode: (EventEncoder, inout ByteWriter) -> EncodedRecord
  ) {
    guard let ticket else { preconditionFailure("an event was produced outside a transaction") }
    let record = encode(encoder, &batch.bytes)
    let hash =
      if let key = record.key { Murmur2.hash(batch.bytes.bytes(key)) } else { route.keylessHash }
    let entry = RecordBatch.Entry(
      key: record.key, value: record.value, topic: route.topic, partitionHash: hash, ticket: ticket)
    tracker.produced()
    inFlightBytes += entry.size
    counts.events += 1
    mark.nextOrdinal = place.ordinal + 1
    guard entry.size <= sink.maximumRecordBytes else { return refuse(entry, place, route) }
    batch.add(entry, headers: record.headers)
    if batch.isLarge { flush() }
  }

  /// A record that the sink can never take: it stays outstanding, so that no position passes it,
  /// and the lane fails at the next ``poll()``.
  private func refuse(_ entry: RecordBatch.Entry, _ place: EventPlace, _ route: Route) {
    guard failure == nil else { return }
    failure = StreamerError(
      what: "sink \(name)",
      why: "a record of \(route.table) at LSN \(place.lsn), transaction \(mark.commitLSN), takes "
        + "\(entry.size) bytes, more than the \(sink.maximumRecordBytes) that the sink takes",
      hint: "Raise message.max.bytes in [sink.\(name).librdkafka] and the topic's "
        + "max.message.bytes, or leave the table out.")
  }

  /// The transaction ends.
  func commit(endLSN: LSN) {
    guard ticket != nil else { return }
    tracker.commit(endLSN: endLSN)
    ticket = nil
    skipBelow = .max
  }

  /// The server has nothing to send below `walEnd`.
  func keepalive(walEnd: LSN) { tracker.keepalive(walEnd: walEnd) }

  /// Hands what has gathered to the sink.
  func flush() {
    guard !batch.isEmpty else { return }
    sink.send(batch)
    batch.removeAll()
  }

  // MARK: - Delivery

  /// Takes what the sink reports as durable.
  func poll() throws(StreamerError) {
    if let failure { throw failure }
    guard isOpen else { return }
    try sink.poll { receipt in
      tracker.delivered(receipt.ticket, count: receipt.count)
      inFlightBytes -= receipt.bytes
      deliveredBytes += receipt.bytes
      counts.delivered += receipt.count
    }
  }

  /// Transactions settled since the last call.
  func takeSettled() -> DeliveryTracker.Settled? { tracker.takeSettled() }

  /// Bytes that became durable since the last call.
  func takeDeliveredBytes() -> Int {
    defer { deliveredBytes = 0 }
    return deliveredBytes
  }
}

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
}

/// Where an encoded record stands in its batch's bytes.
struct EncodedRecord {
  /// The key's place; nil for none.
  let key: Range<Int>?
  /// The value's place.
  let value: Range<Int>
  /// What its headers say; nil for none.
  let headers: EventHeaders?
}
