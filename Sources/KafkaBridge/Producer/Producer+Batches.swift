import CRdKafka
import Synchronization

extension Producer {
  /// Puts a record into its partition's batch; ``flushBatches()`` hands it over.
  ///
  /// `key` and `value` are nil for null (a null value is a tombstone). Their bytes are not copied
  /// before ``flushBatches()`` returns and need not live longer. `opaque` comes back with the
  /// delivery report. Nothing is allocated once the batches have grown to their usual size.
  public func enqueue(
    topic: Topic, partition: Int32, key: UnsafeRawBufferPointer?, value: UnsafeRawBufferPointer?,
    opaque: UInt
  ) {
    let index = Int(partition)
    precondition(
      index >= 0 && index < topic.partitionCount, "a record's partition lies outside its topic")
    var message = unsafe rd_kafka_message_t()
    if let key = unsafe key {
      // SAFETY: librdkafka reads the bytes only; an empty key has an address of its own.
      unsafe message.key = UnsafeMutableRawPointer(mutating: key.baseAddress) ?? crdkafka_empty()
      unsafe message.key_len = key.count
    }
    if let value = unsafe value {
      // SAFETY: as above.
      unsafe message.payload =
        UnsafeMutableRawPointer(mutating: value.baseAddress) ?? crdkafka_empty()
      unsafe message.len = value.count
    }
    unsafe message._private = UnsafeMutableRawPointer(bitPattern: opaque)
    list(topic, index)
    if unsafe message.key_len + message.len + Topic.recordOverhead > topic.window {
      topic.batches[index].hasLarge = true
    }
    unsafe topic.batches[index].messages.append(message)
  }

  /// Hands every batch to librdkafka, one call per partition, and says what it refused.
  ///
  /// What a full queue refuses stays in the producer, copied and in order, and is tried again at the
  /// next call; with a budget below `queue.buffering.max.*` that never happens.
  public func flushBatches() -> BatchOutcome {
    precondition(wakeUp != nil, "nothing is produced by a closed producer")
    var outcome = BatchOutcome()
    let before = inLibrary
    submitAll()
    outcome.accepted = inLibrary - before
    outcome.held = heldCount
    if !refused.isEmpty { swap(&outcome.failed, &refused) }
    return outcome
  }

  /// Hands over what every listed partition has, as far as it may go now.
  func submitAll() {
    var kept = 0
    let (before, partitions) = (inLibrary, work.count)
    for index in work.indices {
      let (topic, partition) = work[index]
      submit(topic, partition)
      giveBack(topic, partition)
      if topic.batches[partition].held.isEmpty {
        topic.batches[partition].isListed = false
      } else {
        work[kept] = (topic, partition)
        kept += 1
      }
    }
    work.removeLast(work.count - kept)
    if inLibrary > before { requests.handOver(records: inLibrary - before, requests: partitions) }
  }

  /// Puts a partition on the list of those with records to hand over.
  func list(_ topic: Topic, _ partition: Int) {
    guard !topic.batches[partition].isListed else { return }
    topic.batches[partition].isListed = true
    work.append((topic, partition))
    if let buffer = unsafe spare.popLast() {
      unsafe spareCapacity -= buffer.capacity
      unsafe topic.batches[partition].messages = buffer
    }
  }

  /// Takes a partition's empty buffer: one that is kept by each partition that ever had many
  /// records is kept for ever.
  private func giveBack(_ topic: Topic, _ partition: Int) {
    var buffer: [rd_kafka_message_t] = unsafe []
    unsafe swap(&buffer, &topic.batches[partition].messages)
    let capacity = unsafe buffer.capacity
    guard capacity > 0, spareCapacity + capacity <= Producer.keptMessages else { return }
    spareCapacity += capacity
    unsafe spare.append(buffer)
  }

  /// How many records there is room for, in the spare buffers and in those of the partitions.
  var gatheringCapacity: Int {
    topics.withLock { topics in
      topics.values.reduce(spareCapacity) { sum, topic in
        topic.batches.reduce(sum) { unsafe $0 + $1.messages.capacity + $1.held.capacity }
      }
    }
  }

  /// Hands over what one partition has, held records first.
  func submit(_ topic: Topic, _ partition: Int) {
    renewStanding(topic, partition)
    if !mayFlow(topic, partition) { holdAll(topic, partition) }
    if !topic.batches[partition].held.isEmpty {
      retryHeld(topic, partition)
      if !topic.batches[partition].held.isEmpty {
        // The queue is still full: what came since has to wait behind.
        holdAll(topic, partition)
        return
      }
    }
    let count = unsafe topic.batches[partition].messages.count
    guard count > 0 else { return }
    // SAFETY: the callers keep their bytes until the flush returns; F_COPY takes them during it.
    let accepted = unsafe topic.batches[partition].messages.withUnsafeMutableBufferPointer {
      unsafe Int(
        rd_kafka_produce_batch(
          topic.handle, Int32(partition), RD_KAFKA_MSG_F_COPY, $0.baseAddress, Int32($0.count)))
    }
    inLibrary += accepted
    if accepted < count { sortOut(topic, partition) }
    unsafe topic.batches[partition].messages.removeAll(keepingCapacity: true)
  }

  private func holdAll(_ topic: Topic, _ partition: Int) {
    let messages = unsafe topic.batches[partition].messages
    for index in unsafe messages.indices { unsafe hold(messages[index], topic, partition) }
    unsafe topic.batches[partition].messages.removeAll(keepingCapacity: true)
    topic.batches[partition].hasLarge = false
  }

  /// After a long pause the leader may have forgotten this producer.
  private func renewStanding(_ topic: Topic, _ partition: Int) {
    let now = ContinuousClock.now
    if now - topic.batches[partition].lastSubmit > Standing.lasts {
      topic.batches[partition].standing = .unknown
    }
    topic.batches[partition].lastSubmit = now
  }

  // The rare path after a batch that was not taken whole: each message says why.
  private func sortOut(_ topic: Topic, _ partition: Int) {
    let messages = unsafe topic.batches[partition].messages
    for index in unsafe messages.indices {
      let message = unsafe messages[index]
      switch unsafe message.err {
      case RD_KAFKA_RESP_ERR_NO_ERROR: break
      // librdkafka refuses the whole tail once its queue is full, so the order stays.
      case RD_KAFKA_RESP_ERR__QUEUE_FULL: unsafe hold(message, topic, partition)
      default:
        unsafe refuse(
          message.err, topic, partition, opaque: UInt(bitPattern: message._private),
          byteCount: message.key_len + message.len)
      }
    }
  }

  func refuse(
    _ code: rd_kafka_resp_err_t, _ topic: Topic, _ partition: Int, opaque: UInt, byteCount: Int
  ) {
    let error = KafkaError.produce(code, topic: topic.name)
    // The event that says why may not have been polled yet.
    if error.isFatal, fatalError == nil {
      fatalError = handle.fatalError(operation: error.operation)
    }
    refused.append(
      DeliveryReport(
        opaque: opaque, byteCount: byteCount, partition: Int32(partition), offset: -1,
        error: error))
  }
}
