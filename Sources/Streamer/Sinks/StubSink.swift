import PGWire
import Synchronization

/// Takes every record and forgets it: `stub_discard`, for measuring and for tests, and `stub_log`,
/// which also writes one log line for each.
final class StubSink: Sink {
  private let log: Log?
  private var receipts: [DeliveryReceipt] = []
  // Closing is the I/O worker's.
  private let isClosed = Atomic(false)

  /// With a log every record becomes a line of it; without one it is only counted.
  init(log: Log?) { self.log = log }

  func send(_ batch: borrowing RecordBatch) {
    for entry in batch.entries {
      receipts.count(entry)
      log?.info("record", ["value": entry.value.map { batch.bytes.bytes($0).text } ?? "null"])
    }
  }

  func poll(_ report: (DeliveryReceipt) -> Void) {
    if !isClosed.load(ordering: .acquiring) {
      for receipt in receipts { report(receipt) }
    }
    if receipts.capacity > Limits.keptReceipts {
      receipts = []
    } else {
      receipts.removeAll(keepingCapacity: true)
    }
  }

  func close(within: Duration) { isClosed.store(true, ordering: .releasing) }
}
