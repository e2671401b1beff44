import Testing

@testable import Streamer

/// What the shell decides between two attempts; nothing listens where it connects to.
@Suite struct PostgresPipelineTests {
  private func pipeline() throws -> PostgresPipeline {
    let configuration = try Configuration.own(
      """
      store = "unused"
      [source.db]
      type = "postgres"
      dsn = "host=127.0.0.1 port=1 user=u dbname=d"
      publication = "p"
      replicationSlot = "s"
      [sink.out]
      type = "stub_discard"
      sources = ["db"]
      """)
    let source = try #require(configuration.sources.first)
    guard case .postgres(let postgres) = source.kind else { throw StreamerError(what: "kind") }
    return try PostgresPipeline(
      PipelineFactory.plan("db", postgres, sinks: configuration.sinks, configuration),
      store: MemoryPositionStore(),
      observer: PipelineObserver(
        source: source.status, sinks: [SinkStatus(name: "out", type: "stub_discard")],
        metrics: Metrics()), log: Log(level: .error))
  }

  private func isWaiting(_ pipeline: PostgresPipeline) -> Bool {
    if case .waiting = pipeline.phase { true } else { false }
  }

  /// A position that cannot be saved, or a sink that fails, while the worker connects: a second
  /// attempt beside the first would find the slot active for ourselves.
  @Test func aFailureDuringAnAttemptBeginsNoSecondOne() throws {
    let pipeline = try pipeline()
    pipeline.establish()
    pipeline.fail(StreamerError(what: "store", why: "disk full", retryable: true), now: .now)
    #expect(pipeline.isEstablishing)
    #expect(!isWaiting(pipeline))
    pipeline.loop.worker.stop()
    pipeline.isEstablishing = false  // the attempt has been answered
    pipeline.fail(StreamerError(what: "source", why: "refused", retryable: true), now: .now)
    #expect(isWaiting(pipeline))
  }

  @Test func whatCannotBeTriedAgainEndsThePipelineAtOnce() throws {
    let pipeline = try pipeline()
    pipeline.establish()
    pipeline.fail(StreamerError(what: "sink", why: "refused", exit: .preflight), now: .now)
    pipeline.loop.worker.stop()
    guard case .ended(let error) = pipeline.phase else {
      Issue.record("the pipeline goes on")
      return
    }
    #expect(error?.exit == .preflight)
  }
}
