import KafkaBridge
import PGWire

/// One sink's way through a ``KafkaPipeline``: what it was given of each partition, and what of
/// that is delivered.
///
/// It is ``Lane`` for records that are passed through unchanged and whose positions are offsets. A
/// class because pipeline, status and jobs speak of the same lane; only the pipeline's thread
/// touches it.
final class KafkaLane {
  /// The sink's name, for errors.
  let name: String
  /// The sink; replaced when it has failed.
  private(set) var sink: any Sink
  /// Whether the sink was opened and may be used by the pipeline's thread.
  var isOpen = false
  /// How often the sink was replaced: answers for an older one are void.
  private(set) var generation = 0
  /// Key and value bytes handed over or gathered, and not yet durable.
  private(set) var inFlightBytes = 0
  /// What the lane counts.
  var counts = Lane.Counts()

  private var progress: [KafkaProgress] = []
  private var batch = RecordBatch()
  private var failure: StreamerError?

  init(name: String, sink: any Sink) {
    self.name = name
    self.sink = sink
  }

  /// How far it has come in a partition.
  func progress(_ partition: Int) -> KafkaProgress {
    partition < progress.count ? progress[partition] : KafkaProgress()
  }

  /// Whether a partition's next record has to wait for deliveries.
  func isFull(_ partition: Int) -> Bool {
    partition < progress.count && progress[partition].isFull
  }

  /// Whether everything that was taken is delivered, of all partitions or of those given.
  func isIdle(_ partitions: [Int]? = nil) -> Bool {
    (partitions ?? Array(progress.indices)).allSatisfy { progress($0).isIdle }
  }

  // MARK: - Reading

  /// Makes room for a partition.
  func prepare(_ partition: Int) {
    while progress.count <= partition { progress.append(KafkaProgress()) }
  }

  /// Passes a record over that does not concern this lane.
  func pass(_ partition: Int, at offset: Int64) {
    guard offset >= progress[partition].next else { return }
    _ = progress[partition].begin(at: offset)
    progress[partition].end(at: offset, isProduced: false)
  }

  /// Takes a record, unless it was taken before; without a route it is excluded.
  ///
  /// Key and value go into the sink's batch as they are.
  func take(
    _ partition: Int, at offset: Int64, key: RawSpan?, value: RawSpan, route: Route?
  ) {
    guard offset >= progress[partition].next else {
      counts.repeated += 1
      return
    }
    guard let route else {
      counts.excluded += 1
      return pass(partition, at: offset)
    }
    let number = progress[partition].begin(at: offset)
    progress[partition].end(at: offset, isProduced: true)
    var keyRange: Range<Int>?
    var hash = route.keylessHash
    if let key {
      let start = batch.bytes.count
      batch.bytes.append(key)
      keyRange = start..<batch.bytes.count
      hash = Murmur2.hash(key)
    }
    let start = batch.bytes.count
    batch.bytes.append(value)
    let entry = RecordBatch.Entry(
      key: keyRange, value: start..<batch.bytes.count, topic: route.topic, partitionHash: hash,
      ticket: KafkaTicket.make(partition: partition, number: number))
    inFlightBytes += entry.size
    counts.events += 1
    guard entry.size <= sink.maximumRecordBytes else { return refuse(entry, at: offset, route) }
    batch.add(entry)
    if batch.isLarge { flush() }
  }

  /// A record that the sink can never take: it stays outstanding, so that no offset passes it, and
  /// the lane fails at the next ``poll()``.
  private func refuse(_ entry: RecordBatch.Entry, at offset: Int64, _ route: Route) {
    guard failure == nil else { return }
    failure = StreamerError(
      what: "sink \(name)",
      why: "a record of \(route.table) at offset \(offset) takes \(entry.size) bytes, more than "
        + "the \(sink.maximumRecordBytes) that the sink takes",
      hint: "Raise message.max.bytes in [sink.\(name).librdkafka] and the topic's "
        + "max.message.bytes, or leave the table out.")
  }

  /// Hands what has gathered to the sink.
  func flush() {
    guard !batch.isEmpty else { return }
    sink.send(batch)
    batch.removeAll()
  }

  // MARK: - Delivery

  /// Takes what the sink reports as durable.
  func poll() throws(StreamerError) {
    guard isOpen else { return }
    if let failure { throw failure }
    try sink.poll { receipt in
      let partition = KafkaTicket.partition(of: receipt.ticket)
      progress[partition].delivered(
        KafkaTicket.number(of: receipt.ticket), count: receipt.count)
      inFlightBytes -= receipt.bytes
      counts.delivered += receipt.count
    }
  }

  // MARK: - Recovery

  /// Starts anew with a fresh sink, which is not open yet: everything that was not confirmed will
  /// be read again.
  func restart(with sink: any Sink) {
    self.sink = sink
    isOpen = false
    generation += 1
    batch.removeAll()
    inFlightBytes = 0
    failure = nil
    for partition in progress.indices { progress[partition].rewind() }
  }

  /// A partition was given away.
  func retire(_ partition: Int) {
    guard partition < progress.count else { return }
    progress[partition].retire()
  }
}
