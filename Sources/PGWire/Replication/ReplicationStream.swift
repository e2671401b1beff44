import CLinux
import Glibc

/// A connection that streams: the server's bytes in a window, status updates out, and nothing in
/// between.
///
/// What the bytes mean is for whoever reads ``received``.
///
/// It never blocks: its owner waits for ``descriptor`` as ``pace`` says.
@safe public struct ReplicationStream: ~Copyable {
  var transport: Transport
  var input: InputBuffer
  /// When the socket is to be read.
  public private(set) var pace = ReadPace()
  /// When the server last sent something, as far as it was read: any byte is a sign of life.
  ///
  /// It is the time that ``receive(now:)`` was given; nil before the first byte.
  public private(set) var lastReceived: ContinuousClock.Instant?
  var output = ByteWriter(capacity: 256)
  private var sentOutput = 0
  /// The change that is being read through, because it is too large to be held.
  private var abridgement: Abridgement?
  /// What is left of it once it has come: it is received before what lies in `input`.
  private var abridged = ByteWriter(capacity: 16)
  /// What was read since the pace was told, in bytes: what one pause has gathered may need several reads.
  private var gathered = 0
  /// Why nothing more can be sent; what was received before it is read first.
  private(set) var failure: PGError?

  /// What is read behind a message that does not fit, in bytes.
  static let readAhead = InputBuffer.worthReading
  /// After that many bytes a call with TLS ends, one record more perhaps.
  static let readLimit = 1 << 20

  /// Takes over a connection on which START_REPLICATION was answered with CopyBothResponse.
  public init(_ connection: consuming Connection) {
    let parts = connection.intoParts()
    transport = parts.transport
    input = parts.input
  }

  /// Takes over a connected socket on whose other end somebody streams already.
  ///
  /// For tests: a script at the other end of a socketpair needs no startup. The descriptor becomes
  /// non-blocking, and is closed with the stream.
  init(adopting descriptor: CInt, capacity: Int = ConnectionLimits.replicationWindow) {
    self.init(Transport(Socket(adopting: descriptor), phase: .copyBoth), capacity: capacity)
  }

  /// Takes over a byte stream that has come so far; its window begins with `capacity` bytes.
  init(_ transport: consuming Transport, capacity: Int) {
    self.transport = transport
    input = InputBuffer(capacity: capacity)
  }

  /// What was received and not consumed yet: whole messages, and the beginning of one.
  public var received: RawSpan {
    @_lifetime(borrow self) get {
      if abridged.count > 0 { return abridged.bytes }
      // What has come of a change that is read through is no message.
      return isAbridging ? input.readable.extracting(first: 0) : input.readable
    }
  }

  /// Drops the first `count` bytes of ``received``.
  public mutating func consume(_ count: Int) {
    guard abridged.count > 0, count > 0 else { return input.consume(count) }
    precondition(count == abridged.count, "an abridged message is consumed as a whole")
    abridged.removeAll()
    abridged.shrink(to: 16)
    // What has come behind it waits in the window.
    hasPending = true
  }

  /// The socket, for epoll; it stays this value's own.
  public var descriptor: CInt { transport.descriptor }

  /// Whether a status update waits for the socket to take it.
  public var wantsWrite: Bool { sentOutput < output.count }

  /// Whether more may be there at once: inside TLS, which the socket does not announce, or behind a
  /// read that filled the room or had none.
  public private(set) var hasPending = false

  /// Reads what is there, up to the window's free room, and says how many bytes came.
  ///
  /// Throws ``PGError`` when the connection is lost or closed, but not before everything that came
  /// until then was read: a server says why it goes. The window grows only for a message at its start
  /// that does not fit, to that message and 64 KiB: while it is full and holds whole messages,
  /// nothing is read, and ``hasPending`` stays true until they are consumed. A change beyond what
  /// `abridging` allows is not held at all: what is received of it is an ``AbridgedMessage``.
  public mutating func receive(
    now: ContinuousClock.Instant, abridging: Abridging? = nil
  ) throws(PGError) -> Int {
    guard abridged.count == 0, try makeRoom(abridging) else {
      hasPending = true
      return 0
    }
    var received = 0
    var outcome = Transport.Outcome.wouldBlock
    var isFull = false
    // With TLS the socket is silent about what OpenSSL has decrypted: read until nothing is left.
    repeat {
      do throws(PGError) {
        received += try unsafe input.withRoom { room throws(PGError) -> Int in
          outcome = try unsafe transport.read(into: room)
          guard case .bytes(let count) = outcome else { return 0 }
          isFull = count == room.count
          return count
        }
      } catch {
        outcome = .wouldBlock
        failure = failure ?? error
      }
    } while transport.isEncrypted && outcome.isBytes && input.room > 0
      && received < Self.readLimit
    try abridge()
    if outcome == .closed { failure = failure ?? .closed(.copyBoth) }
    if received == 0, let failure { throw failure }
    if received > 0 { lastReceived = now }
    // A read that filled the room has probably left something behind.
    hasPending = failure != nil || outcome.isBytes && (transport.isEncrypted || isFull)
    gathered += received
    if !hasPending {
      pace.read(gathered, at: now)
      gathered = 0
    }
    return received
  }

