import PGWire
import Support

@testable import Streamer

/// What can happen at a step of the simulation.
extension DriverSimulation {
  /// The kinds of steps; the seed decides how often each happens.
  enum Step: CaseIterable {
    case feed, work, answer, deliver, show, wait, waitLong
    case cut, silence, failSink, failJob, refuseToOpen, unreachable, slotActive, failLookUps
    case storeFull, loseHeartbeats, advanceSlot, hang, mend, crash, stop, reload, refuseTopics

    /// Whether it is the ordinary course of things.
    var isOrdinary: Bool {
      switch self {
      case .feed, .work, .answer, .deliver, .show, .wait, .mend: true
      default: false
      }
    }

    /// Whether it takes more than one step to be met: something has to ask, in time.
    var isRare: Bool { self == .slotActive || self == .reload || self == .refuseTopics }
  }

  /// Runs `steps` random steps, then lets everything come to rest; throws the first broken rule.
  func run(steps: Int) throws {
    let schedule = schedule()
    for _ in 0..<steps where !isOver { try step(of: schedule) }
    mend()
    try settle()
  }

  /// The steps that this run takes, each as often as it is likely.
  func schedule() -> [Step] {
    var schedule: [Step] = []
    for step in Step.allCases {
      // Some kinds of steps are rare or missing in one run and frequent in another.
      let weights = step.isOrdinary ? [10, 20, 40, 80] : [0, 0, 0, 1, 1, step.isRare ? 6 : 2]
      let weight = weights.randomElement(using: &random) ?? 1
      schedule += Array(repeating: step, count: weight)
    }
    return schedule
  }

  /// Takes one step, and lets a little time pass.
  func step(of schedule: [Step]) throws {
    guard let step = schedule.randomElement(using: &random) else { return }
    trace("\(step)")
    if !step.isOrdinary { summary.fates.count("\(step)", "in \(stateName)") }
    try take(step)
    guard !isOver else { return }
    try advance(.milliseconds(Int.random(in: 0...20, using: &random)))
  }

  private func take(_ step: Step) throws {
    switch step {
    case .feed:
      let sizes = [1, 7, 50, 300, 2_000]
      let limit = sizes.randomElement(using: &random) ?? 1
      if !isSilent { session.pump(Int.random(in: 1...limit, using: &random)) }
    case .work:
      if hangsUntil == nil { queue.run(Int.random(in: 1...4, using: &random)) }
    case .answer: queue.answer(Int.random(in: 1...4, using: &random))
    case .deliver: for sink in sinks.current { sink.deliver(using: &random) }
    case .show: session.visibility?.show(using: &random)
    case .wait: try advance(.milliseconds(Int.random(in: 1...2_000, using: &random)))
    case .waitLong: try advance(.seconds(Int.random(in: 5...50, using: &random)))
    case .mend: mend()
    case .crash: try crash()
    case .stop: requestStop()
    case .reload: reload()
    default: fault(step)
    }
  }

  private func fault(_ step: Step) {
    let lane = Int.random(in: 0..<2, using: &random)
    // What only an attempt to connect can meet would be mended before the next one.
    let isNoticed = Bool.random(using: &random)
    switch step {
    case .cut: session.cut()
    case .silence:
      isSilent = true
      summary.silences += 1
    case .failSink: sinks.current[lane].fail(using: &random)
    case .failJob:
      sinks.current[1].faults.failsNextJob = true
      sinks.current[1].faults.writesAllTheSame = Bool.random(using: &random)
    case .refuseToOpen: sinks.refusesToOpen[lane] = true
    case .unreachable:
      session.faults.isUnreachable = true
      if isNoticed { session.cut() }
    case .slotActive:
      session.faults.isSlotActive = true
      if isNoticed { session.cut() }
    case .failLookUps: session.faults.failsLookUps = true
    case .storeFull:
      session.faults.isStoreFull = true
      session.faults.savesAllTheSame = Bool.random(using: &random)
    case .loseHeartbeats: session.faults.losesHeartbeats = true
    case .advanceSlot:
      if let entry = history.entries.randomElement(using: &random) {
        session.advanceSlot(to: entry.endLSN)
      }
    case .refuseTopics:
      sinks.refusesTopics = StreamerError(
        what: "sink", why: "there is no such topic", exit: .preflight, retryable: isNoticed,
        cause: isNoticed ? .other : .topicMissing)
    case .hang: hangsUntil = now + .seconds(Int.random(in: 1...20, using: &random))
    default: break
    }
  }

  /// Whatever was wrong is right again.
  func mend() {
    session.faults = SimulatedSession.Faults()
    sinks.refusesToOpen = [false, false]
    sinks.refusesTopics = nil
    isSilent = false
    hangsUntil = nil
  }

  /// A heartbeat that does not come back is waited for as long as the connection stands, and told; the
  /// others come back.
  func checkHeartbeat() throws {
    guard case .streaming = driver.state, session.lostHeartbeat == session.connections,
      session.connections > 0, driver.source.stream != nil, queue.waiting + queue.done == 0
    else {
      lostHeartbeat = nil
      return
    }
    if lostHeartbeat?.connection != session.connections {
      lostHeartbeat = (session.connections, now)
      summary.lostHeartbeats += 1
    }
    guard let since = lostHeartbeat?.since, now > since + .seconds(1) else { return }
    guard session.status.heartbeatAwaitedSince != nil else {
      throw Violation("a heartbeat that does not come back is not told")
    }
  }
}
