import PGWire

/// Decides where each sink's reading begins: from the positions that are known, what the server
/// says, and what the configuration allows when the two do not fit.
///
/// It decides at every connection, the first as well as one after a loss: while nobody was connected
/// the slot may have been moved, dropped, or made again. Pure: the caller asks store and server, and
/// does what is decided.
struct StartingPositions {
  /// Where a timeline ended that the server has left.
  struct TimelineEnd: Hashable {
    /// Its number.
    var timeline: UInt32
    /// The first position that does not lie on it.
    var end: LSN
  }

  /// The slot as the server has it.
  enum Slot: Hashable {
    /// It has forgotten everything before that position.
    case at(LSN)
    /// There is none of that name.
    case missing
    /// The server has invalidated it; why, and how the next is kept from the same end.
    case lost(SlotRefusal)
  }

  /// The positions of the source's sinks: those of this process, or at its start the stored ones.
  var known: [Position]
  /// What the server is now.
  var identity: PositionIdentity
  /// The slot.
  var slot: Slot
  /// How far the server's WAL reaches.
  var serverLSN: LSN
  /// The timelines that led to the server's own, as its history file has them.
  var history: [TimelineEnd] = []
  /// `walPositionOverride`, when it has not been applied yet.
  var override: LSN?
  /// What to do over a gap.
  var onGap: PostgresSourceConfiguration.GapAction

  /// What was decided.
  struct Decision: Hashable {
    /// Where reading begins.
    enum Start: Hashable {
      /// One position for each sink, in their order.
      case positions([LSN])
      /// Where the slot stands once it has been made.
      case newSlot
    }

    /// Where reading begins.
    var start: Start
    /// Why changes may be missing, where a gap was accepted.
    var acceptedGap: String?
  }

  /// Why changes may be missing.
  struct Cause: Hashable {
    var kind: Gap.Kind
    /// In words.
    var text: String
  }

  /// The gap between what is known of `sinks` and what the server has, as the ledger has it; nil when
  /// there is none, or `walPositionOverride` leaves the decision to a person.
  func gap(sinks: [String]) -> Gap? {
    let known = known.filter { sinks.contains($0.sink) }
    guard let cause = cause(of: known), let least = known.map(\.lsn).min() else { return nil }
    var next: LSN?
    if case .at(let lsn) = slot { next = lsn }
    return Gap(
      source: identity.source, from: least, to: next, kind: cause.kind, cause: cause.text,
      action: onGap == .stop ? .stop : .accept)
  }

  private func cause(of known: [Position]) -> Cause? {
    guard let least = known.map(\.lsn).min() else { return nil }
    switch slot {
    case .at(let slot):
      guard override == nil else { return nil }
      return known.lazy.compactMap { self.cause(of: $0, slot) }.first
    case .missing:
      return known.lazy.compactMap(foreignness).first
        ?? Cause(
          kind: .slotMissing, text: "the slot is gone although the position \(least) is known")
    case .lost(let refusal):
      return known.lazy.compactMap(foreignness).first
        ?? Cause(kind: .slotInvalidated, text: "the slot \(refusal.why)")
    }
  }

  /// Where each of `sinks` begins; throws over a gap that may not be accepted.
  func decide(sinks: [String]) throws(StreamerError) -> Decision {
    let known = known.filter { sinks.contains($0.sink) }
    guard case .at(let slot) = slot else {
      if case .lost(let refusal) = slot, onGap == .stop { throw lost(refusal, known) }
      guard let cause = cause(of: known)?.text else { return Decision(start: .newSlot) }
      return try gap(cause, over: .newSlot, "to create it anew and go on from now")
    }
    if let override {
      guard override >= slot, override <= serverLSN else {
        throw StreamerError(
          what: "walPositionOverride",
          why: "\(override) lies outside \(slot) (the slot) … \(serverLSN) (the server)",
          hint: "Choose a position in between; walRetain keeps older WAL for rewinds.",
          exit: .preflight)
      }
      return Decision(start: .positions(sinks.map { _ in override }))
    }
    if let cause = cause(of: known) {
      return try gap(
        cause.text, over: .positions(sinks.map { _ in slot }),
        "to go on at \(slot), or name a position with walPositionOverride")
    }
    // A new sink begins where the one furthest behind stands.
    let least = known.map(\.lsn).min() ?? slot
    let positions = sinks.map { sink in known.first { $0.sink == sink }?.lsn ?? least }
    return Decision(start: .positions(positions))
  }

