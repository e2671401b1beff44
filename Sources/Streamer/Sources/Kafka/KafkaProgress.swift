import PGWire

/// What a delivery report brings back of a record that came from Kafka: the partition's index in the
/// upper 16 bits, the record's number in its partition and lane in the lower 48.
///
/// Numbers are never used twice in one process, so that a report that comes after its partition
/// was given away is recognised: 2^48 records take nine years at a million a second.
enum KafkaTicket {
  /// How many partitions can be told apart.
  static let partitions = 1 << 16
  private static let numberBits: UInt64 = 48

  /// Puts a ticket together.
  static func make(partition: Int, number: UInt64) -> DeliveryTracker.Ticket {
    UInt64(partition) << numberBits | number
  }

  /// The partition's index.
  static func partition(of ticket: DeliveryTracker.Ticket) -> Int { Int(ticket >> numberBits) }

  /// The record's number.
  static func number(of ticket: DeliveryTracker.Ticket) -> UInt64 {
    ticket & (1 << numberBits - 1)
  }
}

/// How far one lane has come in one partition: what it was given, and what of that is delivered.
///
/// A ``DeliveryTracker`` in which each record is a transaction of its own that ends at the next
/// offset: what it has confirmed is the offset that may be committed.
struct KafkaProgress {
  private var tracker: DeliveryTracker?
  // The tracker's first ticket; smaller numbers are of readings that are over.
  private var base: UInt64 = 0
  private var begun: UInt64 = 0

  /// Records below this offset were taken; they are not taken again.
  private(set) var next: Int64 = 0

  /// The offset up to which everything is delivered; nil before the first record.
  var committable: Int64? { tracker.map { Int64(clamping: $0.confirmed.value) } }

  /// Whether everything that was taken is delivered.
  var isIdle: Bool { tracker?.isIdle ?? true }

  /// Whether no further record can be taken until one is delivered.
  var isFull: Bool { tracker?.isFull ?? false }

  /// Begins with a record and gives its number; `end(at:isProduced:)` must follow.
  mutating func begin(at offset: Int64) -> UInt64 {
    if tracker == nil {
      // Where the group's reading starts: nothing below it is ours to deliver.
      tracker = DeliveryTracker(
        startingAt: LSN(UInt64(max(offset, 0))), capacity: Limits.kafkaUnsettledRecords)
    }
    begun += 1
    return base + (tracker?.begin() ?? 0)
  }

  /// Ends the record; one that was produced is outstanding from now on.
  mutating func end(at offset: Int64, isProduced: Bool) {
    if isProduced { tracker?.produced() }
    tracker?.commit(endLSN: LSN(UInt64(offset + 1)))
    next = offset + 1
  }

  /// Counts records as delivered; those of a reading that is over change nothing.
  mutating func delivered(_ number: UInt64, count: Int) {
    guard number >= base else { return }
    tracker?.delivered(number - base, count: count)
  }

  /// The lane failed: what was not confirmed will be read again.
  mutating func rewind() {
    guard let confirmed = tracker?.confirmed else { return }
    startOver()
    tracker = DeliveryTracker(startingAt: confirmed, capacity: Limits.kafkaUnsettledRecords)
    next = Int64(clamping: confirmed.value)
  }

  /// The partition was given away: whoever gets it begins at what was committed.
  mutating func retire() {
    startOver()
    tracker = nil
    next = 0
  }

  private mutating func startOver() {
    base += begun
    begun = 0
  }
}
