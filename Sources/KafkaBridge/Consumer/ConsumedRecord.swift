import CRdKafka

/// A record that was read, as a view of librdkafka's memory: valid only inside the handler's call.
@safe public struct ConsumedRecord: ~Escapable {
  private let message: UnsafeMutablePointer<rd_kafka_message_t>
  /// The topic's name.
  public let topic: String

  @_lifetime(immortal)
  init(_ message: UnsafeMutablePointer<rd_kafka_message_t>, topic: String) {
    unsafe self.message = message
    self.topic = topic
  }

  /// The partition.
  public var partition: Int32 { unsafe message.pointee.partition }

  /// Where the record lies in its partition; offsets have holes where transactions ended.
  public var offset: Int64 { unsafe message.pointee.offset }

  /// The key's bytes, nil for null.
  public var key: RawSpan? {
    @_lifetime(copy self) get {
      guard let start = unsafe message.pointee.key else { return nil }
      // SAFETY: the message lives as long as the view.
      let span = unsafe RawSpan(
        _unsafeStart: UnsafeRawPointer(start), byteCount: message.pointee.key_len)
      return unsafe _overrideLifetime(span, copying: self)
    }
  }

  /// The value's bytes, nil for null (a tombstone).
  public var value: RawSpan? {
    @_lifetime(copy self) get {
      guard let start = unsafe message.pointee.payload else { return nil }
      // SAFETY: the message lives as long as the view.
      let span = unsafe RawSpan(
        _unsafeStart: UnsafeRawPointer(start), byteCount: message.pointee.len)
      return unsafe _overrideLifetime(span, copying: self)
    }
  }

  /// When the record was made or appended, in milliseconds since 1970; nil when that is unknown.
  public var timestamp: Int64? {
    var kind = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE
    // SAFETY: the message lives as long as the view.
    let time = unsafe rd_kafka_message_timestamp(message, &kind)
    return kind == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE ? nil : time
  }

  /// A copy of the record's headers, in order.
  public var headers: [RecordHeader] {
    var list: OpaquePointer?
    // SAFETY: the list belongs to the message; names and values are copied.
    guard unsafe rd_kafka_message_headers(message, &list) == RD_KAFKA_RESP_ERR_NO_ERROR else {
      return []
    }
    var headers: [RecordHeader] = []
    var name: UnsafePointer<CChar>?
    var value: UnsafeRawPointer?
    var size = 0
    while unsafe rd_kafka_header_get_all(list, headers.count, &name, &value, &size)
      == RD_KAFKA_RESP_ERR_NO_ERROR, let text = unsafe name
    {
      let bytes = unsafe value.map {
        unsafe [UInt8](UnsafeRawBufferPointer(start: $0, count: size))
      }
      headers.append(unsafe RecordHeader(name: String(cString: text), value: bytes))
    }
    return headers
  }
}
