import PGWire
import Support
import Testing

@testable import Streamer

/// What a turn has made is asked for in the same turn: a row never waits for the next timer.
@Suite struct SameTurnTests {
  /// A driver from a recording to a file, whose clock stands still.
  private struct Stage {
    let driver: Driver<RecordingSource>
    let queue: SimulatedWorkQueue<Driver<RecordingSource>.Answer>
    let now = ContinuousClock.now

    init(_ recording: Fixture, to file: String) throws {
      let configuration = try Configuration.own(
        """
        [source.r]
        type = "recording"
        path = "\(recording.path)"
        [sink.out]
        type = "file"
        sources = ["r"]
        path = "\(file)"
        """)
      let source = configuration.sources[0]
      guard case .recording(let settings) = source.kind else { preconditionFailure("as above") }
      let plan = PipelineFactory.plan(
        source, sinks: configuration.sinks(of: source.name), configuration)
      let observer = PipelineObserver(
        source: source.status, sinks: [SinkStatus(name: "out", type: "file")], metrics: Metrics())
      let log = Log(level: .error, descriptor: -1)
      queue = try SimulatedWorkQueue(now: { [now] in now }, describe: { _ in "" })
      driver = try Driver(
        RecordingSource(plan, settings, observer: observer, log: log), plan, observer: observer,
        log: log, worker: queue)
    }

    /// Does what waits and lets the driver have the answer, in one turn.
    func step() throws {
      queue.run(queue.waiting)
      queue.answer(queue.done)
      #expect(try driver.poll() > 0)
      driver.turn(now: now)
    }
  }

  /// As no time passes, whatever waited for a timer would never come.
  @Test("S19 each answer of the worker leads to the next job in its own turn")
  func eachAnswerLeadsOn() throws {
    let directory = try TemporaryDirectory()
    let file = "\(directory.path)/events"
    let stage = try Stage(Fixture(scenario: "interleaved", version: 15), to: file)
    stage.driver.start(now: stage.now)
    var turns = 0
    while !stage.driver.hasEnded, turns < 1_000 {
      let waiting = stage.queue.waiting
      guard waiting > 0 else {
        Issue.record("after \(turns) turns nothing is asked for: \(stage.driver.state)")
        break
      }
      try stage.step()
      turns += 1
    }
    #expect(stage.driver.finish() == nil)
    // Attempt, look-ups, lines, closing: with so small a recording each comes a few times.
    #expect(turns >= 4)
    let text = try FileBytes.text(of: file)
    #expect(text.hasSuffix("\n") && text.split(separator: "\n").count > 1)
  }
}
