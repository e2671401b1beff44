import Glibc
import KafkaBridge

/// Reads topics from where it stood to where they end, piece by piece, so that a signal is heard and
/// the rate is kept.
final class TopicReading {
  private let reader: PartitionReader
  /// The next offset to read of each partition.
  private(set) var places: [TopicPartition: Int64] = [:]

  /// Finds the partitions of topics; one that does not exist has none.
  init(_ topics: [String], of sink: KafkaSinkConfiguration, log: Log) throws(StreamerError) {
    do throws(KafkaError) {
      var properties = KafkaProperties.reader(sink, log: log)
      properties.set("queued.max.messages.kbytes", "16384")
      properties.set("auto.offset.reset", "earliest")
      reader = try PartitionReader(configuration: properties)
    } catch { throw Self.explained(error, topics.joined(separator: ", ")) }
    let admin: Admin
    do throws(KafkaError) {
      admin = try Admin(configuration: KafkaProperties.admin(sink, log: log))
    } catch { throw Self.explained(error, topics.joined(separator: ", ")) }
    defer { admin.close(timeout: Limits.verifyTurn) }
    for topic in topics {
      do throws(KafkaError) {
        if places.isEmpty { try admin.checkConnection(timeout: Limits.kafkaStart) }
        let found = try admin.describeTopic(topic, timeout: Limits.kafkaRequest)
        for number in 0..<found.partitionCount {
          let partition = TopicPartition(topic: topic, partition: Int32(number))
          places[partition] =
            try reader.bounds(of: partition, timeout: Limits.kafkaRequest).lowerBound
        }
      } catch {
        guard error.category == .missingTopic else { throw Self.explained(error, topic) }
      }
    }
  }

  /// Ends it.
  func close() { reader.close(timeout: Limits.verifyTurn) }

  /// How many records of each topic lie ahead, at most.
  func ahead() throws(StreamerError) -> [String: Int64] {
    var ahead: [String: Int64] = [:]
    for (partition, end) in try ends(of: Set(places.keys.map(\.topic))) {
      ahead[partition.topic, default: 0] += end - (places[partition] ?? 0)
    }
    return ahead
  }

  private func ends(of topics: Set<String>) throws(StreamerError) -> [TopicPartition: Int64] {
    var ends: [TopicPartition: Int64] = [:]
    for partition in places.keys where topics.contains(partition.topic) {
      do throws(KafkaError) {
        ends[partition] =
          try reader.bounds(of: partition, timeout: Limits.kafkaRequest).upperBound
      } catch { throw Self.explained(error, partition.topic) }
    }
    return ends
  }

  /// Hands over the records of some topics, up to where their partitions end now.
  ///
  /// `body` may throw; `pause` is called now and then and may too.
  func read(
    of topics: Set<String>, pause: (_ records: Int) throws(StreamerError) -> Void,
    _ body: (borrowing ConsumedRecord) throws(StreamerError) -> Void
  ) throws(StreamerError) {
    let ends = try ends(of: topics)
    var silent = 0
    while true {
      let open = places.filter { $0.value < ends[$0.key] ?? 0 }
      guard !open.isEmpty else { return }
      var failure: StreamerError?
      var count = 0
      var next = places
      do throws(KafkaError) {
        let stopped = try reader.read(
          from: open.map { PartitionOffset($0.key, $0.value) }, timeout: Limits.verifyTurn
        ) { record in
          let partition = TopicPartition(topic: record.topic, partition: record.partition)
          guard failure == nil, count < Limits.verifyPiece, record.offset < ends[partition] ?? 0
          else { return false }
          do throws(StreamerError) { try body(record) } catch {
            failure = error
            return false
          }
          count += 1
          next[partition] = record.offset + 1
          return true
        }
        for (partition, offset) in stopped {
          next[partition] = max(next[partition] ?? 0, offset)
        }
      } catch {
        guard error.name == "_TIMED_OUT" else {
          throw Self.explained(error, open.keys.first?.topic ?? "")
        }
      }
      if let failure { throw failure }
      silent = next == places ? silent + 1 : 0
      places = next
      guard silent < 15 else {
        throw StreamerError(
          what: "topic \(open.keys.first?.topic ?? "")",
          why: "nothing comes of it, although it has not been read to its end", retryable: true)
      }
      try pause(count)
    }
  }

  private static func explained(_ error: KafkaError, _ topic: String) -> StreamerError {
    StreamerError(
      what: "topic \(topic)", why: "\(error)",
      exit: error.isRetriable ? .failure : .preflight, retryable: error.isRetriable)
  }
}
