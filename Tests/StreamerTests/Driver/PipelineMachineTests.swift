import Support
import Testing

@testable import Streamer

/// What the machine decides, state by state.
@Suite struct PipelineMachineTests {
  private let now = ContinuousClock.now
  private let lost = StreamerError(what: "source", why: "lost", retryable: true)
  private let active = StreamerError(
    what: "slot", why: "active", retryable: true, cause: .slotActive)
  private let refused = StreamerError(what: "source", why: "refused", exit: .preflight)

  private func started(
    _ rules: PipelineMachine.Rules = PipelineMachine.Rules()
  ) -> PipelineMachine {
    var machine = PipelineMachine(rules, random: SeededRandom(seed: 1))
    _ = machine.start(now: now)
    return machine
  }

  private func isWaiting(_ machine: borrowing PipelineMachine) -> Bool {
    if case .waiting = machine.state { true } else { false }
  }

  private func isDraining(_ machine: borrowing PipelineMachine) -> Bool {
    if case .draining = machine.state { true } else { false }
  }

  @Test func aFailureDuringAnAttemptBeginsNoSecondOne() {
    var machine = started()
    let action = machine.failed(lost, now: now)
    #expect(action == .disconnect)
    let isEstablishing = if case .establishing = machine.state { true } else { false }
    #expect(isEstablishing, "the attempt's answer decides")
    let discarded = machine.established(isComplete: false)
    #expect(discarded == .discard)
    let again = machine.discarded()
    #expect(again == .establish)
  }

  @Test func whatCannotBeTriedAgainEndsThePipeline() {
    var machine = started()
    _ = machine.refused(refused, now: now)
    let closing = machine.tick(PipelineMachine.Rest(), now: now)
    guard case .close = closing else {
      Issue.record("it goes on: \(closing)")
      return
    }
    machine.closed()
    guard case .ended(let error) = machine.state else {
      Issue.record("it has not ended")
      return
    }
    #expect(error?.exit == .preflight)
  }

  /// What makes no sense is somebody else at the start, and later a network that has changed it.
  @Test func whatIsGarbledEndsAStartAndIsTriedAgainLater() {
    let garbled = StreamerError(what: "TLS", why: "bad", exit: .preflight, cause: .garbled)
    var machine = started()
    _ = machine.refused(garbled, now: now)
    let ends = isDraining(machine)
    #expect(ends)
    machine = started()
    _ = machine.established(isComplete: true)
    _ = machine.failed(lost, now: now)
    _ = machine.tick(PipelineMachine.Rest(), now: now + .seconds(60))
    _ = machine.refused(garbled, now: now + .seconds(60))
    let isTriedAgain = isWaiting(machine)
    #expect(isTriedAgain)
  }

  @Test func aStandbyWaitsForEver() {
    var machine = started(PipelineMachine.Rules(startTimeout: .seconds(10)))
    _ = machine.refused(active, now: now)
    var time = now
    // The server restarts meanwhile, long after startTimeout.
    for error in [active, lost, lost, active] {
      time += .seconds(600)
      let action = machine.tick(PipelineMachine.Rest(), now: time)
      #expect(action == .establish)
      let state = machine.publicState
      #expect(state == .standby)
      _ = machine.refused(error, now: time)
    }
    let draining = isDraining(machine)
    #expect(!draining)
  }

  @Test func aFailoverIsWaitedForBeyondTheStart() {
    let failover = StreamerError(
      what: "source", why: "in recovery", retryable: true, cause: .failover)
    var machine = started(PipelineMachine.Rules(startTimeout: .seconds(10)))
    _ = machine.refused(failover, now: now + .seconds(600))
    let waits = isWaiting(machine)
    #expect(waits)
    let state = machine.publicState
    #expect(state == .retrying)
    _ = machine.tick(PipelineMachine.Rest(), now: now + .seconds(700))
    _ = machine.refused(lost, now: now + .seconds(700))
    let drains = isDraining(machine)
    #expect(drains, "anything else is too late")
  }

  @Test func withoutAStandbyTheStartTimeoutHolds() {
    var machine = started(PipelineMachine.Rules(startTimeout: .seconds(10)))
    _ = machine.refused(lost, now: now + .seconds(9))
    let waits = isWaiting(machine)
    #expect(waits)
    _ = machine.tick(PipelineMachine.Rest(), now: now + .seconds(20))
    _ = machine.refused(lost, now: now + .seconds(20))
    let drains = isDraining(machine)
    #expect(drains)
  }

  @Test func aStopEndsAtItsDeadlineWhateverIsLeft() {
    var machine = started(PipelineMachine.Rules(shutdownTimeout: .seconds(5)))
    _ = machine.established(isComplete: true)
    machine.stopRequested(now: now)
    let rest = PipelineMachine.Rest(isInTransaction: true, isUndelivered: true, isUnsaved: true)
    let early = machine.tick(rest, now: now + .seconds(4))
    #expect(early == .none)
    let late = machine.tick(rest, now: now + .seconds(5))
    #expect(late == .close(within: .zero))
  }

  @Test func anEndByItselfWaitsForWhatIsDelivered() {
    var machine = started()
    _ = machine.established(isComplete: true)
    _ = machine.failed(refused, now: now)
    let unsaved = machine.tick(PipelineMachine.Rest(isUnsaved: true), now: now + .seconds(1))
    #expect(unsaved == .none)
    let saved = machine.tick(PipelineMachine.Rest(), now: now + .seconds(1))
    #expect(saved != .none)
  }

  @Test func anInputAtItsEndIsReadAgainForASinkThatFails() {
    var machine = started()
    _ = machine.established(isComplete: true)
    machine.exhausted()
    _ = machine.failed(lost, now: now)
    let waits = isWaiting(machine)
    #expect(waits)
  }
}
