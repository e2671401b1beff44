import KafkaBridge
import PGWire

/// A topic whose records ask for copies of a source's existing rows, as rows of the signal table do.
///
/// The records are those of Debezium's Kafka signals: the key is the source's name, the value
/// `{"type": …, "data": {…}}`. It is read on a thread of its own, which waits for what comes of each
/// record before it passes it: how far it is read is in the store.
final class SignalTopic: Sendable {
  /// Carries out what a record asks for.
  typealias Order = @Sendable (CopyCommand) -> Result<Void, StreamerError>

  /// The topic's name.
  let name: String
  /// The source that listens.
  let source: String
  private let configuration: KafkaSinkConfiguration
  private let store: any SourceStore
  private let log: Log
  private let order: Order
  private let end: StopRequest

  /// Makes that of a sink for a source; nil where the sink has none.
  init?(
    _ sink: SinkConfiguration, source: String, store: any SourceStore, log: Log,
    order: @escaping Order
  ) throws(StreamerError) {
    guard case .kafka(let configuration) = sink.kind, let name = configuration.signalTopic else {
      return nil
    }
    self.name = name
    self.source = source
    self.configuration = configuration
    self.store = store
    self.log = log.with(["source": source, "topic": name])
    self.order = order
    end = try StopRequest()
  }

  /// Asks it to end; what it has begun is read again at the next start.
  func stop() { end.make() }

  /// Reads until it is stopped.
  func run() {
    var reading: SignalReading?
    var told: Set<String> = []
    var isFirstLook = true
    while !end.isMade {
      do throws(StreamerError) {
        if reading == nil {
          let known = try store.signalOffsets(source: source, topic: name)
          let fresh = try SignalReading(
            name, of: configuration, known: known, fromEnd: isFirstLook && known.isEmpty, log: log)
          guard !fresh.places.isEmpty else {
            // Of a topic that comes later all records are news.
            isFirstLook = false
            log.limited("signal-topic")?.warning("the signal topic does not exist")
            fresh.close()
            end.wait(Limits.signalOutage)
            continue
          }
          if known.isEmpty { try keep(fresh) }
          reading = fresh
        }
        guard let reading else { continue }
        for record in try reading.read() {
          guard carryOut(record, &told) else { return reading.close() }
          try save(record.place.offset + 1, of: record.place.partition)
          reading.passed(record.place)
        }
        end.wait(Limits.signalLook)
      } catch {
        log.limited("signal-topic")?.warning(
          "the signal topic cannot be read now", ["error": "\(error)"])
        reading?.close()
        reading = nil
        end.wait(Limits.signalOutage)
      }
    }
    reading?.close()
  }

  private func keep(_ reading: SignalReading) throws(StreamerError) {
    for (partition, offset) in reading.places { try save(offset, of: partition) }
  }

  private func save(_ offset: Int64, of partition: TopicPartition) throws(StreamerError) {
    try store.save(
      signalOffset: offset, of: partition.partition, topic: name, source: source)
  }

  /// Does what a record asks for, however long that takes; false when the end comes before.
  private func carryOut(_ record: SignalReading.Record, _ told: inout Set<String>) -> Bool {
    guard record.key == Array(source.utf8) else { return true }
    let place = "\(record.place.partition) at \(record.place.offset)"
    guard
      let signal = SignalRow(
        value: record.value, of: record.place.partition, at: record.place.offset)
    else {
      log.warning("a record of the signal topic is no signal", ["place": place])
      return true
    }
    switch signal.meaning {
    case .fault(let why): log.warning("a signal cannot be read", ["place": place, "why": why])
    case .unknown:
      guard told.insert(signal.type).inserted, told.count < Limits.keptCopies else { break }
      log.info(
        "a signal of this type is for somebody else; no more is said of it",
        ["place": place, "type": signal.type.singleLine])
    case .commands(let commands):
      for command in commands {
        guard carryOut(command) else { return false }
      }
    }
    return true
  }

  private func carryOut(_ command: CopyCommand) -> Bool {
    while !end.isMade {
      guard case .failure(let error) = order(command) else { return true }
      log.limited("signal")?.warning("a signal was not followed", ["error": "\(error)"])
      guard error.isRetryable else { return true }
      end.wait(Limits.signalRetry)
    }
    return false
  }
}

/// The reading of a signal topic's partitions, from where it stood.
private final class SignalReading {
  /// A record.
  struct Record {
    let place: PartitionOffset
    let key: [UInt8]
    let value: [UInt8]
  }

  private let reader: PartitionReader
  private let topic: String
  /// The next offset to read of each partition.
  private(set) var places: [TopicPartition: Int64] = [:]

  /// Finds the partitions, none of a topic that does not exist, and where reading begins of those that
  /// are not known.
  init(
    _ topic: String, of sink: KafkaSinkConfiguration, known: [Int32: Int64], fromEnd: Bool, log: Log
  ) throws(StreamerError) {
    self.topic = topic
    do throws(KafkaError) {
      reader = try PartitionReader(configuration: KafkaProperties.reader(sink, log: log))
    } catch { throw Self.explained(error, topic) }
    do throws(KafkaError) {
      let admin = try Admin(configuration: KafkaProperties.admin(sink, log: log))
      defer { admin.close(timeout: Limits.release) }
      let found = try admin.describeTopic(topic, timeout: Limits.kafkaRequest)
      for number in 0..<Int32(found.partitionCount) {
        let partition = TopicPartition(topic: topic, partition: number)
        let bounds = try reader.bounds(of: partition, timeout: Limits.kafkaRequest)
        let start = known[number] ?? (fromEnd ? bounds.upperBound : bounds.lowerBound)
        // A topic that was made anew begins again.
        let isThere = (bounds.lowerBound...bounds.upperBound).contains(start)
        places[partition] = isThere ? start : bounds.lowerBound
      }
    } catch {
      guard error.category != .missingTopic else { return }
      reader.close(timeout: Limits.release)
      throw Self.explained(error, topic)
    }
  }

  /// The records that have come, some of them, in the order of their partitions.
  func read() throws(StreamerError) -> [Record] {
    var records: [Record] = []
    var ends: [TopicPartition: Int64] = [:]
    do throws(KafkaError) {
      ends = try reader.read(
        from: places.map { PartitionOffset($0.key, $0.value) }, timeout: Limits.kafkaRequest
      ) { record in
        guard records.count < Limits.signalRecords else { return false }
        let partition = TopicPartition(topic: record.topic, partition: record.partition)
        records.append(
          Record(
            place: PartitionOffset(partition, record.offset), key: record.key?.array ?? [],
            value: record.value?.array ?? []))
        return true
      }
    } catch { throw Self.explained(error, topic) }
    // Where nothing that is a record came: ends of transactions.
    for (partition, end) in ends where !records.contains(where: { $0.place.partition == partition })
    {
      places[partition] = max(places[partition] ?? 0, end)
    }
    return records.sorted {
      ($0.place.partition.partition, $0.place.offset)
        < ($1.place.partition.partition, $1.place.offset)
    }
  }

  /// A record has been done with.
  func passed(_ place: PartitionOffset) { places[place.partition] = place.offset + 1 }

  func close() { reader.close(timeout: Limits.release) }

  private static func explained(_ error: KafkaError, _ topic: String) -> StreamerError {
    StreamerError(what: "topic \(topic)", why: "\(error)", retryable: true)
  }
}
