import PGWire
import Support

@testable import Streamer

/// Keeps records and delivers them when it is told to.
class CopySink: Sink {
  /// What has arrived.
  private(set) var delivered: [(number: Int, value: String)] = []
  /// What has arrived of what is told of copies.
  private(set) var told: [String] = []
  /// How many records were handed over.
  private(set) var handed = 0
  fileprivate(set) var waiting:
    [(number: Int, value: String, isTold: Bool, receipt: DeliveryReceipt)] = []
  fileprivate var receipts: [DeliveryReceipt] = []

  var takesMore: Bool { true }
  var isClosedToRecords: Bool { false }

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

/// Keeps its position itself: what it was given arrives with the place that it leads to, or not at all.
final class CopyKeeper: CopySink, TransactionalSink {
  /// What was committed last.
  private(set) var committed = ReadPlace(lsn: CopySimulation.start)
  /// How often rows and the place in the midst of a round were committed.
  private(set) var cuts = 0
  private var reached: ReadPlace?
  private var target: ReadPlace?
  /// Records came behind what was reached.
  private var isAhead = false
  private var news: LSN?
  /// Whose memory is given back before they are committed.
  private var arrived: [DeliveryReceipt] = []

  let isClaimed = true
  let awaitsBoundary = false
  var isUncommitted: Bool { !waiting.isEmpty || target != nil }
  override var takesMore: Bool { target == nil }
  override var isClosedToRecords: Bool { target != nil }

  func claim() -> KeptPosition? { nil }

  func begin(_ identity: PositionIdentity, options: String, at place: ReadPlace) {}

  override func send(_ batch: borrowing RecordBatch) {
    precondition(target == nil, "records come while a transaction ends")
    let before = waiting.count
    super.send(batch)
    for index in before..<waiting.count {
      arrived.append(
        DeliveryReceipt(
          ticket: waiting[index].receipt.ticket, count: 0, bytes: waiting[index].receipt.bytes))
      waiting[index].receipt.bytes = 0
    }
    isAhead = true
  }

  func reached(_ place: ReadPlace) {
    reached = place
    isAhead = false
  }

  /// Ends the transaction, and the next time commits it.
  override func deliver(_ count: Int) {
    receipts += arrived
    arrived = []
    if let place = target.take() {
      if place.copied?.tables.contains(where: { !$0.isDone && !$0.lastKey.isEmpty }) == true {
        cuts += 1
      }
      committed = place
      news = place.lsn
      super.deliver(waiting.count)
    } else if !isAhead, let reached, reached != committed || !waiting.isEmpty {
      target = reached
    }
  }

  /// Its process ends: a commit that is under way succeeds perhaps, and nobody hears of it.
  override func crash(_ count: Int) {
    if count > 50, let place = target {
      committed = place
      super.deliver(waiting.count)
    }
    (target, reached, news, isAhead, arrived) = (nil, nil, nil, false, [])
    super.crash(0)
  }

  func takeCommitted() -> LSN? { news.take() }

  func hurry() {}
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
