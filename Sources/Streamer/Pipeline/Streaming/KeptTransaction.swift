import PGWire

/// The changes of one open transaction, as they came: the older ones in a file, the rest in memory.
///
/// Subtransactions that are rolled back are cut off. From the first change of one until its rollback
/// a session writes nothing but what belongs to it or to those inside it, and all of these go with
/// it; so to know where each began is enough, and what was cut need not be looked at again. What a
/// logical message belongs to is not on the wire: in a stream it carries the number of the whole
/// transaction. Behind a subtransaction's first change it goes with it; right before it, it may
/// belong to it or not, which is only settled when what is around both is rolled back as well.
///
/// A class because the spool has them by their numbers, and they hold what cannot be copied.
final class KeptTransaction {
  /// The whole transaction's number.
  let xid: UInt32
  /// Whether its messages carry their subtransactions, as those of a stream do.
  let carriesSubtransactions: Bool
  /// What is in memory.
  private(set) var tail: ByteWriter
  private var extent: SpoolExtent?
  private var starts: SubtransactionStarts
  private var last: UInt32
  private var endsWithMessage = false
  /// Where the tables' descriptions begin, as many as are remembered.
  private(set) var relations: [Int] = []
  /// Where the first message ends of which the wire does not tell whether it was rolled back.
  private var doubt: Int?

  /// Begins with memory that has been used before, or not.
  init(xid: UInt32, carriesSubtransactions: Bool, tail: consuming ByteWriter) {
    self.xid = xid
    self.carriesSubtransactions = carriesSubtransactions
    self.tail = tail
    starts = SubtransactionStarts(of: xid)
    last = xid
  }

  /// How many bytes are in the file, beside its records, of where subtransactions began.
  var startsFileBytes: Int { starts.fileBytes }

  /// How many bytes of its records are in the file.
  var fileLength: Int { extent?.length ?? 0 }

  /// Whether some of it is in a file.
  var hasFile: Bool { fileLength > 0 }

  /// Whether it holds a logical message of which the wire does not tell whether it was rolled back.
  var isInDoubt: Bool { doubt != nil }

  private var length: Int { fileLength + tail.count }

  // MARK: - Changes

  /// Keeps a change, or a table's description, of a subtransaction.
  func append(
    _ payload: RawSpan, place: UInt64, of subtransaction: UInt32
  ) throws(SpoolFault) {
    if subtransaction != last { try note(subtransaction) }
    endsWithMessage = false
    KeptRecord.append(payload, place: place, to: &tail)
  }

  /// What is kept next is a table's description.
  func noteRelation(of subtransaction: UInt32) throws(SpoolFault) {
    if subtransaction != last { try note(subtransaction) }
    if relations.count < Limits.lookUpsAhead { relations.append(length) }
  }

  /// Keeps a logical message.
  func append(message payload: RawSpan, place: UInt64) {
    endsWithMessage = true
    KeptRecord.append(payload, place: place, to: &tail)
  }

  private func note(_ subtransaction: UInt32) throws(SpoolFault) {
    last = subtransaction
    guard subtransaction != xid else { return }
    try starts.note(
      SubtransactionStarts.Start(
        xid: subtransaction, offset: length, followsMessage: endsWithMessage))
  }

  /// Cuts off a subtransaction that was rolled back.
  func rollBack(_ subtransaction: UInt32) throws(SpoolFault) {
    guard let start = try starts.cut(from: subtransaction) else {
      // Nothing of it has come, unless it was a message.
      if endsWithMessage { doubt = doubt ?? length }
      return
    }
    last = xid
    cut(to: start.offset)
    endsWithMessage = start.followsMessage
    if let doubt, doubt > start.offset { self.doubt = nil }
    if start.followsMessage { doubt = doubt ?? start.offset }
  }

  private func cut(to offset: Int) {
    while let last = relations.last, last >= offset { relations.removeLast() }
    guard offset < fileLength else { return tail.truncate(to: offset - fileLength) }
    tail.removeAll()
    extent?.truncate(to: offset)
  }

  // MARK: - The file

  /// Writes what is in memory behind what is in the file.
  func spill(into file: SpoolFile) throws(SpoolFault) {
    if extent == nil { extent = SpoolExtent(in: file) }
    try extent?.append(tail.bytes)
    tail.removeAll()
  }

  /// Bytes of where subtransactions began that belong into the file, since there are so many.
  var startsToSpill: Int { starts.isLarge ? starts.runBytes : 0 }

  /// Writes where some subtransactions began to the file.
  func spillStarts(into file: SpoolFile) throws(SpoolFault) { try starts.spill(into: file) }

  /// Gives memory back when it holds more than that many bytes, and nothing is in it.
  func shrink(to bytes: Int) { tail.shrink(to: bytes) }

  /// Takes its memory out of it.
  func takeTail() -> ByteWriter {
    var taken = ByteWriter(capacity: 1)
    swap(&taken, &tail)
    return taken
  }

  /// Takes what is in the file out of it; nil when all of it is in memory.
  func takeExtent() -> SpoolExtent? { extent.take() }
}
