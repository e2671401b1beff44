import CRdKafka

/// What became of one record.
public struct DeliveryReport: Sendable {
  /// The number that was given with the record.
  public let opaque: UInt
  /// The bytes of key and value together.
  public let byteCount: Int
  /// The partition.
  public let partition: Int32
  /// Where the record lies in its partition; -1 when that is unknown or it was not delivered.
  public let offset: Int64
  /// Why it was not delivered; nil when every replica in sync has it.
  public internal(set) var error: KafkaError?

  /// The topic's name, of a record that was not delivered.
  public var topicName: String? { error?.topic }
}

extension DeliveryReport {
  /// Reads the report of a message that librdkafka still owns.
  init(_ message: UnsafePointer<rd_kafka_message_t>) {
    // SAFETY: the caller's event owns the message during the call.
    let code = unsafe message.pointee.err
    unsafe self.init(
      opaque: UInt(bitPattern: message.pointee._private),
      byteCount: message.pointee.key_len + message.pointee.len,
      partition: message.pointee.partition, offset: message.pointee.offset,
      error: code == RD_KAFKA_RESP_ERR_NO_ERROR
        ? nil : .produce(code, topic: String(cString: rd_kafka_topic_name(message.pointee.rkt))))
  }
}

extension KafkaError {
  /// The error of a record that was refused or not delivered.
  static func produce(_ code: rd_kafka_resp_err_t, topic: String) -> KafkaError {
    KafkaError(
      code, operation: "produce to topic \(topic)", topic: topic,
      isFatal: code == RD_KAFKA_RESP_ERR__FATAL || code == RD_KAFKA_RESP_ERR__GAPLESS_GUARANTEE
        || code == RD_KAFKA_RESP_ERR__FENCED)
  }
}

/// What became of the records of one ``Producer/flushBatches()``.
public struct BatchOutcome: Sendable {
  /// How many records librdkafka took; each gets a delivery report.
  public internal(set) var accepted = 0
  /// How many records wait inside the producer, with copied bytes, since librdkafka's queue is full.
  public internal(set) var held = 0
  /// The records that were refused for good; no other report of them will come.
  public internal(set) var failed: [DeliveryReport] = []
}
