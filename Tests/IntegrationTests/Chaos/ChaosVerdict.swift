import Support
import Testing

/// What the topic holds, held against what the database says.
struct ChaosVerdict {
  /// In the order of each partition.
  let events: [Event]
  private let scenario: Scenario

  /// Reads the topic.
  ///
  /// - Throws: `SupportError` when it cannot be read.
  init(_ scenario: Scenario) throws {
    self.scenario = scenario
    events = try scenario.events()
  }

  /// No event came twice.
  func expectNoRepetition() {
    let repeated = events.count - Set(events.map(\.uuid)).count
    #expect(repeated == 0, "\(repeated) of \(events.count) events came again")
  }

  /// Nothing is missing, nothing was made up, and each key's changes are in commit order, once
  /// events whose UUID came before are left out.
  func expectComplete() throws {
    let once = events.withoutRepetitions
    let sequences = Dictionary(grouping: once.filter { $0.table == "counter" }) {
      $0["key"]?.int ?? -1
    }
    let truth = try scenario.psql("SELECT key, seq FROM counter WHERE seq > 0 ORDER BY key")
    var checked = 0
    for line in truth.split(separator: "\n") {
      let parts = line.split(separator: "|").compactMap { Int($0) }
      let arrived = sequences[parts[0], default: []]
      let first = arrived.integers("seq").enumerated().first { $0.element != $0.offset + 1 }
      #expect(
        arrived.count == parts[1] && first == nil,
        """
        key \(parts[0]): \(arrived.count) of \(parts[1]) changes, first out of order: \
        \(first.map { "\($0.element) as number \($0.offset + 1)" } ?? "none")
        """)
      #expect(Set(arrived.map(\.record.partition)).count == 1, "key \(parts[0])'s partitions")
      checked += arrived.count
    }
    #expect(checked > 0, "the writers did nothing")
    for table in ["journal", "scratch"] {
      let rows = try scenario.psql("SELECT id FROM \(table)").split(separator: "\n")
      let committed = Set(rows.compactMap { Int($0) })
      let inserts = once.filter { $0.table == table }.integers("id")
      #expect(inserts.count == Set(inserts).count, "a row of \(table) twice with different UUIDs")
      let missing = committed.subtracting(inserts)
      let invented = Set(inserts).subtracting(committed)
      #expect(missing.isEmpty, "\(missing.count) rows of \(table) are missing")
      #expect(invented.isEmpty, "\(invented.count) rows of \(table) were never committed")
    }
  }

  /// An event that came again is the same byte for byte.
  func expectSameBytesForSameUUID() {
    var known: [String: String?] = [:]
    for event in events {
      if let before = known.updateValue(event.record.value, forKey: event.uuid) {
        #expect(before == event.record.value, "UUID \(event.uuid) with two contents")
      }
    }
  }

  /// One line for the log.
  var summary: String {
    "\(events.count) events, \(events.count - Set(events.map(\.uuid)).count) of them repeated"
  }
}
