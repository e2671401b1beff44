import PGWire

/// Where reading begins.
extension PostgresSession {
  /// Decides where reading begins, and makes the slot when it is missing and may be made.
  func begin(
    _ plain: inout Connection, _ replication: inout Connection, _ server: ServerFacts,
    _ system: SystemIdentification, _ identity: PositionIdentity, _ attempt: PostgresAttempt
  ) throws(StreamerError) -> Begun {
    let slot = try findSlot(&plain, &replication, server, database: identity.database)
    var claims = try attempt.claim()
    if claims.isEmpty { claims = sinks.map { _ in nil } }
    let known = try known(attempt.known, claims)
    let start = start(isFirst: attempt.known == nil)
    if case .missing = slot { try awaitSlot(server, identity, known) } else { failover = nil }
    let decided = try start.decide(
      on: PostgresStart.Server(
        identity: identity, slot: slot, flushLSN: system.flushLSN,
        history: try history(&replication, system.timeline)), known: known)
    if case .lost = slot, decided.needsSlot, source.createSlot { try dropLost(&plain) }
    let copy = try copyAtStart(
      &plain, server, identity.origin,
      CopyReason(
        isFirstStart: decided.isFirst, isOverGap: decided.isOverGap,
        isFirstConnection: attempt.known == nil, repairsGap: source.onGap == .snapshot,
        isSlotNew: decided.needsSlot), claims)
    let point = decided.needsSlot ? try createSlot(&replication, server, &plain) : nil
    let positions = try start.settle(decided, newSlot: point)
    for index in claims.indices {
      let kept = claims[index]?.kept
      claims[index]?.cut = try cut(kept, at: positions[index])
    }
    return Begun(positions: positions, claims: claims, copy: copy)
  }

  /// Where reading begins, and what with.
  struct Begun {
    /// Each sink's position.
    var positions: [LSN]
    /// What the sinks that keep their position themselves have said.
    var claims: [SinkClaim?]
    /// The existing rows that are to be copied.
    var copy: CopyAtStart
  }

  /// What is known of each sink: where it keeps its position itself, what it says counts.
  private func known(
    _ known: [Position]?, _ claims: [SinkClaim?]
  ) throws(StreamerError) -> [Position]? {
    let kept = claims.compactMap { $0?.kept?.position }
    guard !kept.isEmpty else { return known }
    let others = if let known { known } else { try store.load(source: name) }
    return others.filter { other in !kept.contains { $0.sink == other.sink } } + kept
  }

  /// Where reading goes on inside a transaction when it begins at `position`; throws when its events
  /// would be counted otherwise now.
  private func cut(
    _ kept: KeptPosition?, at position: LSN
  ) throws(StreamerError) -> ReadPlace.Cut? {
    guard let kept, let cut = kept.cut, kept.position.lsn == position else { return nil }
    guard kept.options == source.output.ordinals else {
      throw StreamerError(
        what: "source \(name)",
        why: "sink \(kept.position.sink) stands inside the transaction at \(cut.commitLSN), which "
          + "was read with other options of the stream (\(kept.options))",
        hint: "Run once with the options as they were, until that transaction is through.",
        exit: .preflight)
    }
    return cut
  }

  /// What compares positions with the server.
  func start(isFirst: Bool) -> PostgresStart {
    var start = PostgresStart(
      source: name, sinks: sinks, store: store, override: source.walPositionOverride,
      onGap: source.acceptsFirstGap && isFirst ? .accept : source.onGap, log: log)
    start.note = note
    start.announce = announce
    return start
  }

  /// Where the timelines that led to the server's own have ended.
  private func history(
    _ replication: inout Connection, _ timeline: UInt32
  ) throws(StreamerError) -> [StartingPositions.TimelineEnd] {
    guard timeline > 1 else { return [] }
    let row = try ask(&replication, "TIMELINE_HISTORY \(timeline)").first ?? []
    guard row.count > 1, let content = row[1] else { return [] }
    return StartingPositions.TimelineEnd.all(inHistory: content)
  }
}
