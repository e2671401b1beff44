import Glibc
import PGWire

/// What all events of one table need, worked out once.
///
/// A class so that a record finds it by one look-up and copies nothing of it; all of it is constant.
final class KafkaTable {
  fileprivate let database: [UInt8]
  fileprivate let schema: [UInt8]
  fileprivate let table: [UInt8]
  /// Where the events go, in the lanes' order; nil excludes them there.
  let routes: [Route?]
  /// The table's counters.
  let metrics: TableMetrics

  init(_ request: KafkaTableRequest, topics: [TopicID?], metrics: TableMetrics) {
    database = Array(request.database.utf8)
    schema = Array(request.schema.utf8)
    table = Array(request.table.utf8)
    let name = request.table.isEmpty ? "" : "\(request.schema).\(request.table)"
    routes = topics.map { $0.map { Route(topic: $0, table: name) } }
    self.metrics = metrics
  }

  fileprivate func matches(_ event: borrowing KafkaEventParser) -> Bool {
    Self.equal(table, event.table) && Self.equal(schema, event.schema)
      && Self.equal(database, event.database)
  }

  private static func equal(_ name: [UInt8], _ text: RawSpan) -> Bool {
    guard name.count == text.byteCount else { return false }
    // SAFETY: both have that many bytes.
    return unsafe text.withUnsafeBytes { text in
      guard let start = text.baseAddress, text.count > 0 else { return true }
      return unsafe memcmp(name, start, text.count) == 0
    }
  }
}

/// What must be found out, off the pipeline's thread, before events of a table can be taken.
struct KafkaTableRequest: Sendable {
  /// How often the numbers of topics had become void: an answer that comes later than the next time
  /// is void as well.
  let generation: Int
  /// The database's name.
  let database: String
  /// The schema's name.
  let schema: String
  /// The table's name; empty for logical messages.
  let table: String
  /// The topic for each lane, in the lanes' order; nil excludes the table there.
  let topics: [String?]
}

/// The tables whose events have come, found by the bytes of their names.
struct KafkaTables {
  private var byHash: [Int: [KafkaTable]] = [:]
  private var last: KafkaTable?
  private var count = 0
  /// The tables whose look-ups are outstanding.
  private var asked: Set<Name> = []

  /// A table's names.
  private struct Name: Hashable {
    let database: String
    let schema: String
    let table: String
  }

  /// How many look-ups are outstanding.
  var outstanding: Int { asked.count }

  /// The table of the event that the parser holds; nil when it is new.
  mutating func find(_ event: borrowing KafkaEventParser) -> KafkaTable? {
    if let last, last.matches(event) { return last }
    guard let bucket = byHash[Self.hash(event.database, event.schema, event.table)] else {
      return nil
    }
    for table in bucket where table.matches(event) {
      last = table
      return table
    }
    return nil
  }

  /// The names of the tables that are known.
  var all: [(database: String, schema: String, table: String)] {
    byHash.values.joined().map { table in
      func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
      return (text(table.database), text(table.schema), text(table.table))
    }
  }

  /// Notes that a table is looked up; false when it is already.
  mutating func ask(database: String, schema: String, table: String) -> Bool {
    asked.insert(Name(database: database, schema: schema, table: table)).inserted
  }

  /// Notes that a table's look-up is answered; false when none was outstanding.
  mutating func answered(_ request: KafkaTableRequest) -> Bool {
    let name = Name(
      database: request.database, schema: request.schema, table: request.table)
    return asked.remove(name) != nil
  }

  /// Adds a table.
  ///
  /// The names come from the topic: beyond the limit all are forgotten and looked up again.
  mutating func add(_ table: KafkaTable) {
    if count >= Limits.kafkaTables { forget() }
    count += 1
    let (database, schema, name) = (table.database, table.schema, table.table)
    let hash = unsafe Self.hash(database.span.bytes, schema.span.bytes, name.span.bytes)
    byHash[hash, default: []].append(table)
    last = table
  }

  /// Forgets all tables: the numbers of their topics are no longer right.
  mutating func removeAll() {
    forget()
    asked.removeAll()
  }

  private mutating func forget() {
    byHash.removeAll()
    last = nil
    count = 0
  }

  private static func hash(_ database: RawSpan, _ schema: RawSpan, _ table: RawSpan) -> Int {
    var hasher = Hasher()
    // SAFETY: the pointers do not leave the closures.
    unsafe database.withUnsafeBytes { unsafe hasher.combine(bytes: $0) }
    hasher.combine(UInt8(0))
    unsafe schema.withUnsafeBytes { unsafe hasher.combine(bytes: $0) }
    hasher.combine(UInt8(0))
    unsafe table.withUnsafeBytes { unsafe hasher.combine(bytes: $0) }
    return hasher.finalize()
  }
}
