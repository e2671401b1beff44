import PGWire

/// Keeps the changes of open transactions that come in chunks, until their end.
///
/// All of them share ``Settings/memory``; when it is full, what takes the most of it is written to the
/// one file, and from then on in blocks. They never count against the in-flight budget: they hold
/// nothing that a sink could deliver.
///
/// A fault is remembered, not thrown, so that a message's way stays one of decoding errors; the
/// pipeline looks at ``fault`` after each message. Nothing is kept after it.
struct Spool: ~Copyable {
  /// How much may be kept, and where.
  struct Settings: Hashable, Sendable {
    /// Where the file is made.
    var directory: String
    /// Bytes in memory, over all open transactions.
    var memory: Int
    /// Bytes in the file, over all open transactions; nil for half of what is free on the disk.
    var limit: Int?
  }

  private let settings: Settings
  private var transactions: [UInt32: KeptTransaction] = [:]
  private var current: KeptTransaction?
  private var spare: ByteWriter?
  /// The file; nil while nothing is in it.
  private var file: SpoolFile?
  private var limit: Int
  private var memoryBytes = 0
  /// Bytes in the file, those of a transaction that is being read included.
  private(set) var fileBytes = 0
  /// Why nothing can be kept any more.
  private(set) var fault: SpoolFault?

  init(_ settings: Settings) {
    self.settings = settings
    limit = settings.limit ?? 0
  }

  /// How many transactions are open.
  var openTransactions: Int { transactions.count }

  /// Whether a transaction is open.
  func isOpen(_ xid: UInt32) -> Bool { transactions[xid] != nil }

  /// Forgets everything: the connection is gone.
  mutating func removeAll() {
    transactions = [:]
    current = nil
    memoryBytes = 0
    fileBytes = 0
    file = nil
    fault = nil
  }

  // MARK: - Chunks

  /// A chunk of a transaction starts; the transaction may be new.
  mutating func chunkStarted(_ xid: UInt32) {
    current = transactions[xid] ?? begin(xid, carriesSubtransactions: true)
    if current?.isInDoubt == true { fault = fault ?? .messageBeforeRollback(xid: xid) }
  }

  /// A transaction comes whole that has to be kept; its messages carry no subtransactions.
  mutating func beginWhole(_ xid: UInt32) {
    current = begin(xid, carriesSubtransactions: false)
  }

  /// The chunk has ended.
  mutating func chunkEnded() { current = nil }

  private mutating func begin(_ xid: UInt32, carriesSubtransactions: Bool) -> KeptTransaction {
    let tail = spare.take() ?? ByteWriter(capacity: Limits.spoolSpareBytes)
    let transaction = KeptTransaction(
      xid: xid, carriesSubtransactions: carriesSubtransactions, tail: tail)
    transactions[xid] = transaction
    return transaction
  }

  /// Keeps a table's description.
  mutating func keep(relation payload: RawSpan, place: UInt64, of subtransaction: UInt32) {
    guard fault == nil else { return }
    do throws(SpoolFault) { try writing().noteRelation(of: subtransaction) } catch { fault = error }
    keep(payload, place: place, of: subtransaction)
  }

  /// Keeps a change.
  mutating func keep(_ payload: RawSpan, place: UInt64, of subtransaction: UInt32) {
    let transaction = writing()
    guard fault == nil else { return }
    let before = transaction.tail.count
    do throws(SpoolFault) {
      try transaction.append(payload, place: place, of: subtransaction)
    } catch { fault = error }
    memoryBytes += transaction.tail.count - before
    if transaction.startsToSpill > 0 { spillStarts(transaction) }
    bound(transaction)
  }

  /// Keeps a logical message.
  mutating func keep(message payload: RawSpan, place: UInt64) {
    let transaction = writing()
    guard fault == nil else { return }
    let before = transaction.tail.count
    transaction.append(message: payload, place: place)
    memoryBytes += transaction.tail.count - before
    bound(transaction)
  }

  private func writing() -> KeptTransaction {
    guard let current else { preconditionFailure("a change is kept outside a chunk") }
    return current
  }

