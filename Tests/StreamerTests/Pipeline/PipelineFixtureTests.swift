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
    #expect(pipeline.confirmed == sent)
  }

  /// Without the server, and to what the scenario's values are as text.
  @Test(arguments: [15, 16, 17, 18])
  func aRecordingOfBinaryValuesIsReadAsText(_ version: Int) throws {
    let pipeline = CapturingPipeline()
    try pipeline.replay(Fixture(scenario: "binary", version: version).path)
    let full =
      #""id":1,"i2":-32768,"i8":9223372036854775807,"f4":1.5,"f8":"NaN","n":"12345.678","b":true,"#
      + #""t":"héllo","y":"AP8=","d":"2024-02-29","ts":"2024-02-29T12:34:56.789","#
      + #""tz":"2024-02-29T10:34:56Z","tm":"24:00:00","iv":"1 year 2 mons 3 days 04:05:06.7","#
      + #""u":"6f0c1c9e-0000-4000-8000-000000000000","j":{"a" : 1},"jb":{"b": [1, null]},"#
      + #""ip":"10.0.0.1/8","bi":"101","r":{"lower":1,"upper":6,"lowerInclusive":true,"#
      + #""upperInclusive":false},"a":[1,null,3],"ta":["a,b",null,""]"#
    let sparse =
      #""i2":null,"i8":null,"f4":null,"f8":null,"n":null,"b":null,"t":null,"y":null,"#
      + #""d":"infinity","ts":"-infinity","tz":null,"tm":null,"iv":null,"u":null,"j":null,"#
      + #""jb":null,"ip":null,"bi":null,"r":null,"a":null,"ta":null"#
    #expect(
      pipeline.events == [
        #"insert {\#(full)} 0,"Key":{"id":1}"#,
        #"insert {"id":2,\#(sparse)} 0,"Key":{"id":2}"#,
        #"delete {"id":2} 0,"Key":{"id":2},"Old":{"id":2}"#,
        #"insert {"id":3,\#(sparse)} 1,"Key":{"id":3}"#,
      ])
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
