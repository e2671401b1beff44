/// What sinks are told that keep their positions themselves: how far the copy is with the rows that they
/// have been given.
extension Snapshot {
  /// Tells them before the first row, and after a claim.
  func mark(_ pipeline: inout Pipeline) {
    guard pipeline.lanes.keepPositions, !book.requests.isEmpty else { return }
    pipeline.mark(CopyMark(isUnfinished: !book.hasEnded(CopyRequest.start)))
  }

  /// Tells them in a round that all rows were taken up to here.
  func mark(_ round: Round, _ pipeline: inout Pipeline) {
    guard pipeline.lanes.keepPositions else { return }
    pipeline.mark(
      CopyMark(
        copy: book[round.request]?.mark ?? "", tables: round.progress,
        isUnfinished: round.leftAtStart > 0))
  }
}
