import Testing

@testable import Streamer

@Suite("What every sink does", .timeLimit(.minutes(15)))
struct SinkContract {
  @Test(
    "each record is acknowledged once, with its bytes, and has arrived",
    arguments: SinkKind.allCases)
  func acknowledges(_ kind: SinkKind) throws {
    let bench = try kind.bench()
    var expected: [UInt64: SinkBench.Total] = [:]
    let values = (0..<12).map { "{\"n\":\($0)}" }
    for (index, part) in [0..<3, 3..<4, 4..<9, 9..<12].enumerated() {
      // A transaction may come in several batches, and another one follows.
      let ticket = UInt64([0, 0, 1, 5][index])
      let sent = try bench.send(ticket, Array(values[part]))
      expected[ticket, default: .init()].records += sent.records
      expected[ticket, default: .init()].bytes += sent.bytes
      try bench.turn()
    }
    try bench.settle(values.count)
    #expect(bench.totals == expected)
    try bench.idle()
    #expect(bench.totals == expected, "something was acknowledged twice")
    if let arrived = try bench.arrived?(values.count) {
      // A log quotes what it writes.
      if kind == .stubLog { #expect(arrived.count == 12) } else { #expect(arrived == values) }
    }
  }

  @Test("nothing is acknowledged that is not durable", arguments: SinkKind.allCases)
  func durability(_ kind: SinkKind) throws {
    let bench = try kind.bench()
    guard let stall = bench.stall, let resume = bench.resume else { return }
    try bench.send(0, ["{\"n\":0}"])
    try bench.settle(1)
    try stall()
    try bench.send(1, (1...20).map { "{\"n\":\($0)}" })
    try bench.idle()
    #expect(bench.totals[1] == nil)
    try resume()
    try bench.settle(21)
    #expect(bench.totals[1]?.records == 20)
  }

  @Test("what is written is acknowledged only once its job has ended", arguments: SinkKind.allCases)
  func jobs(_ kind: SinkKind) throws {
    let bench = try kind.bench()
    try bench.send(0, ["{}"])
    guard let job = bench.sink.durabilityJob() else { return }
    var reported = 0
    try bench.sink.poll { reported += $0.count }
    #expect(reported == 0)
    #expect(bench.sink.durabilityJob() == nil, "one job at a time")
    let error = job()
    try bench.sink.poll { reported += $0.count }
    #expect(reported == 0)
    bench.sink.durabilityJobEnded(error)
    try bench.sink.poll { reported += $0.count }
    #expect(reported == 1)
  }

  @Test(
    "a sink that failed says so, and acknowledges nothing any more", arguments: SinkKind.allCases)
  func failing(_ kind: SinkKind) throws {
    let bench = try kind.bench()
    guard let breakOff = bench.breakOff else { return }
    try bench.send(0, ["{\"n\":0}"])
    try bench.settle(1)
    try breakOff()
    try bench.send(1, ["{\"n\":1}"])
    let error = try bench.failure()
    #expect(!error.description.isEmpty)
    for _ in 0..<3 {
      #expect(throws: StreamerError.self) { try bench.turn() }
      #expect(bench.sink.durabilityJob() == nil)
    }
    #expect(bench.totals[1] == nil)
    #expect(bench.total.records == 1)
    bench.sink.close(within: .seconds(1))
  }

  @Test(
    "after close nothing is acknowledged, and closing again does nothing",
    arguments: SinkKind.allCases)
  func closing(_ kind: SinkKind) throws {
    let bench = try kind.bench()
    try bench.send(0, ["{\"n\":0}"])
    bench.sink.close(within: .seconds(5))
    bench.sink.close(within: .seconds(5))
    try bench.idle()
    #expect(bench.total.records == 0)
  }

  @Test("closing does not wait for what stands still", arguments: SinkKind.allCases)
  func closingStalled(_ kind: SinkKind) throws {
    let bench = try kind.bench()
    try bench.stall?()
    for ticket in 0..<10 { try bench.send(UInt64(ticket), ["{\"n\":\(ticket)}"]) }
    for _ in 0..<20 { try bench.turn() }
    bench.sink.close(within: .milliseconds(1))
    bench.sink.close(within: .milliseconds(1))
  }

  @Test("opening again changes nothing", arguments: SinkKind.allCases)
  func opening(_ kind: SinkKind) throws {
    let bench = try kind.bench()
    try bench.send(0, ["{\"n\":0}"])
    try bench.sink.open()
    try bench.settle(1)
    #expect(bench.total.records == 1)
  }

  @Test(
    "the same topic has the same number, many at once as one by one", arguments: SinkKind.allCases)
  func topics(_ kind: SinkKind) throws {
    let bench = try kind.bench()
    let names = ["events", "events", "events"]
    let first = try bench.sink.prepare(topics: names).map { try $0.get() }
    #expect(Set(first).count == 1)
    #expect(try bench.sink.prepare(topic: "events") == first[0])
    #expect(bench.sink.prepare(topics: []).isEmpty)
    #expect(bench.sink.maximumRecordBytes > 0)
    #expect(bench.sink.queueLength == 0)
    #expect(bench.sink.trouble == nil)
  }
}
