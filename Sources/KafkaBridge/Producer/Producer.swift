import CRdKafka
import Synchronization

// A class because topics and librdkafka's events refer to one instance.
// SAFETY: the properties are confined to the producing thread, but for the topics, which a mutex
// guards, and the handle, which may be used from any thread.

/// Writes records to Kafka, none lost and none reordered within a partition.
///
/// Records are gathered by partition with ``enqueue(topic:partition:key:value:opaque:)``, handed over
/// by ``flushBatches()``, and each comes back once as a ``DeliveryReport`` from ``poll(_:)``. After
/// a failed report or a ``fatalError`` nothing more may be produced: close, make a new producer, and
/// replay from the last confirmed position.
///
/// One thread produces, polls and closes. Only ``checkConnection(timeout:)``,
/// ``describeTopic(_:timeout:)``, ``topics(named:timeout:missingFor:)`` and
/// ``createTopics(_:timeout:)``, which block, may be called from another thread while it does.
@safe public final class Producer: @unchecked Sendable {
  /// How many records all the spare buffers together have room for, 72 bytes each.
  static let keptMessages = 8192

  let handle: ClientHandle
  private let refusals: BrokerRefusals?
  /// The main queue with its descriptor; nil after closing.
  var wakeUp: WakeUp?
  let topics = Mutex<[String: Topic]>([:])
  /// The name under which transactions are fenced; empty for a producer without transactions.
  let transactionalID: String
  /// What the open transaction has written.
  var written = WrittenPartitions()

  /// The partitions that have records to hand over, in the order of their first one.
  var work: [(topic: Topic, partition: Int)] = []
  /// Empty buffers of partitions that have nothing to hand over, for those that get something.
  var spare: [[rd_kafka_message_t]] = unsafe []
  /// How many records they have room for.
  var spareCapacity = 0
  /// Refused records that the next flush returns.
  var refused: [DeliveryReport] = []
  /// The partitions of which only so much may be under way, with records that are.
  var bounded: [(topic: Topic, partition: Int)] = []
  /// The partitions whose first record is on its way alone.
  var probes: [(topic: Topic, partition: Int)] = []
  /// How many records wait in the producer with copied bytes.
  var heldCount = 0
  /// How many records librdkafka has and has not reported.
  var inLibrary = 0
  /// How many requests that makes, about.
  var requests = RequestEstimate()
  /// Whether another batch would go on its way at once: nothing waits for its turn here, and there is
  /// room for its requests.
  ///
  /// Beyond that librdkafka turns without a pause as long as it has a record that no request holds.
  public var takesMore: Bool {
    heldCount == 0 && requests.hasRoom(within: KafkaConfiguration.requestsInFlight)
  }

  /// How many records were handed over and have not been reported.
  public var outstanding: Int { inLibrary + heldCount }

  /// The last error event: the reason of an outage, in the broker's own words.
  ///
  /// It stays after the outage; delivery reports show that one is over.
  public private(set) var lastError: KafkaError?
  /// Why the producer can do nothing any more; nil while it can.
  public internal(set) var fatalError: KafkaError?
  /// librdkafka's last statistics as JSON, when `statistics.interval.ms` is set.
  public private(set) var lastStatistics: String?

  /// Makes a producer, which connects in the background.
  ///
  /// Throws when a property is not accepted; that no broker answers shows in
  /// ``checkConnection(timeout:)``.
  public init(configuration: KafkaConfiguration) throws(KafkaError) {
    precondition(configuration.role == .producer, "a producer wants a producer's configuration")
    transactionalID = configuration.transactionalID ?? ""
    refusals = configuration.isDebugged ? nil : BrokerRefusals()
    handle = try unsafe ClientHandle(
      RD_KAFKA_PRODUCER, configuration: configuration,
      context: ClientContext(log: configuration.log, refusals: refusals)
    ) { conf in
      unsafe rd_kafka_conf_set_events(
        conf, RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_STATS)
    }
    guard let queue = unsafe rd_kafka_queue_get_main(handle.client) else {
      preconditionFailure("every Kafka client has a main queue")
    }
    wakeUp = unsafe WakeUp(queue)
  }

