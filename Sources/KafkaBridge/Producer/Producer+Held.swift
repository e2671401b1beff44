import CRdKafka

// Records that a full queue refused, and records with headers: one call per record.
extension Producer {
  /// Hands over one record with headers or a time of its own, after those of its partition's batch.
  ///
  /// Bytes are copied at once. It costs more than twice as much as a record of a batch. A timestamp
  /// counts milliseconds since 1970; nil is now. A refusal comes from the next ``flushBatches()``.
  public func produce(
    topic: Topic, partition: Int32, key: UnsafeRawBufferPointer?, value: UnsafeRawBufferPointer?,
    headers: [RecordHeader], timestamp: Int64? = nil, opaque: UInt
  ) {
    precondition(wakeUp != nil, "nothing is produced by a closed producer")
    let index = Int(partition)
    precondition(
      index >= 0 && index < topic.partitionCount, "a record's partition lies outside its topic")
    submit(topic, index)
    let size = unsafe (key?.count ?? 0) + (value?.count ?? 0) + Topic.recordOverhead
    if topic.batches[index].held.isEmpty, size + 1024 <= topic.window, mayFlow(topic, index) {
      let code = unsafe hand(
        topic, index, key: key, value: value, headers: headers, timestamp: timestamp ?? 0,
        opaque: opaque)
      switch code {
      case RD_KAFKA_RESP_ERR_NO_ERROR:
        inLibrary += 1
        return
      case RD_KAFKA_RESP_ERR__QUEUE_FULL: break
      default:
        let bytes = unsafe (key?.count ?? 0) + (value?.count ?? 0)
        refuse(code, topic, index, opaque: opaque, byteCount: bytes)
        return
      }
    }
    unsafe hold(
      HeldRecord(
        key: key.map { unsafe Array($0) }, value: value.map { unsafe Array($0) },
        headers: headers, timestamp: timestamp ?? 0, opaque: opaque), topic, index)
  }

  /// Keeps a copy of a refused record.
  func hold(_ message: rd_kafka_message_t, _ topic: Topic, _ partition: Int) {
    // SAFETY: called before the flush returns, so the caller's bytes are still there.
    let key = unsafe UnsafeRawBufferPointer(start: message.key, count: message.key_len)
    let value = unsafe UnsafeRawBufferPointer(start: message.payload, count: message.len)
    unsafe hold(
      HeldRecord(
        key: message.key == nil ? nil : Array(key),
        value: message.payload == nil ? nil : Array(value),
        headers: [], timestamp: 0, opaque: UInt(bitPattern: message._private)),
      topic, partition)
  }

  private func hold(_ record: HeldRecord, _ topic: Topic, _ partition: Int) {
    topic.batches[partition].held.append(record)
    heldCount += 1
    list(topic, partition)
  }

  /// Hands over the held records of a partition, up to the first that does not fit; one alone to a
  /// leader that does not know us.
  func retryHeld(_ topic: Topic, _ partition: Int) {
    var done = 0
    for record in topic.batches[partition].held {
      let size = record.size
      guard topic.batches[partition].standing != .probing, hasRoom(size, topic, partition) else {
        break
      }
      let code = hand(record, topic, partition)
      if code == RD_KAFKA_RESP_ERR__QUEUE_FULL { break }
      done += 1
      if code == RD_KAFKA_RESP_ERR_NO_ERROR {
        inLibrary += 1
        probe(topic, partition)
        count(size, topic, partition)
      } else {
        refuse(
          code, topic, partition, opaque: record.opaque, byteCount: record.byteCount)
      }
    }
    if done == topic.batches[partition].held.count {
      topic.batches[partition].held = []
    } else {
      topic.batches[partition].held.removeFirst(done)
    }
    heldCount -= done
  }

  /// The record just handed over goes alone when the leader does not know us.
  private func probe(_ topic: Topic, _ partition: Int) {
    guard topic.batches[partition].standing == .unknown else { return }
    topic.batches[partition].standing = .probing
    probes.append((topic, partition))
  }

  /// A record was acknowledged: if it went alone, the others of its partition may follow.
  func acknowledged(_ message: UnsafePointer<rd_kafka_message_t>) {
    guard unsafe message.pointee.err == RD_KAFKA_RESP_ERR_NO_ERROR else { return }
    // SAFETY: handles are compared, not used.
    let probe = probes.firstIndex {
      unsafe $0.topic.handle == message.pointee.rkt
        && $0.partition == Int(message.pointee.partition)
    }
    guard let probe else { return }
    let (topic, partition) = probes.remove(at: probe)
    topic.batches[partition].standing = .known
  }

  private func hand(
    _ record: HeldRecord, _ topic: Topic, _ partition: Int
  ) -> rd_kafka_resp_err_t {
    // SAFETY: librdkafka copies the bytes during the call.
    unsafe withBytes(of: record.key) { key in
      unsafe withBytes(of: record.value) { value in
        unsafe hand(
          topic, partition, key: key, value: value, headers: record.headers,
          timestamp: record.timestamp, opaque: record.opaque)
      }
    }
  }

  private func withBytes<Result>(
    of bytes: [UInt8]?, _ body: (UnsafeRawBufferPointer?) -> Result
  ) -> Result {
    guard let bytes else { return body(nil) }
    return unsafe bytes.withUnsafeBytes { unsafe body($0) }
  }

  private func hand(
    _ topic: Topic, _ partition: Int, key: UnsafeRawBufferPointer?, value: UnsafeRawBufferPointer?,
    headers: [RecordHeader], timestamp: Int64, opaque: UInt
  ) -> rd_kafka_resp_err_t {
    let list = unsafe Producer.list(of: headers)
    // SAFETY: everything is copied during the call, but the headers, which go over on success.
    let code = unsafe crdkafka_produce(
      handle.client, topic.handle, Int32(partition),
      key.map { unsafe $0.baseAddress ?? UnsafeRawPointer(crdkafka_empty()) }, key?.count ?? 0,
      value.map { unsafe $0.baseAddress ?? UnsafeRawPointer(crdkafka_empty()) }, value?.count ?? 0,
      list, timestamp, UnsafeMutableRawPointer(bitPattern: opaque))
    if code != RD_KAFKA_RESP_ERR_NO_ERROR, let list = unsafe list {
      unsafe rd_kafka_headers_destroy(list)
    }
    return code
  }

  private static func list(of headers: [RecordHeader]) -> OpaquePointer? {
    guard !headers.isEmpty, let list = unsafe rd_kafka_headers_new(headers.count) else {
      return nil
    }
    for header in headers {
      var name = header.name
      // SAFETY: the list copies names and values.
      name.withUTF8 { utf8 in
        unsafe utf8.withMemoryRebound(to: CChar.self) { name in
          if let value = header.value {
            unsafe value.withUnsafeBytes { value in
              _ = unsafe rd_kafka_header_add(
                list, name.baseAddress, name.count,
                value.baseAddress ?? UnsafeRawPointer(crdkafka_empty()),
                value.count)
            }
          } else {
            _ = unsafe rd_kafka_header_add(list, name.baseAddress, name.count, nil, 0)
          }
        }
      }
    }
    return unsafe list
  }
}
