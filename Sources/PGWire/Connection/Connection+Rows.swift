import Glibc

/// What one call of ``Connection/readRows(of:into:upTo:timeout:)`` brought.
public struct RowsRead: Hashable, Sendable {
  /// How many rows were appended.
  public var count = 0
  /// Where the last of them begins in the block; nil when there was none.
  public var last: Int?
  /// Whether no more rows come: the command has ended and the connection is free again.
  public var isEnd = false

  /// Nothing so far.
  public init() {}
}

/// The rows of a command that are on their way.
struct ComingRows {
  /// What else the server says of it.
  var answer: QueryAnswer
  /// When the socket is read: a server that wakes somebody for every few rows is slowed down by it.
  var pace = ReadPace()
  /// What was read since the pace was told, in bytes.
  var gathered = 0
}

/// A result of any size, read block by block (manual: "Simple Query").
extension Connection {
  /// Sends one command that returns rows, and waits until the server has described them.
  ///
  /// The rows follow by ``readRows(of:into:upTo:timeout:)``; until those are at their end nothing else
  /// can be asked. Throws as ``query(_:timeout:)`` does.
  public mutating func startRows(
    _ sql: String, timeout: Duration = .seconds(60)
  ) throws(PGError) {
    let deadline = Deadline(after: timeout, interruption)
    try send(sql, until: deadline)
    var answer = QueryAnswer()
    while true {
      switch try receive(into: &answer, until: deadline) {
      case .rowDescription:
        rows = ComingRows(answer: answer)
        return
      case .readyForQuery:
        if let error = answer.error { throw .server(error) }
        throw .protocol(
          DecodingError(.violation("the command returns no rows"), at: 0), phase: .query,
          tag: .readyForQuery)
      default: break
      }
    }
  }

  /// Appends rows to a block until it is full, there are no more, or the next keeps one waiting.
  ///
  /// It is full with at least `limit` bytes, and a row is waited for as long as `patience`. Each is
  ///
  /// ```
  /// Int32  length of what follows
  /// Byten  the Insert message that pgoutput would have sent of the row, as text
  /// ```
  /// `relation` is the OID that the messages name; with `areGone` they are Delete messages of keys
  /// instead, as for rows that are there no more. Throws as ``query(_:timeout:)`` does, but not for a
  /// row that has not come yet.
  public mutating func readRows(
    of relation: UInt32, into block: inout ByteWriter, upTo limit: Int, patience: Duration,
    areGone: Bool = false
  ) throws(PGError) -> RowsRead {
    guard var coming = rows.take() else {
      throw .protocol(
        DecodingError(.violation("no rows were asked for"), at: 0), phase: .query, tag: nil)
    }
    var read = RowsRead()
    do throws(PGError) {
      while block.count < limit, !read.isEnd {
        guard let frame = try awaitFrame(within: patience, &coming) else { break }
        if frame.tag == .dataRow {
          read.last = block.count
          read.count += 1
          try PGError.decoding(frame.tag, input.readable.extracting(frame.body), phase: .query) {
            (body) throws(DecodingError) in
            try Self.append(row: body, of: relation, isGone: areGone, to: &block)
          }
          input.consume(frame.end)
        } else {
          try coming.answer.take(frame.tag, input.readable.extracting(frame.body))
          input.consume(frame.end)
          note(&coming.answer)
          read.isEnd = frame.tag == .readyForQuery
        }
      }
    } catch {
      isBroken = true
      throw error
    }
    guard read.isEnd else {
      rows = coming
      return read
    }
    if let error = coming.answer.error { throw .server(error) }
    return read
  }

  /// The next whole message; nil when it has not come within `patience`.
  private mutating func awaitFrame(
    within patience: Duration, _ coming: inout ComingRows
  ) throws(PGError) -> MessageFrame? {
    var deadline: Deadline?
    while true {
      switch try Self.scan(input.readable, limit: MessageFrame.defaultLimit) {
      case .complete(let frame): return frame
      case .incomplete(let missing):
        // Most frames are there when they are asked for: they need no clock.
        let end = deadline ?? Deadline(after: patience, interruption)
        deadline = end
        do throws(PGError) {
          let isOpen = try receive(missing, &coming, until: end)
          guard isOpen else { throw coming.answer.error.map { .server($0) } ?? .closed(.query) }
        } catch {
          // What has come of the message is kept for the next call.
          guard error.isUnanswered, interruption?.hasCome != true else { throw error }
          return nil
        }
      }
    }
  }

  /// Receives what is there, at the pace of what comes; false when the server has closed its side.
  ///
  /// Returns when something has come, `missing` bytes or fewer.
  private mutating func receive(
    _ missing: Int, _ coming: inout ComingRows, until deadline: Deadline
  ) throws(PGError) -> Bool {
    guard !deadline.hasPassed else { throw .timeout(Self.unanswered) }
    if let due = coming.pace.readBy {
      let left = due - .now
      if left > .zero { usleep(UInt32(left / .microseconds(1))) }
    }
    if missing > input.room { input.grow(toHold: input.count + missing) }
    var outcome = Transport.Outcome.wouldBlock
    var isDry = true
    coming.gathered += try unsafe input.withRoom { room throws(PGError) -> Int in
      outcome = try unsafe transport.read(into: room)
      guard case .bytes(let count) = outcome else { return 0 }
      // Inside TLS something may be left that the socket does not announce.
      isDry = count < room.count && !transport.isEncrypted
      return count
    }
    if isDry {
      coming.pace.read(coming.gathered, at: .now)
      coming.gathered = 0
    }
    guard outcome == .wouldBlock else { return outcome != .closed }
    if coming.pace.mode == .calm {
      try transport.wait(for: transport.waitsFor, until: deadline, what: Self.unanswered)
    }
    return true
  }

  /// Appends the Insert message that a DataRow message is, or the Delete message of a key.
  private static func append(
    row body: RawSpan, of relation: UInt32, isGone: Bool, to block: inout ByteWriter
  ) throws(DecodingError) {
    var reader = ByteReader(body)
    let start = block.count
    block.append(bigEndian: 0 as Int32)
    block.append(UInt8(ascii: isGone ? "D" : "I"))
    block.append(bigEndian: relation)
    block.append(UInt8(ascii: isGone ? "K" : "N"))
    let count = try reader.integer(Int16.self)
    guard count >= 0 else { throw DecodingError(.badLength(Int(count)), at: 0) }
    block.append(bigEndian: count)
    for _ in 0..<count {
      let length = try reader.integer(Int32.self)
      guard length >= -1 else {
        throw DecodingError(.badLength(Int(length)), at: reader.offset - 4)
      }
      guard length >= 0 else {
        block.append(UInt8(ascii: "n"))
        continue
      }
      block.append(UInt8(ascii: "t"))
      block.append(bigEndian: length)
      block.append(try reader.span(Int(length)))
    }
    try reader.finish()
    guard let length = Int32(exactly: block.count - start - 4) else {
      throw DecodingError(.badLength(block.count - start), at: 0)
    }
    block.set(bigEndian: length, at: start)
  }
}
