/// The window of received bytes: filled at its end by the transport, consumed at its start.
///
/// It starts at its initial capacity, grows only when it is told what has to fit, up to `limit`, and
/// shrinks again as soon as what it holds is small. Bytes move only when the space behind them does
/// not suffice.
@safe public struct InputBuffer: ~Copyable {
  private var base: UnsafeMutableRawPointer
  private var capacity: Int
  private var start = 0
  private var end = 0
  private let initialCapacity: Int
  private let limit: Int
  /// How much may be received behind a message before that is consumed, in bytes.
  static let readAhead = 2 << 20
  /// The least room for which it is worth moving bytes or calling the kernel.
  static let worthReading = 64 << 10
  /// The largest message, its tag and length included, and what is read ahead.
  public static let defaultLimit = MessageFrame.defaultLimit + 1 + readAhead

  /// Makes an empty buffer.
  ///
  /// `capacity` and `limit` are bytes; the limit must cover the largest message that framing lets
  /// through, its tag and length included, and what is received behind it at once.
  public init(capacity: Int = 1 << 20, limit: Int = defaultLimit) {
    precondition(capacity > 0 && limit >= capacity, "a buffer's limit covers its capacity")
    unsafe self.base = .allocate(byteCount: capacity, alignment: 16)
    self.capacity = capacity
    self.initialCapacity = capacity
    self.limit = limit
  }

  deinit { unsafe base.deallocate() }

  /// How many bytes can be read.
  public var count: Int { end - start }

  /// How many bytes it takes without growing.
  public var room: Int { capacity - count }

  /// Whether nothing can be read.
  public var isEmpty: Bool { start == end }

  /// What was received and not consumed yet.
  public var readable: RawSpan {
    @_lifetime(borrow self) get {
      // SAFETY: start ≤ end ≤ capacity, and the memory lives as long as self.
      let buffer = unsafe UnsafeRawBufferPointer(start: base + start, count: end - start)
      let span = unsafe RawSpan(_unsafeBytes: buffer)
      return unsafe _overrideLifetime(span, borrowing: self)
    }
  }

  /// Drops the first `count` readable bytes.
  public mutating func consume(_ count: Int) {
    precondition(count >= 0 && count <= end - start, "more is consumed than was received")
    start += count
    if start == end {
      start = 0
      end = 0
    }
    if capacity > initialCapacity, self.count <= initialCapacity / 2 {
      replace(capacity: initialCapacity)
    }
  }

  /// Lets `body` write behind the readable bytes and keeps as many as it says it wrote.
  ///
  /// There are at least `minimum` bytes of room, usually more; the buffer grows for them, so they
  /// are for the caller to bound.
  public mutating func withFreeSpace<E: Error>(
    minimum: Int, _ body: (UnsafeMutableRawBufferPointer) throws(E) -> Int
  ) throws(E) -> Int {
    makeRoom(minimum)
    return try unsafe fill(body)
  }

  /// The same without growing; there must be ``room``, all of which `body` may use.
  public mutating func withRoom<E: Error>(
    _ body: (UnsafeMutableRawBufferPointer) throws(E) -> Int
  ) throws(E) -> Int {
    precondition(room > 0, "a full buffer is not written to")
    // A small rest at the end is not worth a call to the kernel.
    if capacity - end < min(room, Self.worthReading) { moveToStart() }
    return try unsafe fill(body)
  }

  /// Grows so that `count` bytes fit, those that are there included; `limit` must cover them.
  ///
  /// It doubles on the way: a length that somebody only claims costs no memory.
  public mutating func grow(toHold count: Int) {
    precondition(count <= limit, "framing lets no message through that the buffer cannot hold")
    guard count > capacity else { return }
    replace(capacity: min(count, max(capacity * 2, self.count)))
  }

  private mutating func fill<E: Error>(
    _ body: (UnsafeMutableRawBufferPointer) throws(E) -> Int
  ) throws(E) -> Int {
    // SAFETY: start ≤ end ≤ capacity.
    let room = unsafe UnsafeMutableRawBufferPointer(start: base + end, count: capacity - end)
    let written = try unsafe body(room)
    precondition(written >= 0 && written <= room.count, "more was written than there was room for")
    end += written
    return written
  }

  private mutating func makeRoom(_ minimum: Int) {
    precondition(minimum > 0, "room for at least one byte is asked for")
    guard capacity - end < minimum else { return }
    let needed = count + minimum
    precondition(needed <= limit, "framing lets no message through that the buffer cannot hold")
    if needed <= capacity {
      moveToStart()
    } else {
      replace(capacity: min(limit, max(capacity * 2, needed)))
    }
  }

  private mutating func moveToStart() {
    guard start > 0 else { return }
    // SAFETY: both ranges lie within the allocation; memmove may overlap.
    unsafe base.copyMemory(from: base + start, byteCount: count)
    end -= start
    start = 0
  }

  private mutating func replace(capacity wanted: Int) {
    let other = UnsafeMutableRawPointer.allocate(byteCount: wanted, alignment: 16)
    // SAFETY: the new allocation holds at least `count` bytes.
    unsafe other.copyMemory(from: base + start, byteCount: count)
    unsafe base.deallocate()
    unsafe base = other
    end -= start
    start = 0
    capacity = wanted
  }
}
