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

  /// librdkafka's handle; the producer destroys it.
  let handle: OpaquePointer
  /// The records of each partition that wait for the next flush.
  var batches: [PartitionBatch]

  init(name: String, partitionCount: Int, handle: OpaquePointer) {
    self.name = name
    self.partitionCount = partitionCount
    unsafe self.handle = handle
    self.batches = [PartitionBatch](repeating: PartitionBatch(), count: partitionCount)
  }
}

/// The records of one partition that have not been handed to librdkafka.
@safe struct PartitionBatch {
  /// Views of the caller's bytes, valid until the next flush.
  var messages: [rd_kafka_message_t] = unsafe []
  /// Records that a full queue refused; they come before `messages`.
  var held: [HeldRecord] = []
  /// Whether the producer's list of partitions with work has this one.
  var isListed = false
}

/// A record whose bytes had to be copied because librdkafka's queue was full.
struct HeldRecord {
  let key: [UInt8]?
  let value: [UInt8]?
  let headers: [RecordHeader]
  let timestamp: Int64
  let opaque: UInt

  var byteCount: Int { (key?.count ?? 0) + (value?.count ?? 0) }
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
