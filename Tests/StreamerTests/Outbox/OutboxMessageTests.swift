import PGWire
import Support
import Testing

@testable import Streamer

/// Logical messages that are events of an outbox: no table is needed.
@Suite struct OutboxMessageTests {
  private func feed(
    _ lines: String = "", dead: TopicID? = nil, transactional: Bool = true,
    prefix: String = "outbox", _ contents: String...
  ) throws -> CapturingPipeline {
    let setup = try ConfigurationFixture.parse(
      ConfigurationPieces.source + """
        [sink.k]
        type = "kafka"
        sources = ["db1"]
        hosts = ["k:9092"]
        messageTopic = "m"
        [sink.k.outbox]
        messages = "outbox"
        \(lines)

        """
    ).sinks[0].setup(for: "db")
    let pipeline = CapturingPipeline(setup: setup, messageTopic: 3, deadLetterTopic: dead)
    pipeline.topicNumbers = [:]
    try pipeline.feed { server in
      if transactional { server.begin(LSN(0x100), time: 1, xid: 745) }
      for content in contents {
        server.xLogData(
          LSN(0x90),
          ServerBytes.logical(
            transactional: transactional, at: LSN(0x90), prefix: prefix, Array(content.utf8)))
      }
      if transactional { server.commit(LSN(0x100), end: LSN(0x120), time: 1) }
    }
    return pipeline
  }

  private static let event =
    #"{"id": "e1", "aggregatetype": "Order", "aggregateid": 17, "type": "Made", "#

  @Test func aMessageIsARecord() throws {
    let pipeline = try feed(
      #"placement = ["type:header", "nothing:header"]"#,
      Self.event + #""payload": {"a": [1, null]}}"#,
      Self.event + #""payload": "a\n\"b\"\u00e4\ud83d\ude00"}"#, Self.event + #""payload":null}"#)
    #expect(pipeline.topics == Array(repeating: "outbox.event.Order", count: 3))
    #expect(pipeline.sink.keys == ["17", "17", "17"])
    #expect(pipeline.sink.values == [#"{"a": [1, null]}"#, "a\n\"b\"ä😀", "null"])
    #expect(pipeline.sink.headers.prefix(3) == ["id=e1", "type=Made", "nothing="])
    #expect(pipeline.confirmed == LSN(0x120))
  }

  @Test func membersStandInAnEnvelopeAsTheyAre() throws {
    let lines = #"placement = ["aggregateid:envelope:number", "type:envelope"]"#
    let content = Self.event + #""payload": "{\"a\":1}"}"#
    #expect(
      try feed(lines, content).sink.values
        == [#"{"payload":"{\"a\":1}","number":17,"type":"Made"}"#])
    #expect(
      try feed(lines + "\nexpandPayload = true", content).sink.values
        == [#"{"payload":{"a":1},"number":17,"type":"Made"}"#])
  }

  /// Others are what they always were.
  @Test func otherMessagesGoTheirWay() throws {
    let content = Self.event + #""payload":1}"#
    #expect(try feed(prefix: "other", content).sink.topics == [3])
    #expect(try feed(prefix: "out", content).sink.topics == [3])
    #expect(try feed(transactional: false, content).sink.topics == [3])
    #expect(try feed(prefix: "outbox.shop", content).sink.topics == [100])
  }

  @Test(arguments: [
    ("{", "no JSON object"), ("[1]", "no JSON object"), ("{\"id\":1} x", "no JSON object"),
    (event + "\"pay\":1}", "no member \"payload\""), ("{\"payload\":1}", "no member \"id\""),
    (#"{"id":1,"payload":1,"aggregatetype":""}"#, "null or empty"),
    (#"{"id":1,"payload":1,"aggregatetype":null}"#, "null or empty"),
    (#"{"id":1,"payload":1,"aggregatetype":"a b"}"#, "is no topic's name"),
  ])
  func whatIsNoEventIsTold(_ content: String, _ why: String) throws {
    let stops = try feed("", content)
    #expect(stops.pipeline.lanes[0].takeRefusal()?.why.contains(why) == true)
    #expect(stops.confirmed == .zero && stops.sink.values.isEmpty)
    let dead = try feed("", dead: 9, content, Self.event + #""payload":1}"#)
    #expect(dead.sink.topics == [9, 100])
    #expect(dead.sink.values[0].contains(#""Cause":"outbox""#))
    #expect(dead.confirmed == LSN(0x120))
  }
}
