import Support
import Testing

/// The judge of the chaos tests, judged: each kind of wrong stream is seen.
@Suite struct ChaosVerdictTests {
  private let truth = ChaosTruth(sequences: [1: 3, 2: 1], rows: ["journal": [10, 11]])

  private func event(
    _ table: String, _ columns: String, uuid: String, partition: Int = 0
  ) throws -> Event {
    let value = #"{"Table":"\#(table)","UUID":"\#(uuid)","Columns":{\#(columns)}}"#
    return try Event(KafkaRecord(partition: partition, offset: 0, key: nil, value: value))
  }

  private func right() throws -> [Event] {
    [
      try event("counter", #""key":1,"seq":1"#, uuid: "a"),
      try event("counter", #""key":1,"seq":2"#, uuid: "b"),
      try event("counter", #""key":2,"seq":1"#, uuid: "c", partition: 1),
      try event("counter", #""key":1,"seq":3"#, uuid: "d"),
      try event("journal", #""id":10"#, uuid: "e"),
      try event("journal", #""id":11"#, uuid: "f"),
    ]
  }

  private func problems(_ change: (inout [Event]) throws -> Void) throws -> [String] {
    var events = try right()
    try change(&events)
    return ChaosVerdict(events: events, truth: truth).problems
  }

  @Test func `A right stream, and one that steps back and goes on, have no problem`() throws {
    #expect(try problems { _ in }.isEmpty)
    #expect(try problems { $0.insert(contentsOf: $0[0...3], at: 4) }.isEmpty)
    var events = try right()
    #expect(ChaosVerdict(events: events, truth: truth).repetitions == 0)
    events.append(events[0])
    #expect(ChaosVerdict(events: events, truth: truth).repetitions == 1)
  }

  @Test func `What is missing, invented, exchanged or contradictory is found`() throws {
    #expect(try problems { $0.removeAll() }.count == 3)
    #expect(try problems { $0.remove(at: 3) } == ["key 1: 2 of 3 changes"])
    #expect(try problems { $0.remove(at: 1) } == ["key 1: change 3 came as number 2"])
    #expect(try problems { $0.remove(at: 5) } == ["journal: 1 rows are missing"])
    #expect(try problems { $0.swapAt(0, 1) } == ["key 1: change 2 came as number 1"])
    #expect(
      try problems { $0.append(try event("counter", #""key":9,"seq":1"#, uuid: "x")) }
        == ["key 9: 1 of 0 changes"])
    #expect(
      try problems { $0.append(try event("journal", #""id":12"#, uuid: "x")) }
        == ["journal: 1 rows were never committed"])
    #expect(
      try problems { $0.append(try event("journal", #""id":10"#, uuid: "x")) }
        == ["journal: 1 rows came again with another UUID"])
    #expect(
      try problems { $0[3] = try event("counter", #""key":1,"seq":3"#, uuid: "d", partition: 2) }
        == ["key 1: on several partitions"])
    #expect(
      try problems { $0.append(try event("journal", #""id":99"#, uuid: "f")) }
        == ["UUID f came with two contents"])
  }
}
