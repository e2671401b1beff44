import Testing

@testable import Streamer

@Suite("Readiness")
struct ReadinessTests {
  private let pipelines = FakePipelines()
  private let start = ContinuousClock.now

  private func reasons(after seconds: Int = 0) -> [String] {
    Readiness(
      sources: pipelines.sources, sinks: pipelines.sinks,
      now: start.advanced(by: .seconds(seconds))
    ).reasons
  }

  @Test("every state of a source", arguments: PipelineState.allCases)
  func states(_ state: PipelineState) {
    pipelines.enterStreaming()
    pipelines.sources[0].enter(state)
    let isReady = [.streaming, .backpressured, .snapshot, .standby].contains(state)
    #expect(reasons() == (isReady ? [] : ["source \"db\" is \(state.rawValue)"]))
  }

  @Test("a sink in trouble is not ready")
  func sink() {
    pipelines.enterStreaming()
    pipelines.sinks[0].enter(.retrying)
    #expect(reasons() == ["sink \"out\" is retrying"])
  }

  @Test("the server must have answered within half a minute")
  func probe() {
    let source = pipelines.sources[0]
    source.enter(.streaming)
    #expect(reasons() == ["source \"db\" has had no answer yet"])
    source.probeAnswered(at: start)
    #expect(reasons(after: 30) == [])
    #expect(reasons(after: 32) == ["source \"db\" has had no answer for 32 s"])
    source.probeAnswered(at: start.advanced(by: .seconds(5)))
    #expect(reasons(after: 32) == [])
    source.enter(.standby)
    #expect(reasons(after: 100) == [])
  }

  @Test("no record may wait longer than that")
  func outstanding() {
    pipelines.enterStreaming()
    let source = pipelines.sources[0]
    source.enter(.backpressured)
    source.oldestOutstanding(since: start)
    source.probeAnswered(at: start.advanced(by: .seconds(30)))
    #expect(reasons(after: 29) == [])
    #expect(reasons(after: 40) == ["source \"db\" has a record undelivered for 40 s"])
    source.oldestOutstanding(since: nil)
    #expect(reasons(after: 40) == [])
  }

  @Test("a source without a replication connection needs no answer")
  func kafka() {
    let source = SourceStatus(name: "k", type: "kafka")
    source.enter(.streaming)
    #expect(Readiness(sources: [source], sinks: [], now: start).isReady)
  }

  @Test("a state keeps its beginning while only its error changes")
  func since() {
    let source = pipelines.sources[0]
    source.enter(.retrying, error: "a", at: UTCTime(microseconds: 1))
    source.enter(.retrying, error: "b", at: UTCTime(microseconds: 2))
    #expect(source.state.since == UTCTime(microseconds: 1))
    #expect(source.state.error == "b")
    source.enter(.streaming, at: UTCTime(microseconds: 3))
    #expect(source.state.since == UTCTime(microseconds: 3))
    #expect(source.state.error == nil)
  }

  @Test("the lag is what is not confirmed, and never negative")
  func lag() {
    let source = pipelines.sources[0]
    source.serverLSN.set(100)
    #expect(source.lagBytes == 0)
    source.confirmedLSN.set(60)
    #expect(source.lagBytes == 40)
    source.confirmedLSN.set(120)
    #expect(source.lagBytes == 0)
  }
}