  /// Whether there is room to read into; only a message that does not fit makes more.
  private mutating func makeRoom(_ abridging: Abridging?) throws(PGError) -> Bool {
    if isAbridging || input.room >= Self.readAhead { return true }
    guard let missing = Self.missing(input.readable) else { return false }
    if missing > input.room {
      if let abridging, try begin(abridging, input.count + missing) { return true }
      input.grow(toHold: input.count + missing + Self.readAhead)
    }
    return true
  }

  // MARK: - What is too large to be held

  /// Which changes are not held.
  public struct Abridging {
    /// The most bytes that a message of the plugin may take.
    let largest: Int
    /// Whether what was consumed last stands inside a chunk of an open transaction.
    let isInChunk: Bool

    /// Changes of more than `largest` bytes.
    public init(beyond largest: Int, isInChunk: Bool) {
      self.largest = largest
      self.isInChunk = isInChunk
    }
  }

  private var isAbridging: Bool { abridgement != nil }

  /// Begins to read a message through that takes so many bytes with its frame; false when it is none that
  /// is too large.
  private mutating func begin(_ abridging: Abridging, _ size: Int) throws(PGError) -> Bool {
    let payload = MessageFrame.headerSize + ReplicationMessage.payloadOffset
    guard size - payload > abridging.largest else { return false }
    var taken = 0
    abridgement = Abridgement(
      input.readable, isInChunk: abridging.isInChunk,
      bounds: Abridgement.Bounds(whole: abridging.largest), taken: &taken)
    guard isAbridging else { return false }
    input.consume(taken)
    try abridge()
    return true
  }

  /// Reads on in the change that is read through.
  private mutating func abridge() throws(PGError) {
    guard var change = abridgement.take() else { return }
    do throws(DecodingError) { input.consume(try change.take(input.readable)) } catch {
      throw .protocol(error, phase: .copyBoth, tag: .copyData)
    }
    guard change.isComplete else { return abridgement = consume change }
    abridged.removeAll()
    abridged.append(change.message.bytes)
  }

  /// How many bytes the message at the window's start lacks; nil when it is whole or malformed.
  private static func missing(_ window: RawSpan) -> Int? {
    guard case .incomplete(let missing)? = try? MessageFrame.scan(window) else { return nil }
    return missing
  }

  /// Sends a status update, as far as the socket takes it now.
  ///
  /// To a server that is gone it does nothing: ``receive(now:)`` says so, behind what the server said
  /// last.
  public mutating func send(_ status: StandbyStatusUpdate) throws(PGError) {
    status.encode(time: Self.microsecondsSince2000(), into: &output)
    try flush()
  }

  /// Sends what waits, as far as the socket takes it now.
  public mutating func flush() throws(PGError) {
    while sentOutput < output.count, failure == nil {
      switch try Self.write(output, from: sentOutput, to: &transport) {
      case .bytes(let count): sentOutput += count
      case .wouldBlock: return
      case .closed:
        failure = .closed(.copyBoth)
        hasPending = true
      }
    }
    output.removeAll()
    sentOutput = 0
  }

  private static func write(
    _ output: borrowing ByteWriter, from start: Int, to transport: inout Transport
  ) throws(PGError) -> Transport.Outcome {
    try transport.write(output.bytes(start..<output.count))
  }

  private static func microsecondsSince2000() -> Int64 {
    var time = timespec()
    _ = unsafe clock_gettime(CLOCK_REALTIME, &time)
    return (Int64(time.tv_sec) - 946_684_800) * 1_000_000 + Int64(time.tv_nsec) / 1000
  }
}

extension Transport.Outcome {
  fileprivate var isBytes: Bool { if case .bytes = self { true } else { false } }
}
