/// Watches how much log a slot keeps on the server.
///
/// It tells how fast that grows, when the server will take it away, and which step of the budget is
/// reached. Pure: the caller looks at the slot.
struct WALGuard {
  typealias Instant = ContinuousClock.Instant

  /// What the budget makes of an amount, in the order of the amounts.
  enum Step: Int, Comparable, Sendable {
    case none
    case warn
    case pauseSnapshot
    case stop
    case dropSlot

    static func < (a: Step, b: Step) -> Bool { a.rawValue < b.rawValue }
  }

  /// What one look has brought.
  struct Sight: Hashable {
    /// The step that holds now.
    var step = Step.none
    /// The step before it, where it is another one.
    var stepBefore: Step?
    /// How fast the amount grows, in bytes a second; negative while it falls, nil at the first look.
    var growth: Double?
    /// How long until the server takes away what the slot needs, in seconds; nil when it never will,
    /// or nobody knows.
    var secondsLeft: Double?
    /// That time has become short since the look before.
    var hasBecomeShort = false
  }

  private let budget: WALBudget
  private var looks: [(at: Instant, held: UInt64)] = []
  private var step = Step.none
  private var isShort = false

  /// Makes a guard that has seen nothing.
  init(_ budget: WALBudget) { self.budget = budget }

  /// The slot holds that much, and so much more is safe; `nil` where the server keeps everything.
  mutating func look(held: UInt64, safe: Int64?, now: Instant) -> Sight {
    looks.append((now, held))
    if looks.count > Limits.slotLooks { looks.removeFirst() }
    var sight = Sight(step: step(of: held))
    if sight.step != step { sight.stepBefore = step }
    step = sight.step
    let first = looks[0]
    let time = (now - first.at).inSeconds
    if time > 0 {
      let growth = (Double(held) - Double(first.held)) / time
      sight.growth = growth
      if let safe, growth > 0 { sight.secondsLeft = Double(max(safe, 0)) / growth }
    }
    let isShort = sight.secondsLeft.map { $0 < Limits.shortWALTime.inSeconds } ?? false
    sight.hasBecomeShort = isShort && !self.isShort
    self.isShort = isShort
    return sight
  }

  private func step(of held: UInt64) -> Step {
    let steps: [(ByteSize?, Step)] = [
      (budget.dropSlot, .dropSlot), (budget.stop, .stop), (budget.pauseSnapshot, .pauseSnapshot),
      (budget.warn, .warn),
    ]
    return steps.first { size, _ in size.map { held > UInt64($0.bytes) } ?? false }?.1 ?? .none
  }
}

extension Duration {
  /// The same as a number of seconds.
  var inSeconds: Double {
    Double(components.seconds) + Double(components.attoseconds) / 1e18
  }
}
