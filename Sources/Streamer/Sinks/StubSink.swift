import PGWire

/// Takes every record and forgets it: `stub_discard`, for measuring and for tests, and `stub_log`,
/// which also writes one log line for each.
final class StubSink: Sink {
  private let log: Log?
  private var receipts: [DeliveryReceipt] = []

  /// With a log every record becomes a line of it; without one it is only counted.
  init(log: Log?) { self.log = log }

  func send(_ batch: borrowing RecordBatch) {
    for entry in batch.entries {
      if let last = receipts.indices.last, receipts[last].ticket == entry.ticket {
        receipts[last].count += 1
        receipts[last].bytes += entry.size
      } else {
        receipts.append(DeliveryReceipt(ticket: entry.ticket, count: 1, bytes: entry.size))
      }
      log?.info("record", ["value": entry.value.map { batch.bytes.bytes($0).text } ?? "null"])
    }
  }

  func poll(_ report: (DeliveryReceipt) -> Void) {
    for receipt in receipts { report(receipt) }
    receipts.removeAll(keepingCapacity: true)
  }
}
