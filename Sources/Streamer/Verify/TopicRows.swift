import KafkaBridge
import PGWire

/// What is said of the rows of some tables, which share their topics with no others: by the topics, and
/// by whoever reads the tables.
///
/// A class because both add to it.
final class TopicRows {
  /// A row of a table.
  struct Place: Hashable {
    let table: Int
    let key: [UInt8]
  }

  /// The tables; entries and records number them.
  private(set) var subjects: [VerifySubject]
  private let topics: TopicReading
  /// What says what records have that name their schemas.
  private let texts: RecordTexts
  /// What reads the records of each format.
  private let readers: [FormatConfiguration.Name: RowRecordReader]
  private let buckets: KeyBuckets

  /// With nothing read; what will be lies in a file in `directory`.
  init(
    _ subjects: [VerifySubject], in topics: TopicReading, _ setup: LaneSetup, database: String,
    _ texts: RecordTexts, directory: String
  ) throws(StreamerError) {
    self.subjects = subjects
    self.topics = topics
    self.texts = texts
    readers = Dictionary(
      uniqueKeysWithValues: Set(subjects.map(\.format)).map { format in
        (
          format,
          RowRecordReader(
            setup.written(in: format), database: database,
            tables: subjects.map { ($0.table.relation.schema, $0.table.relation.name) })
        )
      })
    do throws(SpoolFault) { buckets = try KeyBuckets(in: directory) } catch {
      throw Self.explained(error)
    }
  }

  /// Reads the topics from where it stood to where they end now.
  func read(
    _ origin: KeyEntry.Origin, pause: (_ records: Int) throws(StreamerError) -> Void
  ) throws(StreamerError) {
    let byTopic = Dictionary(grouping: subjects.indices) { subjects[$0].topic }
    try topics.read(of: Set(byTopic.keys), pause: pause) { (message) throws(StreamerError) in
      try take(message, origin, byTopic[message.topic] ?? [])
    }
  }

  private func take(
    _ message: borrowing ConsumedRecord, _ origin: KeyEntry.Origin, _ tables: [Int]
  ) throws(StreamerError) {
    guard let first = tables.first, let reader = readers[subjects[first].format] else { return }
    let isBare = message.value == nil
    var json = ByteWriter()
    var found: RowRecord?
    if let value = message.value {
      guard try texts.write(value, subjects[first].format, to: &json) else { return }
      found = reader.read(json.bytes)
    } else {
      found = reader.read(nil)
    }
    guard let record = found else { return }
    if isBare, tables.count > 1, !reader.tellsBare { return }
    guard let table = record.table ?? tables.first, table < subjects.count,
      subjects[table].topic == message.topic
    else { return }
    if record.content == .emptied {
      if origin == .before {
        subjects[table].emptied.before = max(subjects[table].emptied.before, record.lsn)
      } else {
        subjects[table].emptied.since = max(subjects[table].emptied.since, record.lsn)
      }
      return
    }
    guard let key = message.key, let text = try texts.key(key, subjects[first].format) else {
      return
    }
    try add(
      KeyEntry(
        table: table, key: text, origin: origin, partition: message.partition, record: record))
  }

  /// Takes a row of a table as the sink would write it; false where that is no row.
  func add(rowOf table: Int, key: [UInt8], _ value: RawSpan) throws(StreamerError) -> Bool {
    var json = ByteWriter()
    let format = subjects[table].format
    guard texts.write(ofTable: value, format, to: &json),
      let record = readers[format]?.read(json.bytes), case .row = record.content
    else { return false }
    let text = texts.key(ofTable: key, format)
    try add(KeyEntry(table: table, key: text, origin: .table, record: record))
    return true
  }

  private func add(_ entry: KeyEntry) throws(StreamerError) {
    do throws(SpoolFault) { try buckets.add(entry) } catch { throw Self.explained(error) }
  }

  /// Gives all rows that something is known of, some at once, in no order.
  func each(
    _ body: ([Place: RowStates]) throws(StreamerError) -> Void
  ) throws(StreamerError) {
    for bucket in 0..<buckets.count {
      var rows: [Place: RowStates] = [:]
      do throws(SpoolFault) {
        try buckets.each(of: bucket) { entry in
          rows[Place(table: entry.table, key: entry.key), default: RowStates()].take(
            entry, emptied: subjects[entry.table].emptied.before)
        }
      } catch { throw Self.explained(error) }
      try body(rows)
    }
  }

  private static func explained(_ error: SpoolFault) -> StreamerError {
    StreamerError(
      what: "verify", why: "\(error)",
      hint: "It keeps what it has read there; `spool.dir` of the source names another directory.")
  }
}
