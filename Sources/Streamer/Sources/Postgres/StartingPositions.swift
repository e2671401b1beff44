import PGWire

/// Decides where each sink's reading begins: from what is stored, what the server says, and what
/// the configuration allows when the two do not fit.
///
/// Pure: the caller asks store and server, and stores what is decided.
struct StartingPositions {
  /// The stored positions of the source's sinks.
  var stored: [Position]
  /// What the server is now.
  var identity: PositionIdentity
  /// The position everything before which the slot has forgotten; nil for a slot just created or
  /// missing.
  var slotConfirmed: LSN
  /// How far the server's WAL reaches.
  var serverLSN: LSN
  /// The point where the current timeline began; nil when it is the first.
  var timelineSwitch: (from: UInt32, at: LSN)?
  /// `walPositionOverride`, when it has not been applied yet.
  var override: LSN?
  /// What to do over a gap.
  var onGap: PostgresSourceConfiguration.GapAction

  /// What was decided.
  struct Decision: Equatable {
    /// One position for each sink, in their order.
    var positions: [LSN]
    /// Why changes may be missing, where a gap was accepted.
    var acceptedGap: String?
  }

  /// One position for each of `sinks`; throws over a gap that may not be accepted.
  func decide(sinks: [String]) throws(StreamerError) -> Decision {
    if let override {
      guard override >= slotConfirmed, override <= serverLSN else {
        throw StreamerError(
          what: "walPositionOverride",
          why: "\(override) lies outside \(slotConfirmed) (the slot) … \(serverLSN) (the server)",
          hint: "Choose a position in between; walRetain keeps older WAL for rewinds.",
          exit: .preflight)
      }
      return Decision(positions: sinks.map { _ in override })
    }
    let known = stored.filter { sinks.contains($0.sink) }
    if let cause = known.lazy.compactMap(gap).first {
      guard onGap == .accept else {
        throw StreamerError(
          what: "slot \(identity.slot)", why: "changes may be missing: \(cause)",
          hint: "Set onGap = \"accept\" to go on at \(slotConfirmed), or name a position with "
            + "walPositionOverride.", exit: .preflight)
      }
      return Decision(positions: sinks.map { _ in slotConfirmed }, acceptedGap: cause)
    }
    // A new sink begins where the one furthest behind stands.
    let least = known.map(\.lsn).min() ?? slotConfirmed
    let positions = sinks.map { sink in known.first { $0.sink == sink }?.lsn ?? least }
    return Decision(positions: positions)
  }

  /// Why changes may be missing after a stored position; nil when none can be.
  private func gap(_ position: Position) -> String? {
    if position.systemIdentifier != identity.systemIdentifier {
      return "the position belongs to cluster \(position.systemIdentifier), "
        + "this is \(identity.systemIdentifier)"
    }
    if position.database != identity.database {
      return "the position belongs to database \(position.database)"
    }
    if position.slot != identity.slot { return "the position belongs to slot \(position.slot)" }
    if position.publications != identity.publications {
      return "the position belongs to publication \(position.publications.joined(separator: ", "))"
    }
    if position.timeline != identity.timeline {
      guard let timelineSwitch, timelineSwitch.from == position.timeline,
        position.lsn <= timelineSwitch.at
      else {
        return "the position \(position.lsn) lies on timeline \(position.timeline), "
          + "which the server left before it"
      }
    }
    if position.lsn < slotConfirmed {
      return "the slot was moved to \(slotConfirmed), past the stored \(position.lsn)"
    }
    if position.lsn > serverLSN {
      return "the stored position \(position.lsn) lies beyond the server's \(serverLSN)"
    }
    return nil
  }
}

/// Which server history positions belong to.
struct PositionIdentity: Hashable, Sendable {
  var source: String
  var systemIdentifier: String
  var timeline: UInt32
  var database: String
  var slot: String
  var publications: [String]

  /// The database that it is the history of.
  var origin: SourceOrigin {
    SourceOrigin(source: source, systemIdentifier: systemIdentifier, database: database)
  }

  /// The position of a sink in this history.
  func position(sink: String, lsn: LSN) -> Position {
    Position(
      source: source, sink: sink, systemIdentifier: systemIdentifier, timeline: timeline,
      database: database, slot: slot, publications: publications, lsn: lsn)
  }
}
