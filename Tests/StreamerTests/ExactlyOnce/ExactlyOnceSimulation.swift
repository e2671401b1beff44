import Support

@testable import Streamer

/// An ``ExactlyOnceWorld`` in which chance decides on what happens next.
final class ExactlyOnceSimulation {
  /// What happened in all runs.
  struct Summary {
    var runs = 0, claims = 0, crashes = 0, late = 0, cuts = 0, rows = 0
  }

  private var random: SeededRandom
  private let world: ExactlyOnceWorld
  private(set) var summary = Summary()

  init(seed: UInt64, mutation: ExactlyOnceWorld.Mutation = .none) {
    random = SeededRandom(seed: seed)
    var steps: [ExactlyOnceWorld.Step] = []
    var lsn: UInt64 = 200
    for _ in 0..<30 {
      let isLarge = Int.random(in: 0..<6, using: &random) == 0
      let events = UInt64.random(in: isLarge ? 10...60 : 0...4, using: &random)
      steps.append(ExactlyOnceWorld.Step(commitLSN: lsn, events: events))
      lsn += .random(in: 16...64, using: &random)
    }
    var rules = KafkaTransaction.Rules()
    rules.bytes = 200
    world = ExactlyOnceWorld(steps: steps, rules: rules, mutation: mutation)
  }

  private func chance(_ one: Int) -> Bool { Int.random(in: 0..<one, using: &random) == 0 }

  /// Plays so many steps, then lets everything come to rest, and judges.
  func run(steps count: Int) throws {
    for _ in 0..<count {
      world.pass(.milliseconds(Int.random(in: 0...40, using: &random)))
      try play(Int.random(in: 0...1, using: &random))
    }
    try settle()
    try world.judge()
    summary.runs = 1
    summary.claims = world.claims
    summary.cuts = world.cuts
    summary.late = world.cluster.lateCount
    summary.rows = world.cluster.committed.map(\.count).reduce(0, +)
  }

  private func play(_ process: Int) throws {
    switch Int.random(in: 0..<14, using: &random) {
    case 0, 1: try world.play(.connect, by: process)
    case 2, 3, 4: try world.play(.read(Int.random(in: 1...12, using: &random)), by: process)
    case 5, 6: try world.play(.deliver(Int.random(in: 1...30, using: &random)), by: process)
    case 7, 8: try world.play(.turn, by: process)
    case 9:
      let fate = chance(3) ? SimulatedWriter.Fate.allCases.randomElement(using: &random) : nil
      try world.play(.job(fate ?? .done), by: process)
    case 10: try world.play(.save, by: process)
    case 11 where chance(4):
      summary.crashes += 1
      try world.play(.crash, by: process)
    case 11 where chance(3): try world.play(chance(2) ? .disconnect : .forget, by: process)
    case 12 where !world.cluster.lateCommits.isEmpty && chance(3):
      world.cluster.deliverLate(Int.random(in: 0..<world.cluster.lateCommits.count, using: &random))
    default: break
    }
  }

  /// No more faults: one process reads to the end.
  private func settle() throws {
    try world.play(.crash, by: 1)
    if !world.isOwner(0) { try world.play(.disconnect, by: 0) }
    for _ in 0..<20_000 {
      world.pass(.milliseconds(20))
      for action in [.connect, .read(10), .deliver(100), .turn, .job(.done), .save]
        as [ExactlyOnceWorld.Action]
      {
        try world.play(action, by: 0)
      }
      if world.isAtRest { return }
    }
    throw ExactlyOnceWorld.Failure(description: "it did not come to rest")
  }
}