  // MARK: - Ends

  /// A subtransaction, or the whole, was rolled back; what is not kept needs nothing.
  mutating func rollBack(_ subtransaction: UInt32, of xid: UInt32) {
    guard subtransaction != xid else { return drop(xid) }
    guard fault == nil, let transaction = transactions[xid] else { return }
    let before = (transaction.tail.count, transaction.fileLength + transaction.startsFileBytes)
    do throws(SpoolFault) { try transaction.rollBack(subtransaction) } catch { fault = error }
    memoryBytes += transaction.tail.count - before.0
    leaveFile(before.1 - transaction.fileLength - transaction.startsFileBytes)
  }

  /// A transaction is gone.
  mutating func drop(_ xid: UInt32) {
    guard let transaction = remove(xid) else { return }
    leaveFile(transaction.fileLength)
    keepSpare(transaction.takeTail())
  }

  /// Gives a transaction out to be read; nil when it is not open.
  mutating func take(_ xid: UInt32) -> KeptTransaction? {
    let transaction = remove(xid)
    if transaction?.isInDoubt == true { fault = fault ?? .messageBeforeRollback(xid: xid) }
    return transaction
  }

  private mutating func remove(_ xid: UInt32) -> KeptTransaction? {
    guard let transaction = transactions.removeValue(forKey: xid) else { return nil }
    memoryBytes -= transaction.tail.count
    // Nothing of it is rolled back any more.
    if transaction.startsFileBytes > 0 { leaveFile(transaction.startsFileBytes) }
    return transaction
  }

  /// Takes back what a transaction that has been read took.
  mutating func giveBack(_ replay: consuming StreamReplay) {
    leaveFile(replay.spooledBytes)
    keepSpare(replay.intoTail())
  }

  /// So many bytes of the file are not needed any more.
  private mutating func leaveFile(_ bytes: Int) {
    fileBytes -= bytes
    if fileBytes == 0 { file = nil }
  }

  private mutating func keepSpare(_ tail: consuming ByteWriter) {
    tail.removeAll()
    spare = consume tail
  }

  // MARK: - Bounds

  /// Writes to the file what is too much for memory.
  private mutating func bound(_ transaction: KeptTransaction) {
    if transaction.hasFile, transaction.tail.count >= Limits.spoolBlockBytes {
      spill(transaction)
    } else if memoryBytes > settings.memory {
      var largest = transaction
      for other in transactions.values where other.tail.count > largest.tail.count {
        largest = other
      }
      spill(largest)
      // Enough for a block, and less when many share the memory.
      let share = 2 * settings.memory / transactions.count
      largest.shrink(to: max(Limits.spoolSpareBytes, min(2 * Limits.spoolBlockBytes, share)))
    }
  }

  private mutating func spill(_ transaction: KeptTransaction) {
    let count = transaction.tail.count
    write(count, of: transaction) { (file) throws(SpoolFault) in
      try transaction.spill(into: file)
    }
    memoryBytes -= count - transaction.tail.count
  }

  private mutating func spillStarts(_ transaction: KeptTransaction) {
    write(transaction.startsToSpill, of: transaction) { (file) throws(SpoolFault) in
      try transaction.spillStarts(into: file)
    }
  }

  /// Lets so many bytes of a transaction be written to the file, unless that grows beyond the limit.
  private mutating func write(
    _ count: Int, of transaction: KeptTransaction, _ body: (SpoolFile) throws(SpoolFault) -> Void
  ) {
    guard fault == nil else { return }
    if settings.limit == nil, !transaction.hasFile {
      limit = fileBytes + (SpoolFile.freeBytes(in: settings.directory) ?? .max / 2) / 2
    }
    guard fileBytes + count <= limit else {
      fault = .limit(limit)
      return
    }
    do throws(SpoolFault) {
      let file = if let file { file } else { try SpoolFile(in: settings.directory) }
      self.file = file
      try body(file)
      fileBytes += count
    } catch { fault = error }
  }
}
