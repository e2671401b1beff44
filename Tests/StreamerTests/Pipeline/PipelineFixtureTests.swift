import PGWire
import Support
import Testing

@testable import Streamer

/// What real servers sent, through the pipeline.
@Suite struct PipelineFixtureTests {
  /// Feeds a recording and gives the pipeline; the fault is what ended it.
  private func replay(_ scenario: String) throws -> (CapturingPipeline, StreamFault?) {
    let pipeline = CapturingPipeline()
    let bytes = try Fixture(scenario: scenario, version: 15).bytes()
    do throws(StreamFault) {
      try pipeline.feed { $0.append(bytes) }
      return (pipeline, nil)
    } catch { return (pipeline, error) }
  }

  @Test(arguments: [
    "types", "user-types", "identities", "toast", "truncate", "relations", "transactions",
    "messages", "origin", "keepalives",
  ])
  func everyChangeBecomesItsEvents(_ scenario: String) throws {
    let (pipeline, fault) = try replay(scenario)
    #expect(fault == nil)
    var expected = 0
    for line in try Fixture(scenario: scenario, version: 15).trace().split(separator: "\n") {
      let words = line.split(separator: " ")
      guard words.count > 3, words[0] == "XLogData" else { continue }
      switch words[3] {
      case "Insert", "Delete", "Message": expected += 1
      // A key image comes with a changed key: two events.
      case "Update": expected += words[5] == "key" ? 2 : 1
      case "Truncate": expected += line.filter { $0 == "," }.count + 1
      default: break
      }
    }
    #expect(pipeline.sink.values.count == expected && expected > 0)
    let (isAtRest, sent) = (pipeline.pipeline.isAtRest, pipeline.pipeline.sent)
    #expect(isAtRest)
    #expect(pipeline.lane.confirmed == sent)
  }

  /// The message is the last statement of the transaction: its record ends where the commit's starts.
  @Test func aLoneMessageBeforeACommitLosesNothing() throws {
    let (pipeline, _) = try replay("messages")
    let last = pipeline.events.suffix(2).map { $0.prefix(17) }
    #expect(last == ["message {} 0,\"Key", "insert {\"id\":2} 0"])
  }

  @Test func aServerThatShutsDownEndsTheStream() throws {
    guard case .ended? = try replay("shutdown").1 else {
      Issue.record("the stream did not end in an orderly way")
      return
    }
  }

  @Test func anErrorInsideTheStreamIsTheServers() throws {
    guard case .server(let error)? = try replay("missing-publication").1 else {
      Issue.record("the stream did not end with the server's error")
      return
    }
    #expect(error.code == "42704")
  }
}
