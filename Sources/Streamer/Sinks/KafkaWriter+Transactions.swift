import Glibc
import KafkaBridge
import Synchronization

// What a sink does that writes in transactions.
extension KafkaWriter {
  // MARK: - On the I/O worker

  /// Shuts out whoever wrote under the same name; what it left open is aborted.
  func claim() throws(StreamerError) {
    guard let producer else { preconditionFailure("a sink is claimed before it is open") }
    let deadline = ContinuousClock.now + Limits.kafkaStart
    while true {
      do throws(KafkaError) {
        return try producer.initTransactions(timeout: max(deadline - .now, Limits.shortestRequest))
      } catch {
        guard error.isRetriable, !error.isFatal, .now < deadline else {
          throw explain(error, false)
        }
      }
    }
  }

  /// Commits the transaction; where the broker does not say what came of it, the same is asked again.
  func commit() -> StreamerError? {
    guard let producer else { preconditionFailure("a commit without a producer") }
    let start = ContinuousClock.now
    while true {
      do throws(KafkaError) {
        try producer.commitTransaction(timeout: Limits.commitAnswer)
        commits.withLock { $0.last = .now - start }
        return nil
      } catch {
        let goesOn =
          error.isRetriable && !error.isFatal && !error.requiresAbort && !isAbandoned
        guard goesOn, .now < start + Limits.transactionOutcome else { return explain(error, true) }
      }
    }
  }

  /// Waits until the mark of a commit is where it has written.
  ///
  /// A broker answers a commit before it has written that; one that is killed in between may never do so
  /// (docs/RELIABILITY.md).
  func awaitMark(at place: WrittenPartition) -> StreamerError? {
    guard let producer else { preconditionFailure("a commit without a producer") }
    let deadline = ContinuousClock.now + Limits.positionRead
    // A record that was taken for one that had come before has no offset to look for.
    while place.lastOffset >= 0 {
      do throws(KafkaError) {
        let end = place.lastOffset + 1
        if try producer.isDecided(place.partition, before: end, timeout: Limits.commitAnswer) {
          return nil
        }
      } catch {
        guard error.isRetriable else { return explain(error, true) }
      }
      guard .now < deadline, !isAbandoned else { break }
      usleep(Limits.markPause)
    }
    return StreamerError(
      what: "Kafka", why: "a commit was answered, and is not to be seen in \(place.partition)",
      retryable: true)
  }

  /// Ends what is neither committed nor aborted under this writer's transactional.id: one group of
  /// partitions after the other, by a transaction that writes into all of them and is aborted.
  ///
  /// To a partition it is one transaction with that before it, since the producer's id is the same.
  func abort(in groups: [[TopicPartition]]) throws(StreamerError) {
    for group in groups where !group.isEmpty {
      let numbers = prepare(topics: group.map(\.topic))
      try begin()
      for (place, number) in zip(group, numbers) {
        send(
          key: Array("aborted".utf8), value: nil, to: try number.get(), partition: place.partition,
          ticket: 0)
      }
      try deliver(within: Limits.positionRead)
      do throws(KafkaError) {
        try producer?.abortTransaction(timeout: Limits.commitAnswer)
      } catch { throw explain(error, true) }
    }
  }

  // MARK: - On the pipeline's thread

  /// How long the last commit took.
  var lastCommit: Duration { commits.withLock { $0.last } }

  /// A commit that is under way ends soon.
  func abandonCommit() { commits.withLock { $0.isAbandoned = true } }

  /// Whether that was said.
  var isAbandoned: Bool { commits.withLock { $0.isAbandoned } }

  /// How many records have no report yet.
  var outstanding: Int { producer?.outstanding ?? 0 }

  /// What the open transaction has written.
  var writtenPartitions: [WrittenPartition] { producer?.writtenPartitions ?? [] }

  /// Begins a transaction.
  func begin() throws(StreamerError) {
    do throws(KafkaError) { try producer?.beginTransaction() } catch { throw explain(error, true) }
  }

  /// Waits until everything that was sent is delivered; for commands, which have nothing else to do.
  func deliver(within timeout: Duration) throws(StreamerError) {
    let deadline = ContinuousClock.now + timeout
    while outstanding > 0 {
      var request = pollfd(
        fd: eventDescriptor ?? -1, events: Int16(POLLIN), revents: 0)
      _ = unsafe Glibc.poll(&request, 1, Poller.milliseconds(Limits.observation))
      try poll { _ in }
      guard .now < deadline || outstanding == 0 else {
        throw trouble
          ?? StreamerError(what: "Kafka", why: "a position was not taken in time", retryable: true)
      }
    }
  }
}
