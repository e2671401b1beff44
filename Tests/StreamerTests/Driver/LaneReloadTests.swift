import Testing

@testable import Streamer

/// How other setups of the sinks come in.
struct LaneReloadTests {
  private static let now = ContinuousClock.now
  private static let old = [LaneSetup(routing: TopicRouting(fallback: "old"))]
  private static let new = [LaneSetup(routing: TopicRouting(fallback: "new"))]
  private static let policy = TablePolicy(sinks: [], log: Log(level: .error, descriptor: -1))

  private func error(retryable: Bool) -> StreamerError {
    StreamerError(what: "sink s", why: "no topic", retryable: retryable)
  }

  /// Asks, and answers as `result` says, with the lanes' generations before and after.
  private func answer(
    _ reload: inout LaneReload, _ result: Result<[TopicID?], StreamerError>,
    _ before: [Int] = [0], _ after: [Int] = [0]
  ) throws -> StreamerError? {
    let asked = reload.question(of: before, now: Self.now)
    let question = try #require(asked)
    return reload.answered(
      question, result, policy: Self.policy, generations: after, now: Self.now)
  }

  /// Nothing is asked for now.
  private func expectSilence(_ reload: inout LaneReload) {
    let question = reload.question(of: [0], now: Self.now)
    #expect(question == nil)
  }

  @Test func whatIsAgreedToWaitsToBeTakenOver() throws {
    var reload = LaneReload()
    #expect(!reload.isPending)
    expectSilence(&reload)
    reload.request(Self.new)
    let said1 = try answer(&reload, .success([3]))
    #expect(said1 == nil)
    #expect(reload.agreed?.setups == Self.new && reload.agreed?.messageTopics == [3])
    #expect(reload.isPending)
    expectSilence(&reload)
    reload.adopted()
    #expect(!reload.isPending && reload.agreed == nil && reload.deadline == nil)
  }

  /// An answer of a sink that is gone, or for what nobody wants any more, says nothing.
  @Test func answersThatAreOutOfDateAreAskedForAgain() throws {
    var reload = LaneReload()
    reload.request(Self.old)
    let said2 = try answer(&reload, .success([nil]), [0], [1])
    #expect(said2 == nil)
    #expect(reload.agreed == nil)
    let asked = reload.question(of: [1], now: Self.now)
    let question = try #require(asked)
    reload.request(Self.new)
    // One question at a time.
    expectSilence(&reload)
    let refusal = reload.answered(
      question, .failure(error(retryable: false)), policy: Self.policy, generations: [1],
      now: Self.now)
    #expect(refusal == nil && reload.isPending)
    let said3 = try answer(&reload, .success([nil]), [1], [1])
    #expect(said3 == nil)
    reload.interrupted()
    #expect(reload.agreed == nil)
    let said4 = try answer(&reload, .success([nil]), [1], [1])
    #expect(said4 == nil)
    #expect(reload.agreed?.setups == Self.new)
  }

  @Test func anOutageIsWaitedForAndARefusalIsFinal() throws {
    var reload = LaneReload()
    reload.request(Self.new)
    let said5 = try answer(&reload, .failure(error(retryable: true)))
    #expect(said5 == nil)
    let next = try #require(reload.deadline)
    #expect(next > Self.now)
    expectSilence(&reload)
    let asked = reload.question(of: [0], now: next)
    let question = try #require(asked)
    #expect(reload.deadline == nil)
    let refusal = error(retryable: false)
    let told = reload.answered(
      question, .failure(refusal), policy: Self.policy, generations: [0], now: next)
    #expect(told == refusal && !reload.isPending && reload.deadline == nil)
  }
}
