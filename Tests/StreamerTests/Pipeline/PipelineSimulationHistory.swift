import PGWire
import Support

@testable import Streamer

/// What a simulated server has committed: transactions in commit order, whose changes lie
/// interleaved in the log, and the record that each event must become.
struct SimulatedHistory {
  /// One change of a transaction.
  struct Change {
    let lsn: LSN
    /// The subtransaction that made it, or the transaction itself.
    let xid: UInt32
    let payload: [UInt8]
    /// Whether it is a logical message.
    var isMessage: Bool { payload.first == UInt8(ascii: "M") }
    /// The tables as they were at that point: each is described before its first use.
    let relations: [Relation]
    let events: [SimulatedTable.Body]
  }

  /// A transaction, or a message outside of any.
  struct Entry {
    /// nil for a message outside a transaction.
    let xid: UInt32?
    /// Where the commit record starts, or the message's: the server's filter.
    let commitLSN: LSN
    let endLSN: LSN
    /// What its events call `CommitLSN`: of a message, whose start is not on the wire, the last byte.
    var eventLSN: LSN { xid == nil ? LSN(endLSN.value - 1) : commitLSN }
    let time: Int64
    let changes: [Change]
    /// Its events' places in ``SimulatedHistory/events``.
    fileprivate(set) var events: Range<Int> = 0..<0
  }

  /// One record of the log, in the order in which it was written.
  struct Record {
    /// What it tells.
    enum Kind {
      case change(Change)
      /// Subtransactions were rolled back, those inside others first.
      case rollBack([UInt32])
      /// The whole was rolled back; its subtransactions.
      case abort([UInt32])
      /// It was committed; nil where nothing of it is left.
      case commit(entry: Int?)
      /// A message outside transactions.
      case alone(entry: Int)
    }

    /// Where it starts.
    let lsn: LSN
    /// Where it ends.
    let end: LSN
    let time: Int64
    /// The whole transaction's number.
    let xid: UInt32
    let kind: Kind
  }

  /// An event, and who gets it.
  struct Event {
    let entry: Int
    let json: String
    /// What its order is kept by: table and key.
    let orderKey: String
    /// Whether only the first sink gets it.
    let isExcluded: Bool
  }

  static let systemIdentifier: UInt64 = 7_123_456_789
  static let host = "db1"
  static let database = "shop"

  private(set) var entries: [Entry] = []
  /// Everything that was written, also what was rolled back.
  private(set) var log: [Record] = []
  private(set) var events: [Event] = []
  private(set) var byJSON: [String: Int] = [:]
  /// Where the log ends.
  private(set) var end = LSN(1_000)

  /// Whether a sink gets an event.
  func wants(_ event: Int, lane: Int) -> Bool { lane == 0 || !events[event].isExcluded }

  mutating func append(_ entry: Entry) {
    var entry = entry
    let first = events.count
    let uuid = EventUUID(
      systemIdentifier: Self.systemIdentifier, database: Self.database, xid: entry.xid ?? 0,
      commitTime: entry.xid == nil ? 0 : entry.time, commitLSN: entry.eventLSN)
    for change in entry.changes {
      for body in change.events {
        let ordinal = events.count - first
        let json = Self.json(body, change.lsn, entry, ordinal: ordinal, uuid)
        byJSON[json] = events.count
        events.append(
          Event(
            entry: entries.count, json: json, orderKey: "\(body.table) \(body.key ?? "")",
            isExcluded: body.table == "hidden" || body.action == "message"))
      }
    }
    entry.events = first..<events.count
    entries.append(entry)
  }

  mutating func append(_ record: Record) {
    log.append(record)
    end = record.end
  }

  private static func json(
    _ body: SimulatedTable.Body, _ lsn: LSN, _ entry: Entry, ordinal: Int, _ uuid: EventUUID
  ) -> String {
    let identity = written { uuid.append(ordinal: UInt64(ordinal), to: &$0) }
    let time = written { EventTimestamp.append(microseconds: entry.time, to: &$0) }
    let timestamp = entry.xid == nil ? "null" : "\"\(time)\""
    return "{\"Host\":\"\(host)\",\"Database\":\"\(database)\",\"Table\":\"\(body.table)\""
      + ",\"Action\":\"\(body.action)\",\"WALPosition\":\(entry.eventLSN.value)"
      + ",\"Timestamp\":\(timestamp),\"UUID\":\"\(identity)\",\"Columns\":\(body.columns)"
      + ",\"Schema\":\"\(body.schema)\",\"LSN\":\"\(lsn)\",\"CommitLSN\":\"\(entry.eventLSN)\""
      + ",\"XID\":\(entry.xid.map { "\($0)" } ?? "null"),\"Ordinal\":\(ordinal)"
      + ",\"Key\":\(body.key ?? "null")\(body.rest)}"
  }
}
