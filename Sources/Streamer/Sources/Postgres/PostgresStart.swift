import PGWire

/// Where reading begins: what is known is compared with what the server has, at every connection,
/// and what is decided is made durable.
struct PostgresStart: Sendable {
  /// What the server is at this connection.
  struct Server {
    /// Which history it is on.
    var identity: PositionIdentity
    /// The slot.
    var slot: StartingPositions.Slot
    /// How far its WAL reaches.
    var flushLSN: LSN
    /// Where the timelines ended that led to its own.
    var history: [StartingPositions.TimelineEnd] = []
  }

  /// What was decided and is not durable yet.
  struct Decided {
    fileprivate let decision: StartingPositions.Decision
    fileprivate let identity: PositionIdentity
    fileprivate let stored: [Position]
    fileprivate let override: LSN?
    fileprivate let gap: Gap?
    /// Whether the slot has to be made first.
    var needsSlot: Bool { decision.start == .newSlot }
    /// Whether no position of the source was known.
    let isFirst: Bool
    /// Whether changes may be missing, and that was accepted.
    var isOverGap: Bool { decision.acceptedGap != nil }
  }

  /// The source's name in the configuration.
  let source: String
  /// The sinks' names, in the configuration's order.
  let sinks: [String]
  let store: any SourceStore
  let override: LSN?
  let onGap: PostgresSourceConfiguration.GapAction
  let log: Log
  /// Is told of each gap, once it is in the ledger.
  var note: @Sendable (Gap, [Gap]) -> Void = { _, _ in }
  /// Tells whoever reads the sinks of a gap that is in the ledger.
  var announce: @Sendable (Gap) throws(StreamerError) -> Void = { _ in }

  /// Decides where each sink's reading begins; `known` is nil at the process's start, when what is
  /// stored counts.
  func decide(on server: Server, known: [Position]?) throws(StreamerError) -> Decided {
    let stored = try store.load(source: source)
    var override = override
    if let value = override, try store.appliedOverride(source: source) == value { override = nil }
    var confirmed = LSN.zero
    if case .at(let lsn) = server.slot { confirmed = lsn }
    let start = StartingPositions(
      known: known ?? stored, identity: server.identity, slot: server.slot,
      serverLSN: max(server.flushLSN, confirmed), history: server.history, override: override,
      onGap: onGap)
    let gap = start.gap(sinks: sinks)
    if let gap, gap.action == .stop { recordRefused(gap) }
    return Decided(
      decision: try start.decide(sinks: sinks), identity: server.identity, stored: stored,
      override: override, gap: gap, isFirst: start.known.isEmpty)
  }

  /// The gap is the error that is told: a ledger that cannot be written must not take its place.
  func recordRefused(_ gap: Gap) {
    do throws(StreamerError) { try record(gap) } catch {
      log.limited("ledger")?.warning("a gap was not written down", ["error": "\(error)"])
    }
  }

  /// Writes a gap into the ledger, and where the sinks want it.
  private func record(_ gap: Gap) throws(StreamerError) {
    try store.record(gap)
    note(gap, try store.gaps(source: source))
    try announce(gap)
  }

  /// Makes a decision durable and gives each sink's position; `newSlot` is the consistent point of
  /// the slot that was made.
  func settle(_ decided: Decided, newSlot: LSN?) throws(StreamerError) -> [LSN] {
    if let cause = decided.decision.acceptedGap {
      log.warning("going on over a gap", ["cause": cause])
    }
    // Before the positions: nothing is passed over that the ledger does not tell of.
    if var gap = decided.gap {
      if decided.needsSlot { gap.to = newSlot }
      try record(gap)
    }
    let lsns: [LSN]
    switch decided.decision.start {
    case .positions(let positions): lsns = positions
    case .newSlot: lsns = sinks.map { _ in newSlot ?? .zero }
    }
    let positions = zip(sinks, lsns).map { decided.identity.position(sink: $0, lsn: $1) }
    let override = decided.needsSlot ? nil : decided.override
    try save(positions, instead: decided.stored, override: override)
    return lsns
  }

  /// Makes the decision durable: from here on what the slot does is compared with it.
  private func save(
    _ positions: [Position], instead stored: [Position], override: LSN?
  ) throws(StreamerError) {
    if let override {
      try store.applyOverride(override, source: source, positions: positions)
      log.info("applied walPositionOverride", ["lsn": "\(override)"])
    } else if Set(positions) != Set(stored.filter { sinks.contains($0.sink) }) {
      try store.save(positions)
    }
    // Only now: a start that was refused must not cost a sink its position.
    for position in stored where !sinks.contains(position.sink) {
      log.warning("forgetting the position of a sink that was removed", ["sink": position.sink])
      try store.forget(source: source, sink: position.sink)
    }
  }
}
