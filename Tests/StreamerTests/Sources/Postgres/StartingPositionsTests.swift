import PGWire
import Testing

@testable import Streamer

/// Every kind of gap between what is known and what the server has is found, named, and decided on
/// by `onGap`.
@Suite struct StartingPositionsTests {
  /// What somebody has done to the server while nobody was connected.
  struct Case: CustomTestStringConvertible, Sendable {
    let kind: Gap.Kind?
    var position = LSN(100)
    var change: @Sendable (inout Position) -> Void = { _ in }
    var slot = StartingPositions.Slot.at(LSN(50))
    var timeline: UInt32 = 1
    var history: [StartingPositions.TimelineEnd] = []
    var serverLSN = LSN(500)

    var testDescription: String { kind?.rawValue ?? "none" }
  }

  private static func lost(_ reason: String) throws -> StartingPositions.Slot {
    let row: [String?] = [
      "s", "pgoutput", "d", nil, "0/20", nil, nil, "lost", nil, "f", "f", reason, nil, "f", "f",
      "f",
    ]
    let slot = try #require(ReplicationSlot(row: row))
    return .lost(try #require(SlotRefusal(of: slot, database: "d")))
  }

  static func cases() throws -> [Case] {
    let end = StartingPositions.TimelineEnd(timeline: 1, end: LSN(100))
    let early = StartingPositions.TimelineEnd(timeline: 1, end: LSN(99))
    var cases = [
      Case(kind: nil), Case(kind: nil, slot: .at(LSN(100))),
      // A promotion at or behind the position, with the slot.
      Case(kind: nil, timeline: 2, history: [end]),
      Case(kind: .slotMoved, slot: .at(LSN(101))),
      Case(kind: .slotMissing, slot: .missing),
      // A promotion before the position, or a backup that was restored from before it.
      Case(kind: .timeline, timeline: 2, history: [early]),
      Case(kind: .timeline, timeline: 3, history: []),
      Case(kind: .serverBehind, serverLSN: LSN(99)),
      Case(kind: .cluster, change: { $0.systemIdentifier = "8" }),
      Case(kind: .cluster, change: { $0.systemIdentifier = "8" }, slot: .missing),
      Case(kind: .database, change: { $0.database = "other" }),
      Case(kind: .slot, change: { $0.slot = "other" }),
      Case(kind: .publication, change: { $0.publications = ["other"] }),
    ]
    for reason in ["wal_removed", "rows_removed", "wal_level_insufficient", "idle_timeout", "new"] {
      cases.append(Case(kind: .slotInvalidated, slot: try lost(reason)))
    }
    return cases
  }

  private func start(
    _ one: Case, _ onGap: PostgresSourceConfiguration.GapAction
  ) -> StartingPositions {
    let identity = PositionIdentity(
      source: "db", systemIdentifier: "7", timeline: one.timeline, database: "d", slot: "s",
      publications: ["p"])
    var known = identity.position(sink: "a", lsn: one.position)
    known.timeline = 1
    one.change(&known)
    return StartingPositions(
      known: [known], identity: identity, slot: one.slot, serverLSN: one.serverLSN,
      history: one.history, onGap: onGap)
  }

  @Test(arguments: try cases()) func `A gap is found, named, and stops or is accepted`(one: Case)
    throws
  {
    let gap = start(one, .stop).gap(sinks: ["a", "b"])
    #expect(gap?.kind == one.kind)
    #expect(gap?.action == (one.kind == nil ? nil : .stop))
    #expect(gap?.from == (one.kind == nil ? nil : one.position))
    guard let gap else {
      let decision = try start(one, .stop).decide(sinks: ["a", "b"])
      #expect(decision.start == .positions([one.position, one.position]))
      return
    }
    #expect(throws: StreamerError.self) { try start(one, .stop).decide(sinks: ["a", "b"]) }
    do { _ = try start(one, .stop).decide(sinks: ["a"]) } catch {
      #expect(error.exit == .preflight && !error.isRetryable)
      #expect(error.why.contains("changes may be missing: "), "\(error)")
      #expect(error.hint.contains("--accept-gap db") && error.hint.contains("onGap"), "\(error)")
    }
    let accepted = try start(one, .accept).decide(sinks: ["a", "b"])
    #expect(accepted.acceptedGap == gap.cause)
    #expect(start(one, .accept).gap(sinks: ["a"])?.action == .accept)
    if case .at(let slot) = one.slot {
      #expect(accepted.start == .positions([slot, slot]) && gap.to == slot)
    } else {
      #expect(accepted.start == .newSlot && gap.to == nil)
    }
  }

  @Test func `Nothing is missing where nothing is known`() throws {
    let first = Case(kind: nil, slot: .missing)
    for onGap in PostgresSourceConfiguration.GapAction.allCases {
      var fresh = start(first, onGap)
      fresh.known = []
      #expect(fresh.gap(sinks: ["a"]) == nil)
      #expect(try fresh.decide(sinks: ["a"]).start == .newSlot)
    }
    // A slot that was invalidated is not passed over all the same.
    var lost = start(Case(kind: nil, slot: try Self.lost("wal_removed")), .stop)
    lost.known = []
    #expect(throws: StreamerError.self) { try lost.decide(sinks: ["a"]) }
  }
}
