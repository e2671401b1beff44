import Testing

@testable import Streamer

@Suite("Readiness")
struct ReadinessTests {
  private let pipelines = FakePipelines()
  // A little later than what is made here, which knows no earlier time.
  private let start = ContinuousClock.now + .seconds(1)

  private func reasons(after seconds: Int = 0, readyWhenStandby: Bool = false) -> [String] {
    Readiness(
      sources: pipelines.sources, sinks: pipelines.sinks,
      now: start.advanced(by: .seconds(seconds)), readyWhenStandby: readyWhenStandby
    ).reasons
  }

  @Test("every state of a source", arguments: PipelineState.allCases)
  func states(_ state: PipelineState) {
    pipelines.enterStreaming()
    pipelines.sources[0].enter(state)
    let isReady = [.streaming, .backpressured, .snapshot].contains(state)
    #expect(reasons() == (isReady ? [] : ["source \"db\" is \(state.rawValue)"]))
    let isReadyToo = isReady || state == .standby
    #expect(reasons(readyWhenStandby: true).isEmpty == isReadyToo)
  }

  @Test("A14 a source whose position cannot be saved is not ready")
  func unsaved() {
    pipelines.enterStreaming()
    pipelines.sources[0].cannotSave = true
    #expect(reasons() == ["source \"db\" cannot save its position"])
    pipelines.sources[0].cannotSave = false
    #expect(reasons() == [])
  }

  @Test("a sink in trouble is not ready")
  func sink() {
    pipelines.enterStreaming()
    pipelines.lane.enter(.retrying)
    #expect(reasons() == ["sink \"out\" is retrying"])
  }

  @Test("S6 a server that was heard within 40 s is alive, however little it had to say")
  func heard() {
    let source = pipelines.sources[0]
    pipelines.enterStreaming()
    source.heard(at: start)
    #expect(reasons(after: 40) == [])
    #expect(reasons(after: 42) == ["source \"db\" has not heard the server for 42 s"])
    // A pipeline that does not read on purpose says the same as one that has heard something.
    source.enter(.backpressured)
    source.heard(at: start.advanced(by: .seconds(30)))
    #expect(reasons(after: 70) == [])
    // Existing rows are read beside the stream: that is heard all the same.
    source.enter(.snapshot)
    #expect(reasons(after: 70) == [])
    #expect(reasons(after: 100) == ["source \"db\" has not heard the server for 70 s"])
  }

  @Test("a heartbeat that does not come back is not ready, one that nothing is known of is")
  func heartbeat() {
    let source = pipelines.sources[0]
    pipelines.enterStreaming()
    source.heard(at: start.advanced(by: .seconds(40)))
    source.heartbeatAwaited(start)
    #expect(reasons(after: 30) == [])
    #expect(
      reasons(after: 32) == [
        "source \"db\" waits for its heartbeat, and nothing has moved for 32 s"
      ])
    source.heartbeatAwaited(nil)
    #expect(reasons(after: 32) == [])
  }

  @Test("a stream from which nothing has come yet is not ready")
  func unheard() {
    pipelines.lane.enter(.streaming)
    pipelines.sources[0].enter(.streaming)
    #expect(reasons() == ["source \"db\" has not heard the server yet"])
  }

  @Test("S12 records that wait without any being delivered, in any sink, count")
  func waiting() {
    pipelines.enterStreaming()
    let other = pipelines.sinks[0].lane(of: "other")
    other.enter(.streaming)
    pipelines.sources[0].enter(.backpressured)
    pipelines.sources[0].heard(at: start.advanced(by: .seconds(30)))
    other.wait(since: start)
    pipelines.lane.wait(since: start.advanced(by: .seconds(25)))
    #expect(reasons(after: 30) == [])
    #expect(
      reasons(after: 40) == [
        "sink \"out\" has delivered nothing of source \"other\" for 40 s, although records wait"
      ])
    other.wait(since: nil)
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

  @Test("S12 the lag is from the server's own end to what is saved, and never negative")
  func lag() {
    let source = pipelines.sources[0]
    source.serverLSN.set(100)
    #expect(source.lagBytes == 0)
    source.confirmedLSN.set(60)
    #expect(source.lagBytes == 40)
    source.savedLSN.set(50)
    #expect(source.lagBytes == 50)
    source.receivedLSN.set(110)
    #expect(source.lagBytes == 60)
    source.savedLSN.set(120)
    #expect(source.lagBytes == 0)
  }
}
