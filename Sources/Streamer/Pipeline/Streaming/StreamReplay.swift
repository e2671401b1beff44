import PGWire

/// Reads a kept transaction record by record, from its file and then from memory.
struct StreamReplay: ~Copyable {
  /// What ended the transaction.
  enum Ending {
    case commit
    case prepare(gid: String, at: LSN)
    /// It was prepared before prepared transactions were asked for.
    case commitPrepared(gid: String, at: LSN)
  }

  /// What became of a transaction, for the log.
  struct Summary: Sendable {
    /// Its number.
    let xid: UInt32
    /// How many events it was.
    let events: UInt64
    /// How many bytes of it were kept.
    let bytes: Int
    /// How many of them were in a file.
    let spooledBytes: Int
  }

  /// Where its end record ends.
  let endLSN: LSN
  /// What ended it.
  let ending: Ending
  /// Decodes its messages; it stands where they stood.
  let decoder: PgOutputDecoder
  /// The memory that can be given back.
  private(set) var tail: ByteWriter
  private let xid: UInt32
  private let extent: SpoolExtent?
  private let fileLength: Int
  private var input: InputBuffer
  /// How many bytes of the file have been read into the buffer.
  private var read = 0
  /// How many records' bytes in the file have been passed.
  private var passed = 0
  /// Where the current record's payload lies: in the tail, or in the buffer behind its start.
  private var current = 0..<0
  private var isInFile = false
  /// Where the tables' descriptions begin, and how many of them have been looked at.
  private let relations: [Int]
  private var nextRelationIndex = 0

  /// Takes over what was kept of a transaction.
  init(_ kept: KeptTransaction, endLSN: LSN, ending: Ending) {
    self.endLSN = endLSN
    self.ending = ending
    xid = kept.xid
    decoder =
      kept.carriesSubtransactions ? PgOutputDecoder(insideStreamOf: kept.xid) : PgOutputDecoder()
    fileLength = kept.fileLength
    relations = kept.relations
    // What is in memory is read where it is.
    input = InputBuffer(capacity: kept.fileLength > 0 ? Limits.spoolBlockBytes : 16)
    tail = kept.takeTail()
    extent = kept.takeExtent()
  }

  /// The bytes that it holds in a file.
  var spooledBytes: Int { fileLength }

  /// The current record's place: a change's LSN, or a Relation message's number.
  private(set) var place: UInt64 = 0

  /// The current record's message.
  var payload: RawSpan {
    @_lifetime(borrow self) get {
      isInFile ? input.readable.extracting(current) : tail.bytes(current)
    }
  }

  /// Moves on to the next record; false behind the last.
  mutating func next() throws(SpoolFault) -> Bool {
    if isInFile {
      passed += current.upperBound
      input.consume(current.upperBound)
      current = 0..<0
      isInFile = false
    }
    let start = current.upperBound + KeptRecord.headerSize
    let header: KeptRecord
    if passed < fileLength {
      try fill(KeptRecord.headerSize)
      header = KeptRecord(input.readable)
      try fill(KeptRecord.headerSize + header.length)
      isInFile = true
    } else {
      guard current.upperBound < tail.count else { return false }
      header = KeptRecord(tail.bytes(current.upperBound..<tail.count))
    }
    place = header.place
    current = start..<start + header.length
    return true
  }

  // MARK: - Ahead of reading

  /// The next table's description that has not been read, with its number; nil behind the last that
  /// is remembered.
  mutating func nextRelation() throws(SpoolFault) -> (relation: Relation, number: UInt64)? {
    let position = passed + current.upperBound
    while nextRelationIndex < relations.count {
      let offset = relations[nextRelationIndex]
      nextRelationIndex += 1
      guard offset >= position else { continue }
      if let found = try relation(at: offset) { return found }
    }
    return nil
  }

  private func relation(
    at offset: Int
  ) throws(SpoolFault) -> (relation: Relation, number: UInt64)? {
    guard offset < fileLength else {
      let rest = tail.bytes(offset - fileLength..<tail.count)
      let record = KeptRecord(rest)
      let end = KeptRecord.headerSize + record.length
      return decoded(rest.extracting(KeptRecord.headerSize..<end), record)
    }
    var buffer = InputBuffer(capacity: 4096)
    while buffer.count < KeptRecord.headerSize
      || buffer.count < KeptRecord.headerSize + KeptRecord(buffer.readable).length
    {
      let at = offset + buffer.count
      precondition(at < fileLength, "a record reaches beyond the bytes that were written")
      _ = try Self.read(
        extent, at: at, left: fileLength - at, missing: buffer.count + 1, into: &buffer)
    }
    let record = KeptRecord(buffer.readable)
    let end = KeptRecord.headerSize + record.length
    return decoded(buffer.readable.extracting(KeptRecord.headerSize..<end), record)
  }

  private func decoded(
    _ payload: RawSpan, _ record: KeptRecord
  ) -> (relation: Relation, number: UInt64)? {
    var decoder = decoder
    // What is malformed is said when it is read.
    guard case .relation(let relation)? = try? decoder.decode(payload) else { return nil }
    return (relation, record.place)
  }

  /// Reads on in the file until `count` bytes lie in the buffer.
  private mutating func fill(_ count: Int) throws(SpoolFault) {
    while input.count < count {
      let (offset, left) = (read, fileLength - read)
      precondition(left > 0, "a record reaches beyond the bytes that were written")
      read += try Self.read(extent, at: offset, left: left, missing: count, into: &input)
    }
  }

  private static func read(
    _ extent: borrowing SpoolExtent?, at offset: Int, left: Int, missing count: Int,
    into input: inout InputBuffer
  ) throws(SpoolFault) -> Int {
    let missing = count - input.count
    return try unsafe input.withFreeSpace(minimum: missing) { room throws(SpoolFault) -> Int in
      let part = unsafe UnsafeMutableRawBufferPointer(rebasing: room[..<min(room.count, left)])
      return try unsafe extent?.read(into: part, at: offset) ?? 0
    }
  }

  /// What became of it, once it has been read.
  func summary(events: UInt64) -> Summary {
    Summary(xid: xid, events: events, bytes: fileLength + tail.count, spooledBytes: fileLength)
  }

  /// Gives its memory back, to be used again.
  consuming func intoTail() -> ByteWriter { tail }
}
