import PGWire
import Support

@testable import Streamer

/// Keeps records and delivers them when it is told to.
final class CopySink: Sink {
  /// What has arrived.
  private(set) var delivered: [(number: Int, value: String)] = []
  /// How many records were handed over.
  private(set) var handed = 0
  private var waiting: [(number: Int, value: String, receipt: DeliveryReceipt)] = []
  private var receipts: [DeliveryReceipt] = []

  func send(_ batch: borrowing RecordBatch) {
    for entry in batch.entries {
      guard let value = entry.value else { continue }
      waiting.append(
        (
          handed, batch.bytes.bytes(value).text,
          DeliveryReceipt(ticket: entry.ticket, count: 1, bytes: entry.size)
        ))
      handed += 1
    }
  }

  /// Lets so many records arrive.
  func deliver(_ count: Int) {
    for (number, value, receipt) in waiting.prefix(count) {
      delivered.append((number, value))
      receipts.append(receipt)
    }
    waiting.removeFirst(min(count, waiting.count))
  }

  /// Its process ends: a part of what waits arrives and nobody hears of it.
  func crash(_ count: Int) {
    deliver(count)
    waiting = []
    receipts = []
  }

  func poll(_ report: (DeliveryReceipt) -> Void) throws(StreamerError) {
    for receipt in receipts { report(receipt) }
    receipts = []
  }
}

extension CopySimulation {
  /// The table that is written to.
  static let table = SnapshotTable(
    relation: Relation(
      oid: 16_400, schema: "public", name: "t", replicaIdentity: .primaryKey,
      columns: [
        Relation.Column(name: "id", isKey: true, type: 25), Relation.Column(name: "v", type: 23),
        Relation.Column(name: "big", type: 25),
      ]), key: [0])
  /// A table that nobody changes, without a key.
  static let still = SnapshotTable(
    relation: Relation(
      oid: 16_401, schema: "public", name: "still", replicaIdentity: .nothing,
      columns: table.relation.columns.map {
        Relation.Column(name: $0.name, isKey: false, type: $0.type)
      }))
  static let tables = [table, still]
}
