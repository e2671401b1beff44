import PGWire

/// The rules of a sink for the rows of a table: the one place where they are followed, before a format
/// sees anything of them.
extension Pipeline {
  /// Gives a lane what its rules make of an event: nothing, the event, or what it is there.
  @inline(never)
  mutating func follow(
    _ rules: RowRules, _ event: borrowing RowEvent, _ lane: TableLane, _ index: Int
  ) {
    switch rules.verdict(event) {
    case .drop: break
    case .enter: give(RowEvent(enteringBy: event), rules, lane, index)
    case .leave:
      let gone = RowEvent(leavingBy: event)
      give(gone, rules, lane, index, isRewritten: event.oldImage == .none)
    case .deliver:
      guard rules.changesKey(event) else { return give(event, rules, lane, index) }
      let gone = RowEvent(.extraDelete, ofUpdate: event)
      give(gone, rules, lane, index)
      give(RowEvent(.insert, ofUpdate: event), rules, lane, index)
    }
  }

  /// Whether the composite values that a lane has of a row fit the types that its plan was made of.
  mutating func agrees(
    _ change: borrowing Change, _ rules: RowRules, _ lane: TableLane, _ index: Int
  ) -> Bool {
    var text = rowRuled.take() ?? ByteWriter()
    let event = RowEvent(change, at: EventPlace(lsn: .zero, ordinal: 0))
    let boundary = rules.write(event, to: &text)
    let agrees = lane.plan.agrees(
      Change.rewritten(
        .update, of: 0, event.oldImage, in: text, boundary: boundary,
        columns: (rules.count(event.old.count), rules.count(event.successor.count))),
      &encodings[index].formats[lane.format].state)
    text.removeAll()
    text.shrink(to: Limits.rowTextBytes)
    rowRuled = consume text
    return agrees
  }

  /// Encodes an event that a lane is to have, its rows written anew where the rules say so.
  private mutating func give(
    _ event: borrowing RowEvent, _ rules: RowRules, _ lane: TableLane, _ index: Int,
    isRewritten: Bool = false
  ) {
    guard rules.actions.take(event.action) else { return }
    guard rules.rewrites || isRewritten else { return encode(event, lane, index) }
    var text = rowRuled.take() ?? ByteWriter()
    let boundary = rules.write(event, to: &text)
    encode(
      RowEvent(
        event,
        with: Change.rewritten(
          .update, of: 0, event.oldImage, in: text, boundary: boundary,
          columns: (rules.count(event.old.count), rules.count(event.successor.count)))),
      lane, index)
    text.removeAll()
    text.shrink(to: Limits.rowTextBytes)
    rowRuled = consume text
  }
}
