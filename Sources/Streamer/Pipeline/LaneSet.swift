import PGWire

/// The lanes of one source: the only owner of them, in the order of the sinks in the configuration.
struct LaneSet<Position: TrackedPosition>: ~Copyable {
  private var lanes: OwnedArray<Lane<Position>>

  /// Makes each lane by its number.
  init<Failure: Error>(
    count: Int, _ make: (Int) throws(Failure) -> Lane<Position>
  ) throws(Failure) {
    lanes = try OwnedArray(count: count, make)
  }

  /// How many lanes there are.
  var count: Int { lanes.count }

  /// The lanes' numbers.
  var indices: Range<Int> { 0..<lanes.count }

  /// A lane by its number.
  subscript(index: Int) -> Lane<Position> {
    @inline(__always) _read { yield lanes[index] }
    @inline(__always) _modify { yield &lanes[index] }
  }

  /// Bytes of records that are not yet durable, over all lanes.
  var inFlightBytes: Int {
    var sum = 0
    for index in indices { sum &+= lanes[index].inFlightBytes }
    return sum
  }

  /// Whether a sink has been given something that is not durable yet.
  var isUndelivered: Bool {
    for index in indices where lanes[index].isUndelivered { return true }
    return false
  }

  /// Whether so much has gathered for a sink that takes nothing for now that reading had better wait,
  /// or so many records wait for their topics.
  ///
  /// Gathered further, the memory of a batch would grow to the whole budget, and twice that.
  var isHeldUp: Bool {
    for index in indices where lanes[index].batch.bytes.count >= lanes[index].gatheringLimit {
      return true
    }
    return false
  }

  /// Whether every sink has delivered the existing rows that were read last.
  var haveDeliveredRound: Bool {
    for index in indices where !lanes[index].hasDeliveredRound { return false }
    return true
  }

  /// Whether a sink was replaced that had not delivered them.
  var haveLostRound: Bool {
    for index in indices where lanes[index].roundTicket == nil { return true }
    return false
  }

  /// Whether everything that was taken is delivered.
  var isIdle: Bool {
    for index in indices where !lanes[index].isIdle { return false }
    return true
  }

  /// Whether every sink has delivered all that it was given and can take.
  var isDrained: Bool {
    for index in indices where !lanes[index].isDrained { return false }
    return true
  }

  /// Whether all sinks are open.
  var isOpen: Bool {
    for index in indices where !lanes[index].isOpen { return false }
    return true
  }

  /// Whether a transaction may begin in every lane.
  var canBegin: Bool {
    for index in indices where !lanes[index].canBegin { return false }
    return true
  }

  /// Whether a transaction has begun in a lane and has not been committed.
  var hasOpenTransaction: Bool {
    for index in indices where lanes[index].hasOpenTransaction { return true }
    return false
  }

  /// The transaction that holds back the first lane that waits for one; nil when none does.
  var oldest: (ticket: UInt64, commitTime: Int64?)? {
    for index in indices { if let oldest = lanes[index].oldest { return oldest } }
    return nil
  }

  /// The lanes' sinks.
  var sinks: [any Sink] {
    var sinks: [any Sink] = []
    for index in indices { sinks.append(lanes[index].sink) }
    return sinks
  }

  /// What each lane has confirmed of its first strand.
  var confirmed: [Position] {
    var positions: [Position] = []
    for index in indices { positions.append(lanes[index].confirmed) }
    return positions
  }

  /// The least of ``confirmed``: where reading has to begin.
  var leastConfirmed: Position { confirmed.min() ?? .zero }

  /// Whether some sink keeps its position itself.
  var keepPositions: Bool {
    for index in indices where lanes[index].keeper != nil { return true }
    return false
  }

  /// Sinks that keep their positions are told nothing of them, or may be told again.
  mutating func holdPositions(_ isHeld: Bool) {
    for index in indices { lanes[index].isPositionHeld = isHeld }
  }

  /// Hands to the sinks what has gathered.
  mutating func flush() { for index in indices { lanes[index].flush() } }
}
