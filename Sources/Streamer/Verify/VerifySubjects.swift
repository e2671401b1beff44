import PGWire

/// A table whose rows are looked for in its topic.
struct VerifySubject {
  var table: SnapshotTable
  var topic: String
  /// The format of its records, and of all others in its topic.
  var format: FormatConfiguration.Name
  var finding: TableFinding
  /// Where it was emptied last, before the topic's noted end and behind it.
  var emptied: (before: UInt64, since: UInt64) = (0, 0)

  /// How many rows the server believes it to have.
  var estimatedRows: Int64 { max(table.estimatedRows, 0) }
}

/// The tables of a source whose rows can be looked for in a sink's topics, and those whose cannot.
struct VerifySubjects {
  /// Those that can.
  private(set) var compared: [VerifySubject] = []
  /// Those that cannot, with the reason.
  private(set) var leftOut: [TableFinding] = []

  /// Chooses among the published tables those that patterns name; all where there are none.
  init(
    _ tables: [SnapshotTable], of target: VerifyTarget, database: String,
    named patterns: [String] = []
  ) {
    let setup = target.setup
    let wanted = SnapshotConfiguration(tables: patterns)
    var all: [VerifySubject] = []
    for table in tables.sorted(by: { $0.name < $1.name }) {
      let (schema, name) = (table.relation.schema, table.relation.name)
      guard let topic = setup.topic(database: database, schema: schema, table: name) else {
        continue
      }
      all.append(
        VerifySubject(
          table: table, topic: topic, format: setup.format(schema: schema, table: name),
          finding: TableFinding(sink: target.sink.name, table: table.name, topic: topic)))
    }
    let formats = Dictionary(grouping: all, by: \.topic).mapValues { $0.map(\.format) }
    for var subject in all {
      let relation = subject.table.relation
      guard patterns.isEmpty || wanted.covers(schema: relation.schema, table: relation.name) else {
        continue
      }
      subject.finding.leftOut = VerifyScope.obstacle(
        subject.table, setup, sharing: formats[subject.topic] ?? [])
      if subject.finding.leftOut == nil {
        compared.append(subject)
      } else {
        leftOut.append(subject.finding)
      }
    }
  }

  /// Their topics.
  var topics: [String] { Array(Set(compared.map(\.topic))).sorted() }

  /// Parts that can be compared alone, of so many rows and records if they can be cut so: tables that
  /// share a topic stay together.
  ///
  /// `records` says how many there are in each topic.
  static func parts(
    of subjects: [VerifySubject], size: Int64, records: [String: Int64]
  ) -> [[VerifySubject]] {
    let byTopic = Dictionary(grouping: subjects, by: \.topic)
    var parts: [[VerifySubject]] = []
    var (seen, room) = (Set<String>(), Int64(0))
    for topic in subjects.map(\.topic) where seen.insert(topic).inserted {
      let tables = byTopic[topic] ?? []
      let weight = weight(of: tables, records: records)
      if weight > room || parts.isEmpty {
        parts.append([])
        room = size
      }
      parts[parts.count - 1] += tables
      room -= weight
    }
    return parts
  }

  /// How many rows and records have to be read of them.
  static func weight(of subjects: [VerifySubject], records: [String: Int64]) -> Int64 {
    Set(subjects.map(\.topic)).reduce(subjects.reduce(0) { $0 + $1.estimatedRows }) {
      $0 + (records[$1] ?? 0)
    }
  }
}
