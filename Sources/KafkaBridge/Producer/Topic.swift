import CRdKafka

// A class because the batches of its partitions grow in place.
// SAFETY: the public properties are constants; the batches are touched only by the thread that
// produces.

/// A topic of one ``Producer``, by which records are produced without looking up a name.
///
/// The producer owns it; after ``Producer/close(timeout:_:)`` nothing can be done with it but read
/// its name.
@safe public final class Topic: @unchecked Sendable {
  /// The topic's name.
  public let name: String
  /// How many partitions it had when it was described; partitions added later are not used.
  public let partitionCount: Int

  /// The largest batch that the topic takes, in bytes as they are sent (`max.message.bytes`); nil
  /// when the broker does not say.
  public let maximumBatchBytes: Int?

  /// Records of so many bytes together fit into one batch, however they are compressed.
  let window: Int
  /// Whether the producer's batches may be larger than the topic takes.
  let isNarrow: Bool
  /// librdkafka's handle; the producer destroys it.
  let handle: OpaquePointer
  /// The records of each partition that wait for the next flush.
  var batches: [PartitionBatch]

  /// What Kafka takes unless topic or broker say otherwise.
  private static let usualBatchBytes = 1_048_588
  /// What a batch takes besides its records.
  private static let batchOverhead = 128
  /// What a record takes besides its key, value and headers, at most.
  static let recordOverhead = 64

  init(
    name: String, partitionCount: Int, maximumBatchBytes: Int?, producerBatchBytes: Int,
    handle: OpaquePointer
  ) {
    self.name = name
    self.partitionCount = partitionCount
    self.maximumBatchBytes = maximumBatchBytes
    let limit = maximumBatchBytes ?? Topic.usualBatchBytes
    window = limit - Topic.batchOverhead
    isNarrow = limit < producerBatchBytes
    unsafe self.handle = handle
    self.batches = [PartitionBatch](repeating: PartitionBatch(), count: partitionCount)
  }
}

/// The records of one partition that have not been handed to librdkafka.
@safe struct PartitionBatch {
  /// Views of the caller's bytes, valid until the next flush; the buffer goes round among the
  /// partitions.
  var messages: [rd_kafka_message_t] = unsafe []
  /// Records that have to wait; they come before `messages`.
  var held: [HeldRecord] = []
  /// What the broker knows of this producer in this partition.
  var standing = Standing.unknown
  /// Whether `messages` has one that may be too large for the topic.
  var hasLarge = false
  /// Records under way that count against the topic's window, and their bytes.
  var underWay = (count: 0, bytes: 0)
  /// When something was last handed over.
  var lastSubmit = ContinuousClock.now
  /// Whether the producer's list of partitions with work has this one.
  var isListed = false
}

/// What a partition's leader knows of a producer.
///
/// A leader that knows nothing of a producer accepts any sequence number as its first. So if the
/// first request fails (the topic has just been created and the leader is not ready) while a second
/// one is on its way, that one is taken, and librdkafka calls the first "implicitly acked": records
/// are lost and reported as delivered. Hence the first record of each partition goes alone.
enum Standing {
  /// Nothing was acknowledged yet, or so long ago that the leader may have forgotten.
  case unknown
  /// One record is on its way, alone.
  case probing
  /// A record was acknowledged: from now on the leader refuses gaps.
  case known

  /// After which pause a leader may have forgotten; brokers keep a producer's state for a day.
  static let lasts = Duration.seconds(3600)
}

/// A record whose bytes had to be copied because it has to wait.
struct HeldRecord {
  let key: [UInt8]?
  let value: [UInt8]?
  let headers: [RecordHeader]
  let timestamp: Int64
  let opaque: UInt

  var byteCount: Int { (key?.count ?? 0) + (value?.count ?? 0) }

  /// What it takes in a batch, at most.
  var size: Int {
    headers.reduce(byteCount + Topic.recordOverhead) {
      $0 + $1.name.utf8.count + ($1.value?.count ?? 0) + 10
    }
  }
}

/// One header of a record.
public struct RecordHeader: Hashable, Sendable {
  /// The header's name; a record may have several of the same name.
  public let name: String
  /// The header's value, nil for null.
  public let value: [UInt8]?

  /// Makes a header.
  public init(name: String, value: [UInt8]?) {
    self.name = name
    self.value = value
  }
}
