/// What sinks are told that keep their positions themselves: how far the copy is with the rows that they
/// have been given.
extension Snapshot {
  /// Tells them, in a round and before the first.
  func tellPlace(_ pipeline: inout Pipeline) {
    guard pipeline.lanes.keepPositions, !book.requests.isEmpty else { return }
    if case .reading(let round) = state {
      pipeline.copyReached(
        CopyPlace(
          copy: book[round.request]?.mark ?? "", tables: round.progress,
          isUnfinished: round.leftAtStart > 0))
    } else {
      pipeline.copyReached(CopyPlace(isUnfinished: !book.hasEnded(CopyRequest.start)))
    }
  }
}
