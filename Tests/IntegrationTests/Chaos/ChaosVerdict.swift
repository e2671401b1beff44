import Support

/// What the database says at the end of a chaos load.
struct ChaosTruth {
  /// The last number of each key that changed.
  var sequences: [Int: Int]
  /// The ids of the committed rows of the tables that only grow.
  var rows: [String: Set<Int>]

  /// - Throws: `SupportError` when the database cannot be asked.
  init(_ scenario: Scenario, growing: [String] = ["journal", "scratch"]) throws {
    func table(_ sql: String) throws -> [[Int]] {
      try scenario.psql(sql).split(separator: "\n").map { line in
        line.split(separator: "|").compactMap { Int($0) }
      }
    }
    sequences = [:]
    for row in try table("SELECT key, seq FROM counter WHERE seq > 0") {
      sequences[row[0]] = row[1]
    }
    rows = [:]
    for name in growing {
      rows[name] = Set(try table("SELECT id FROM \(name)").map { $0[0] })
    }
  }

  /// For tests of the verdict itself.
  init(sequences: [Int: Int], rows: [String: Set<Int>]) {
    self.sequences = sequences
    self.rows = rows
  }
}

/// What a topic holds, held against the truth.
struct ChaosVerdict {
  /// In the order of each partition.
  let events: [Event]
  let truth: ChaosTruth

  /// How many events came again.
  var repetitions: Int { events.count - Set(events.map(\.uuid)).count }

  /// One line for the log.
  var summary: String { "\(events.count) events, \(repetitions) of them repeated" }

  /// What is wrong once events whose UUID came before are left out: a change that is missing, was
  /// never committed, is out of its key's order or on another partition, or came with two contents.
  var problems: [String] {
    let once = events.withoutRepetitions
    var found = truth.sequences.isEmpty ? ["the writers did nothing"] : []
    let changes = Dictionary(grouping: once.filter { $0.table == "counter" }) {
      $0["key"]?.int ?? -1
    }
    for key in Set(changes.keys).union(truth.sequences.keys).sorted() {
      let arrived = changes[key, default: []]
      let expected = truth.sequences[key, default: 0]
      let numbers = arrived.integers("seq")
      if let wrong = numbers.enumerated().first(where: { $0.element != $0.offset + 1 }) {
        found.append("key \(key): change \(wrong.element) came as number \(wrong.offset + 1)")
      } else if numbers.count != expected {
        found.append("key \(key): \(numbers.count) of \(expected) changes")
      }
      if Set(arrived.map(\.record.partition)).count > 1 {
        found.append("key \(key): on several partitions")
      }
    }
    for (table, committed) in truth.rows.sorted(by: { $0.key < $1.key }) {
      let inserts = once.filter { $0.table == table }.integers("id")
      let missing = committed.subtracting(inserts).count
      let invented = Set(inserts).subtracting(committed).count
      let twice = inserts.count - Set(inserts).count
      if missing > 0 { found.append("\(table): \(missing) rows are missing") }
      if invented > 0 { found.append("\(table): \(invented) rows were never committed") }
      if twice > 0 { found.append("\(table): \(twice) rows came again with another UUID") }
    }
    return found + contradictions
  }

  /// UUIDs that came with two contents.
  private var contradictions: [String] {
    var known: [String: String?] = [:]
    var found: [String] = []
    for event in events {
      if let before = known.updateValue(event.record.value, forKey: event.uuid),
        before != event.record.value
      {
        found.append("UUID \(event.uuid) came with two contents")
      }
    }
    return found
  }
}
