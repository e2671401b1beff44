@testable import Streamer

/// Every way in which a small ``ExactlyOnceWorld`` can go wrong, up to a number of faults.
///
/// Left alone, one process does everything in turn until all is confirmed. A fault comes before one of
/// its actions, or in place of it. All worlds with no fault are played, then all with one, and so on:
/// each is played to its end, and what else could have happened after its last fault makes those with
/// one more. A world that comes to where another one has been with no more faults ends there.
struct ExactlyOnceExploration {
  /// What departs from what one process does in turn.
  enum Fault: Hashable {
    /// The process is lost, and starts again.
    case crash
    /// The process is lost, and the other one takes over.
    case crashAndTakeOver
    /// The connection is lost.
    case disconnect
    /// The server has forgotten the process, which goes on until it is told, and the other one takes over.
    case takeOver
    /// The commit goes wrong.
    case commit(SimulatedWriter.Fate)
    /// A commit arrives that was under way.
    case late(Int)
    /// The process of which the server knows nothing any more does something.
    case forgotten(ExactlyOnceWorld.Action)
  }

  /// A fault, and the number of the action before which it comes.
  struct Place: Hashable {
    var action: Int
    var fault: Fault
  }

  /// What was played.
  struct Summary {
    /// Worlds by their number of faults.
    var worlds: [Int] = []
    /// Actions before which no other world stood as this one did.
    var places = 0
    /// Commits that ended a transaction that was not theirs.
    var late = 0
    var cuts = 0
  }

  /// A world that ended as it must not.
  struct Failure: Error, CustomStringConvertible {
    var faults: [Place]
    var what: String
    var description: String {
      (faults.map { "\($0.fault) before action \($0.action)" } + [what]).joined(separator: "; ")
    }
  }

  /// A transaction of two rows, one that is cut, and an empty one.
  private static let steps = [
    ExactlyOnceWorld.Step(commitLSN: 200, events: 2),
    ExactlyOnceWorld.Step(commitLSN: 220, events: 4),
    ExactlyOnceWorld.Step(commitLSN: 240, events: 0),
  ]
  private static let turn: [ExactlyOnceWorld.Action] = [
    .connect, .read(3), .deliver(2), .turn, .job(.done), .save,
  ]
  private static let pause = Duration.milliseconds(20)
  /// More actions than any world needs.
  private static let most = 1_000

  private static var rules: KafkaTransaction.Rules {
    var rules = KafkaTransaction.Rules()
    rules.bytes = 12
    rules.idleInterval = pause * 8
    return rules
  }

  private let mutation: ExactlyOnceWorld.Mutation
  private(set) var summary = Summary()
  private var seen: Set<Stand> = []

  /// Where a world stands between two actions.
  private struct Stand: Hashable {
    var state: ExactlyOnceWorld.State
    var active: Int
    var turn: Int
  }

  init(mutation: ExactlyOnceWorld.Mutation = .none) { self.mutation = mutation }

  /// Plays all worlds of that many faults and fewer.
  mutating func run(faults: Int) throws {
    defer { summary.places = seen.count }
    var worlds: [[Place]] = [[]]
    for count in 0...faults {
      summary.worlds.append(worlds.count)
      var next: [[Place]] = []
      for world in worlds {
        let more = try play(world)
        if count < faults { next += more.map { world + [$0] } }
      }
      worlds = next
    }
  }

  /// Plays one, and tells what else could have happened in it after its last fault.
  private mutating func play(_ faults: [Place]) throws -> [Place] {
    let world = ExactlyOnceWorld(steps: Self.steps, rules: Self.rules, mutation: mutation)
    var more: [Place] = []
    var ahead = faults[...]
    var number = 0
    var stand = (active: 0, turn: 0)
    do {
      while !world.isAtRest {
        var action = Self.turn[stand.turn]
        while let place = ahead.first, place.action == number {
          ahead.removeFirst()
          try strike(place.fault, world, &stand, &action)
        }
        if ahead.isEmpty, action == Self.turn[stand.turn] {
          let here = Stand(state: world.state, active: stand.active, turn: stand.turn)
          guard seen.insert(here).inserted else { return more }
          more += possible(world, stand.active, action).map { Place(action: number, fault: $0) }
        }
        world.pass(Self.pause)
        if action == .connect, !world.isOwner(stand.active) {
          try world.play(.disconnect, by: stand.active)
        }
        try world.play(action, by: stand.active)
        number += 1
        stand.turn = (stand.turn + 1) % Self.turn.count
        guard number < Self.most else {
          throw ExactlyOnceWorld.Failure(description: "it does not come to rest")
        }
      }
      try world.judge()
    } catch { throw Failure(faults: faults, what: "\(error)") }
    summary.cuts += world.cuts
    return more
  }

  private mutating func strike(
    _ fault: Fault, _ world: ExactlyOnceWorld, _ stand: inout (active: Int, turn: Int),
    _ action: inout ExactlyOnceWorld.Action
  ) throws {
    switch fault {
    case .crash: try world.play(.crash, by: stand.active)
    case .disconnect: try world.play(.disconnect, by: stand.active)
    case .crashAndTakeOver:
      try world.play(.crash, by: stand.active)
      stand.active = 1 - stand.active
    case .takeOver:
      try world.play(.forget, by: stand.active)
      stand.active = 1 - stand.active
    case .commit(let fate): return action = .job(fate)
    case .late(let index):
      let before = world.cluster.lateCount
      world.cluster.deliverLate(index)
      summary.late += world.cluster.lateCount - before
      return
    case .forgotten(let action): return try world.play(action, by: 1 - stand.active)
    }
    stand.turn = 0
    action = Self.turn[0]
  }

  private func possible(
    _ world: ExactlyOnceWorld, _ active: Int, _ action: ExactlyOnceWorld.Action
  ) -> [Fault] {
    var faults: [Fault] = []
    if world.isReading(active) {
      faults += [.crash, .crashAndTakeOver, .disconnect, .takeOver]
    }
    if action == .job(.done), world.hasJob(active) {
      faults += SimulatedWriter.Fate.allCases.filter { $0 != .done }.map { .commit($0) }
    }
    faults += world.cluster.lateCommits.indices.filter {
      world.cluster.lateCommits[$0] == world.cluster.epoch
    }.map { .late($0) }
    if world.isReading(1 - active) {
      faults += [.read(3), .deliver(2), .turn, .save].map { .forgotten($0) }
      if world.hasJob(1 - active) { faults.append(.forgotten(.job(.done))) }
    }
    return faults
  }
}