  deinit { if wakeUp != nil { _ = close(timeout: .zero) } }

  /// Readable when ``poll(_:)`` has something to do; for an epoll set, level-triggered.
  ///
  /// It belongs to the producer and is -1 after closing.
  public var eventDescriptor: CInt { wakeUp?.descriptor ?? -1 }

  /// The largest key and value together that the client accepts, in bytes (`message.max.bytes`).
  ///
  /// The topic's own limit may be lower: what may exceed it goes alone, and nothing of its partition
  /// follows before it is acknowledged.
  public var maximumMessageBytes: Int { handle.maximumMessageBytes }

  /// How many records and events librdkafka's queues hold, delivery reports not yet polled included.
  public var queueLength: Int {
    // SAFETY: a thread-safe count.
    wakeUp == nil ? 0 : Int(unsafe rd_kafka_outq_len(handle.client))
  }

  /// Takes every report that has arrived, without waiting, and returns how many there were.
  ///
  /// Error events are kept in ``lastError`` and ``fatalError``. `body` must not call the producer.
  @discardableResult
  public func poll(_ body: (DeliveryReport) -> Void) -> Int {
    // Cleared first: what comes while the queue is drained makes it readable again.
    wakeUp?.clear()
    let count = drain(waiting: 0, body)
    guard heldCount > 0 else { return count }
    // Room in the queue, or a leader that knows us now: what was held may go on.
    submitAll()
    for report in refused { body(report) }
    refused.removeAll()
    return count
  }

  /// What brokers refuse at the moment, though librdkafka goes on trying; nil when nothing.
  public var refusal: KafkaError? { refusals?.current(now: .now) }

  /// The error that was reported last, once: the next call gives only what came since.
  public func takeError() -> KafkaError? {
    defer { lastError = nil }
    return lastError
  }

  /// Takes events until there are none, waiting for the first one.
  func drain(waiting milliseconds: CInt, _ body: (DeliveryReport) -> Void) -> Int {
    var count = 0
    var timeout = milliseconds
    while let queue = unsafe wakeUp?.queue, let event = unsafe rd_kafka_queue_poll(queue, timeout) {
      // SAFETY: the event is ours until it is destroyed, and its messages with it.
      defer { unsafe rd_kafka_event_destroy(event) }
      timeout = 0
      if unsafe rd_kafka_event_type(event) == RD_KAFKA_EVENT_DR {
        while let message = unsafe rd_kafka_event_message_next(event) {
          inLibrary &-= 1
          count &+= 1
          if !transactionalID.isEmpty { unsafe written.note(message) }
          if !probes.isEmpty { unsafe acknowledged(message) }
          if !bounded.isEmpty { unsafe arrived(message) }
          if unsafe message.pointee.err == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE {
            body(unsafe tooLarge(message))
          } else {
            body(unsafe DeliveryReport(message))
          }
        }
      } else {
        unsafe note(event)
      }
    }
    if count > 0 { requests.report(records: count) }
    return count
  }

  // Everything that is not a delivery report.
  private func note(_ event: OpaquePointer) {
    switch unsafe rd_kafka_event_type(event) {
    case RD_KAFKA_EVENT_ERROR:
      let operation = "send to Kafka"
      if unsafe rd_kafka_event_error_is_fatal(event) != 0 {
        fatalError = handle.fatalError(operation: operation)
      }
      let error = unsafe KafkaError(event: event, operation: operation)
      // "All brokers are down" follows what happened to each of them, and says less.
      if error.code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN.rawValue, let lastError,
        !lastError.isFatal
      {
        return
      }
      lastError = fatalError ?? error
    case RD_KAFKA_EVENT_STATS:
      lastStatistics = unsafe rd_kafka_event_stats(event).map { unsafe String(cString: $0) }
    default: break
    }
  }
}
