import PGWire

/// Where each subtransaction of an open transaction began: the last ones in memory, the others in
/// runs of ``Limits/subtransactionRun`` in the spool's file, however many there are.
///
/// A rollback is nearly always one of the last; for any other the one run is read whose numbers
/// include it. Numbers are compared by their distance from the whole transaction's, which is the
/// least of them, so that they may wrap around.
struct SubtransactionStarts: ~Copyable {
  /// Where a subtransaction began.
  struct Start: Hashable {
    let xid: UInt32
    /// The first byte that was kept of it.
    let offset: Int
    /// Whether a logical message stands right before it.
    let followsMessage: Bool
  }

  /// What is in the file: the least distance of a run, and the greatest of it and all before it.
  private struct Run {
    let least: UInt32
    let greatest: UInt32
  }

  /// Bytes of a start in the file: number, whether it follows a message, offset.
  private static let width = 16

  /// The whole transaction's number.
  private let xid: UInt32
  private let runLength: Int
  private var recent: [Start] = []
  /// The places of the recent ones, counted from the first of all.
  private var indexes: [UInt32: Int] = [:]
  private var runs: [Run] = []
  private var extent: SpoolExtent?

  /// Knows nothing yet of the transaction of that number.
  init(of xid: UInt32, runLength: Int = Limits.subtransactionRun) {
    self.xid = xid
    self.runLength = runLength
  }

  /// How many bytes are in the file.
  var fileBytes: Int { runs.count * runBytes }

  /// How many bytes a run takes there.
  var runBytes: Int { runLength * Self.width }

  /// Whether so many are in memory that a run of them belongs into the file.
  var isLarge: Bool { recent.count >= 2 * runLength }

  /// Notes where a subtransaction begins, unless that is known.
  mutating func note(_ start: Start) throws(SpoolFault) {
    guard indexes[start.xid] == nil, try find(start.xid) == nil else { return }
    indexes[start.xid] = runs.count * runLength + recent.count
    recent.append(start)
  }

  /// Forgets a subtransaction and all that began behind it; nil when nothing of it is known.
  mutating func cut(from xid: UInt32) throws(SpoolFault) -> Start? {
    if let index = indexes[xid] {
      let place = index - runs.count * runLength
      let start = recent[place]
      forget(from: place)
      return start
    }
    guard let (run, starts, place) = try find(xid) else { return nil }
    recent = starts
    indexes = [:]
    for (index, start) in starts.enumerated() { indexes[start.xid] = run * runLength + index }
    runs.removeSubrange(run...)
    let length = fileBytes
    extent?.truncate(to: length)
    forget(from: place)
    return starts[place]
  }

  private mutating func forget(from place: Int) {
    for inside in recent[place...] { indexes[inside.xid] = nil }
    recent.removeSubrange(place...)
  }

  // MARK: - The file

  /// Writes the older half of what is in memory behind what is in the file.
  mutating func spill(into file: SpoolFile) throws(SpoolFault) {
    if extent == nil { extent = SpoolExtent(in: file) }
    var bytes = ByteWriter(capacity: runBytes)
    var least = UInt32.max
    var greatest = runs.last?.greatest ?? 0
    for start in recent[..<runLength] {
      bytes.append(bigEndian: start.xid)
      bytes.append(bigEndian: UInt32(start.followsMessage ? 1 : 0))
      bytes.append(bigEndian: Int64(start.offset))
      least = min(least, start.xid &- xid)
      greatest = max(greatest, start.xid &- xid)
      indexes[start.xid] = nil
    }
    try extent?.append(bytes.bytes)
    runs.append(Run(least: least, greatest: greatest))
    recent.removeFirst(runLength)
  }

  /// Looks for a start in the file, the last run first; gives its run's number, that run, and its
  /// place in it.
  private func find(_ xid: UInt32) throws(SpoolFault) -> (run: Int, [Start], place: Int)? {
    let distance = xid &- self.xid
    for run in runs.indices.reversed() {
      // As for nearly all that are new.
      guard distance <= runs[run].greatest else { return nil }
      guard runs[run].least <= distance else { continue }
      let starts = try read(run)
      if let place = starts.firstIndex(where: { $0.xid == xid }) { return (run, starts, place) }
    }
    return nil
  }

  private func read(_ run: Int) throws(SpoolFault) -> [Start] {
    let size = runBytes
    var buffer = InputBuffer(capacity: size)
    while buffer.count < size {
      let at = run * size + buffer.count
      let missing = size - buffer.count
      _ = try unsafe buffer.withFreeSpace(minimum: missing) { room throws(SpoolFault) -> Int in
        let part = unsafe UnsafeMutableRawBufferPointer(rebasing: room[..<missing])
        return try unsafe extent?.read(into: part, at: at) ?? 0
      }
    }
    let bytes = buffer.readable
    var starts: [Start] = []
    starts.reserveCapacity(2 * runLength)
    for place in 0..<runLength {
      // SAFETY: the buffer holds that many starts.
      let (xid, flag, offset) = unsafe (
        bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: place * Self.width, as: UInt32.self),
        bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: place * Self.width + 4, as: UInt32.self),
        bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: place * Self.width + 8, as: Int64.self)
      )
      starts.append(
        Start(
          xid: UInt32(bigEndian: xid), offset: Int(Int64(bigEndian: offset)),
          followsMessage: flag != 0))
    }
    return starts
  }
}
