import CRdKafka

/// One partition of a topic.
public struct TopicPartition: Hashable, Sendable {
  /// The topic's name.
  public let topic: String
  /// The partition's number, from 0.
  public let partition: Int32

  /// Names a partition.
  public init(topic: String, partition: Int32) {
    self.topic = topic
    self.partition = partition
  }
}

extension TopicPartition: CustomStringConvertible {
  /// The partition as "topic[number]".
  public var description: String { "\(topic)[\(partition)]" }
}

/// A place in a partition: the offset of the next record to read, as Kafka commits it.
public struct PartitionOffset: Hashable, Sendable {
  /// The partition.
  public let partition: TopicPartition
  /// The next offset to read: one more than that of the last record that is done with.
  public let offset: Int64

  /// Names a place.
  public init(_ partition: TopicPartition, _ offset: Int64) {
    self.partition = partition
    self.offset = offset
  }
}

/// A list of partitions as librdkafka wants it.
@safe struct PartitionList: ~Copyable {
  /// The list.
  let pointer: UnsafeMutablePointer<rd_kafka_topic_partition_list_t>

  /// Makes a list of partitions, with offsets where `offsets` has them.
  init(_ partitions: [TopicPartition], offsets: [TopicPartition: Int64] = [:]) {
    guard let list = unsafe rd_kafka_topic_partition_list_new(CInt(partitions.count)) else {
      preconditionFailure("librdkafka allocates or ends the process")
    }
    for partition in partitions {
      // SAFETY: the name is copied; the element belongs to the list.
      let element = unsafe rd_kafka_topic_partition_list_add(
        list, partition.topic, partition.partition)
      if let offset = offsets[partition] { unsafe element?.pointee.offset = offset }
    }
    unsafe pointer = list
  }

  deinit { unsafe rd_kafka_topic_partition_list_destroy(pointer) }

  /// The partitions of a list that librdkafka owns, each with its offset and error.
  static func elements(
    _ list: UnsafePointer<rd_kafka_topic_partition_list_t>?
  ) -> [(place: PartitionOffset, code: rd_kafka_resp_err_t)] {
    guard let list = unsafe list else { return [] }
    return (0..<Int(unsafe list.pointee.cnt)).map { index in
      // SAFETY: the index is below the list's count.
      let element = unsafe list.pointee.elems[index]
      let partition = unsafe TopicPartition(
        topic: String(cString: element.topic), partition: element.partition)
      return unsafe (PartitionOffset(partition, element.offset), element.err)
    }
  }
}
