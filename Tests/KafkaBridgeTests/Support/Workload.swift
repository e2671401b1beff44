import KafkaBridge
import Testing

/// Numbered records that a test produces and looks for afterwards.
///
/// Record n has the key "k<n % keys>", the value "v<n>" and the opaque n; its partition follows from
/// the key as in production.
struct Workload {
  let topic: Topic
  var keys = 8
  private(set) var produced = 0
  private(set) var reports: [DeliveryReport] = []
  private(set) var refused: [DeliveryReport] = []
  private(set) var held = 0

  init(topic: Topic, keys: Int = 8) {
    self.topic = topic
    self.keys = keys
  }

  /// Enqueues `count` records and flushes once.
  mutating func produce(_ count: Int, on producer: Producer) {
    // The bytes of the window live in one array until the flush, as in the pipeline.
    var bytes: [UInt8] = []
    var ranges: [(key: Range<Int>, value: Range<Int>, opaque: Int)] = []
    for number in produced..<(produced + count) {
      let start = bytes.count
      bytes.append(contentsOf: "k\(number % keys)".utf8)
      let middle = bytes.count
      bytes.append(contentsOf: "v\(number)".utf8)
      ranges.append((start..<middle, middle..<bytes.count, number))
    }
    produced += count
    unsafe bytes.withUnsafeBytes { buffer in
      for record in ranges {
        let key = unsafe UnsafeRawBufferPointer(rebasing: buffer[record.key])
        let value = unsafe UnsafeRawBufferPointer(rebasing: buffer[record.value])
        let partition = unsafe Murmur2.partition(of: key, partitionCount: topic.partitionCount)
        unsafe producer.enqueue(
          topic: topic, partition: partition, key: key, value: value, opaque: UInt(record.opaque))
      }
      flush(producer)
    }
  }

  /// Flushes what is held.
  mutating func flush(_ producer: Producer) {
    let outcome = producer.flushBatches()
    held = outcome.held
    refused.append(contentsOf: outcome.failed)
  }

  /// Takes reports until `count` have come, or until ten seconds are over.
  mutating func awaitReports(_ count: Int, from producer: Producer) {
    let end = ContinuousClock.now + .seconds(20)
    while reports.count < count, ContinuousClock.now < end {
      awaitReadable(producer.eventDescriptor)
      poll(producer)
      if held > 0 { flush(producer) }
    }
  }

  /// Takes the reports that are there.
  mutating func poll(_ producer: Producer) {
    producer.poll { reports.append($0) }
  }

  /// Adds the reports that closing brought.
  mutating func add(_ report: DeliveryReport) { reports.append(report) }

  /// Whether every partition has its records in the order they were produced, without a gap in the
  /// offsets from 0 on, and each record once.
  var isExact: Bool {
    guard reports.count == produced, reports.allSatisfy({ $0.error == nil }) else { return false }
    var next: [Int32: (offset: Int64, opaque: UInt)] = [:]
    for report in reports {
      let expected = next[report.partition] ?? (0, 0)
      guard report.offset == expected.offset, report.opaque >= expected.opaque else {
        return false
      }
      next[report.partition] = (report.offset + 1, report.opaque + 1)
    }
    return Set(reports.map(\.opaque)).count == produced
  }
}
