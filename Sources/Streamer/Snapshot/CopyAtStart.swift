/// The existing rows that a start finds to be copied.
struct CopyAtStart: Sendable {
  /// The copies that are kept, and how far each is.
  var book = CopyBook()
  /// Whether that of the start begins with it.
  var isNew = false
  /// Whether the slot was made by this start: nothing of its stream has been read before.
  var isSlotNew = false
}

/// What a start finds that existing rows may be copied for.
struct CopyReason: Hashable, Sendable {
  /// No position of the source is known.
  var isFirstStart = false
  /// Changes may be missing, and that was accepted.
  var isOverGap = false
  /// It is the process's first connection.
  var isFirstConnection = false
  /// The gap was accepted for the rows' sake.
  var repairsGap = false
  /// The slot is made by this start.
  var isSlotNew = false
  /// A sink stands in the midst of a copy that the store knows nothing of.
  var isCut = false

  /// Whether a copy begins, from the first row on.
  func begins(_ mode: SnapshotConfiguration.Mode) -> Bool {
    if isOverGap, repairsGap { return true }
    return switch mode {
    case .never: false
    case .initial, .only: isFirstStart || isCut
    case .whenNeeded: isFirstStart || isOverGap || isCut
    case .always: isFirstConnection
    }
  }
}