  /// The error over a slot that the server has invalidated.
  private func lost(_ refusal: SlotRefusal, _ known: [Position]) -> StreamerError {
    let missing = known.isEmpty ? "" : "changes may be missing: "
    return StreamerError(
      what: "source \(identity.source)",
      why: "\(missing)slot \"\(identity.slot)\" \(refusal.why)",
      hint: refusal.hint.replacing("--accept-gap", with: "--accept-gap \(identity.source)")
        + " onGap = \"accept\" does so each time.",
      exit: .preflight)
  }

  private func gap(
    _ cause: String, over start: Decision.Start, _ remedy: String
  ) throws(StreamerError) -> Decision {
    guard onGap != .stop else {
      throw StreamerError(
        what: "source \(identity.source), slot \(identity.slot)",
        why: "changes may be missing: \(cause)",
        hint: "Run once with --accept-gap \(identity.source) \(remedy); onGap = \"accept\" does so "
          + "each time.",
        exit: .preflight)
    }
    return Decision(start: start, acceptedGap: cause)
  }

  /// Why changes may be missing after a known position; nil when none can be.
  private func cause(of position: Position, _ slot: LSN) -> Cause? {
    if let cause = foreignness(of: position) { return cause }
    if position.timeline != identity.timeline {
      guard let left = history.first(where: { $0.timeline == position.timeline }),
        position.lsn <= left.end
      else {
        return Cause(
          kind: .timeline,
          text: "the position \(position.lsn) lies on timeline \(position.timeline), "
            + "which the server left before it")
      }
    }
    if position.lsn < slot {
      return Cause(
        kind: .slotMoved, text: "the slot was moved to \(slot), past the position \(position.lsn)")
    }
    if position.lsn > serverLSN {
      return Cause(
        kind: .serverBehind,
        text: "the position \(position.lsn) lies beyond the server's \(serverLSN)")
    }
    return nil
  }

  /// Why a position is one of something else; nil when it is not.
  private func foreignness(of position: Position) -> Cause? {
    if position.systemIdentifier != identity.systemIdentifier {
      return Cause(
        kind: .cluster,
        text: "the position belongs to cluster \(position.systemIdentifier), "
          + "this is \(identity.systemIdentifier)")
    }
    if position.database != identity.database {
      return Cause(
        kind: .database, text: "the position belongs to database \(position.database)")
    }
    if position.slot != identity.slot {
      return Cause(
        kind: .slot,
        text: "the stored position belongs to slot \"\(position.slot)\", not to "
          + "\"\(identity.slot)\"")
    }
    if position.publications != identity.publications {
      let names = position.publications.joined(separator: ", ")
      return Cause(kind: .publication, text: "the position belongs to publication \(names)")
    }
    return nil
  }
}

extension StartingPositions.TimelineEnd {
  /// Reads a timeline's history file (manual: "TIMELINE_HISTORY"): on each line a timeline, where it
  /// ended, and why.
  static func all(inHistory content: String) -> [Self] {
    content.split(whereSeparator: \.isNewline).compactMap { line in
      let fields = line.split(whereSeparator: \.isWhitespace)
      guard fields.count >= 2, let timeline = UInt32(fields[0]), let end = LSN(String(fields[1]))
      else { return nil }
      return Self(timeline: timeline, end: end)
    }
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
