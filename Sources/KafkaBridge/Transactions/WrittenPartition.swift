import CRdKafka

/// What one transaction has written to one partition.
public struct WrittenPartition: Hashable, Sendable {
  /// The partition.
  public let partition: TopicPartition
  /// How many records.
  public let count: Int
  /// The last one's offset.
  public let lastOffset: Int64

  /// Says what was written.
  public init(_ partition: TopicPartition, count: Int, lastOffset: Int64) {
    self.partition = partition
    self.count = count
    self.lastOffset = lastOffset
  }
}

/// Counts what a transaction has written, report by report.
///
/// Reports come by partition: a run of one partition costs a comparison each, and only its end looks
/// into the table.
@safe struct WrittenPartitions {
  private struct Place: Hashable {
    // An address for comparison only: topics live as long as their producer.
    var topic: UInt
    var partition: Int32
  }

  private struct Tally {
    var name: String
    var count: Int
    var lastOffset: Int64
  }

  private var run: (place: Place, count: Int, lastOffset: Int64)?
  private var runName = ""
  private var tallies: [Place: Tally] = [:]

  /// Counts a record that was delivered.
  mutating func note(_ message: UnsafePointer<rd_kafka_message_t>) {
    // SAFETY: the caller's event owns the message during the call.
    let place = unsafe Place(
      topic: UInt(bitPattern: message.pointee.rkt), partition: message.pointee.partition)
    let offset = unsafe message.pointee.offset
    if let known = run, known.place == place {
      run = (place, known.count + 1, max(offset, known.lastOffset))
      return
    }
    endRun()
    if tallies[place] == nil {
      runName = unsafe String(cString: rd_kafka_topic_name(message.pointee.rkt))
    }
    run = (place, 1, offset)
  }

  /// What was written, ordered by topic and partition.
  var all: [WrittenPartition] {
    var whole = self
    whole.endRun()
    return whole.tallies.map { place, tally in
      WrittenPartition(
        TopicPartition(topic: tally.name, partition: place.partition), count: tally.count,
        lastOffset: tally.lastOffset)
    }.sorted {
      ($0.partition.topic, $0.partition.partition) < ($1.partition.topic, $1.partition.partition)
    }
  }

  /// Forgets everything: a new transaction begins.
  mutating func removeAll() {
    run = nil
    tallies.removeAll(keepingCapacity: true)
  }

  private mutating func endRun() {
    guard let run else { return }
    let known = tallies[run.place]
    tallies[run.place] = Tally(
      name: known?.name ?? runName, count: (known?.count ?? 0) + run.count,
      lastOffset: max(known?.lastOffset ?? -1, run.lastOffset))
    self.run = nil
  }
}
