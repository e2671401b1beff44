import PGWire
import Support

@testable import Streamer

/// Keeps records and delivers them when it is told to.
final class CopySink: Sink {
  /// What has arrived.
  private(set) var delivered: [(number: Int, value: String)] = []
  /// What has arrived of what is told of copies.
  private(set) var told: [String] = []
  /// How many records were handed over.
  private(set) var handed = 0
  private var waiting: [(number: Int, value: String, isTold: Bool, receipt: DeliveryReceipt)] = []
  private var receipts: [DeliveryReceipt] = []

  func send(_ batch: borrowing RecordBatch) {
    for entry in batch.entries {
      guard let value = entry.value else { continue }
      waiting.append(
        (
          handed, batch.bytes.bytes(value).text, entry.topic == CopySimulation.noticeTopic,
          DeliveryReceipt(ticket: entry.ticket, count: 1, bytes: entry.size)
        ))
      handed += 1
    }
  }

  /// Lets so many records arrive.
  func deliver(_ count: Int) {
    for (number, value, isTold, receipt) in waiting.prefix(count) {
      if isTold { told.append(value) } else { delivered.append((number, value)) }
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
  /// Where it goes what is told of copies.
  static let noticeTopic: TopicID = 9

  /// What is wrong with what was told of the copies that were asked for; nil for nothing.
  func verdictOnNotices() -> String? {
    var told: [String: [String]] = [:]
    for record in sink.told {
      guard let notice = try? JSON(record), let id = notice["id"]?.string,
        let type = notice["type"]?.string
      else { return "no notice: \(record)" }
      let table = notice["additional_data"]?["scanned_collection"]?.string.map { " \($0)" } ?? ""
      told[id, default: []].append(type + table)
    }
    for (number, tables, _, _) in asked {
      let types = told["\(number)"] ?? []
      if stopped.contains(number) {
        // A crash may come between a stop and its record.
        let isTold = types.contains("ABORTED") || types.contains("COMPLETED") || crashes > 0
        if !isTold { return "copy \(number) was stopped: \(types)" }
        continue
      }
      guard types.last == "COMPLETED", types.contains("STARTED") else {
        return "copy \(number) was not told to have begun and ended: \(types)"
      }
      for table in tables where !types.contains("TABLE_SCAN_COMPLETED \(table.name)") {
        return "copy \(number) has not told the end of \(table.name): \(types)"
      }
      let first = types.firstIndex(of: "STARTED") ?? 0
      if types[..<first].contains(where: { $0 != "PAUSED" && $0 != "RESUMED" }) {
        return "copy \(number) told something before its beginning: \(types)"
      }
    }
    return nil
  }

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
