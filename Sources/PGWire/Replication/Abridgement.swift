/// Reads a change through that is too large to be held, and leaves an ``AbridgedMessage`` of it: the same
/// without its long values.
///
/// It holds what it keeps, never what it leaves out: the bytes come in any pieces.
struct Abridgement: ~Copyable {
  /// What the message may keep of it.
  struct Bounds {
    /// Bytes of one value, which a key hardly reaches.
    var value = 64 << 10
    /// Bytes of all of them together.
    var whole: Int
  }

  /// Bytes of a message that tell whether it is a change, and where its row begins.
  static let headerSize = MessageFrame.headerSize + ReplicationMessage.payloadOffset + 14

  /// What comes next.
  private enum Step {
    /// A row image, or the message's end.
    case image
    /// So many columns.
    case columns(Int)
    /// A value's bytes, which are kept or not, and so many columns behind it.
    case value(left: Int, isKept: Bool, columns: Int)
    /// A logical message's prefix, of which so many bytes have come.
    case prefix(Int)
    /// How long a logical message's content is.
    case contentLength
    /// The content.
    case content(left: Int)
  }

  private let bounds: Bounds
  private let digest: MessageDigest
  private var step: Step
  /// Bytes of the original that have not come.
  private var left: Int
  private var hasImage = false
  /// What is kept.
  private(set) var message: ByteWriter
  /// Where the digest stands in it.
  private let digestPlace: Int

  /// Begins with the first bytes of a window, at least ``headerSize``, and says how many it has taken; nil
  /// when they are no change.
  ///
  /// `isInChunk`: whether the stream stands inside a chunk, where changes name their subtransaction.
  init?(_ window: RawSpan, isInChunk: Bool, bounds: Bounds, taken: inout Int) {
    var reader = ByteReader(window)
    guard window.byteCount >= Self.headerSize, let digest = MessageDigest("SHA-256"),
      let tag = try? reader.byte(), tag == UInt8(ascii: "d"),
      let length = try? Int(reader.integer(Int32.self)),
      let kind = try? reader.byte(), kind == UInt8(ascii: "w")
    else { return nil }
    let payload = MessageFrame.headerSize + ReplicationMessage.payloadOffset
    let isMessage = window[payload] == UInt8(ascii: "M")
    guard isMessage || "IUD".utf8.contains(window[payload]) else { return nil }
    self.bounds = bounds
    self.digest = digest
    // The tag, a subtransaction, and the relation, or a message's flags and position.
    let fixed = 1 + (isInChunk ? 4 : 0) + (isMessage ? 9 : 4)
    step = isMessage ? .prefix(0) : .image
    taken = payload + fixed
    left = length + 1 - taken
    message = ByteWriter(capacity: 4096)
    message.append(window.extracting(0..<payload))
    message.append(AbridgedMessage.tag)
    message.append(bigEndian: Int64(length + 1 - payload))
    digestPlace = message.count
    for _ in 0..<SHA256.byteCount { message.append(UInt8(0)) }
    message.append(window.extracting(payload..<taken))
    digest.begin()
  }

  /// Whether the whole message has come; ``message`` is what is left of it then.
  var isComplete: Bool { left == 0 }

  /// Takes what it can of a window and says how many bytes; throws when they are no message.
  mutating func take(_ window: RawSpan) throws(DecodingError) -> Int {
    var offset = 0
    while left > 0 {
      let rest = window.extracting(offset..<min(window.byteCount, offset + left))
      guard let count = try takeStep(rest) else {
        // The message ends, and something of it is missing.
        guard rest.byteCount < left else { throw malformed(rest.byteCount) }
        return offset
      }
      offset += count
      left -= count
    }
    try finish()
    return offset
  }

  /// Takes one thing; nil when there is not enough of it.
  private mutating func takeStep(_ rest: RawSpan) throws(DecodingError) -> Int? {
    guard rest.byteCount > 0 else { return nil }
    switch step {
    case .image: return try image(rest)
    case .columns(let count): return try column(rest, of: count)
    case .value(let bytes, let isKept, let columns):
      let part = rest.extracting(first: min(bytes, rest.byteCount))
      digest.add(part)
      if isKept { message.append(part) }
      let missing = bytes - part.byteCount
      step =
        missing > 0 ? .value(left: missing, isKept: isKept, columns: columns) : after(columns)
      return part.byteCount
    case .prefix(let count):
      let byte = rest[0]
      if byte == 0 || count < bounds.value { message.append(byte) }
      step = byte == 0 ? .contentLength : .prefix(count + 1)
      return 1
    case .contentLength:
      guard rest.byteCount >= 4 else { return nil }
      var reader = ByteReader(rest)
      let length = Int(try reader.integer(Int32.self))
      guard length == left - 4 else { throw malformed(length) }
      message.append(bigEndian: Int32(0))
      step = .content(left: length)
      return 4
    case .content(let bytes):
      digest.add(rest)
      step = .content(left: bytes - rest.byteCount)
      return rest.byteCount
    }
  }

  private mutating func image(_ rest: RawSpan) throws(DecodingError) -> Int? {
    guard rest.byteCount >= 3 else { return nil }
    var reader = ByteReader(rest)
    guard "NKO".utf8.contains(try reader.byte()) else { throw malformed(Int(rest[0])) }
    let count = Int(try reader.integer(Int16.self))
    guard count >= 0 else { throw malformed(count) }
    message.append(rest.extracting(first: 3))
    hasImage = true
    // The digest is that of the row's last image.
    digest.begin()
    step = after(count)
    return 3
  }

  private mutating func column(_ rest: RawSpan, of count: Int) throws(DecodingError) -> Int? {
    let kind = rest[0]
    guard kind == UInt8(ascii: "t") || kind == UInt8(ascii: "b") else {
      guard kind == UInt8(ascii: "n") || kind == UInt8(ascii: "u") else {
        throw malformed(Int(kind))
      }
      message.append(kind)
      step = after(count - 1)
      return 1
    }
    guard rest.byteCount >= 5 else { return nil }
    var reader = ByteReader(rest.extracting(1..<5))
    let length = Int(try reader.integer(Int32.self))
    guard length >= 0, length <= left - 5 else { throw malformed(length) }
    let isKept = length <= bounds.value && message.count + length <= bounds.whole
    // What is left out stands as a value that did not change, of which the server sends nothing.
    if isKept {
      message.append(rest.extracting(first: 5))
    } else {
      message.append(UInt8(ascii: "u"))
    }
    step =
      length > 0 ? .value(left: length, isKept: isKept, columns: count - 1) : after(count - 1)
    return 5
  }

  private func after(_ columns: Int) -> Step { columns > 0 ? .columns(columns) : .image }

  private mutating func finish() throws(DecodingError) {
    switch step {
    case .image where hasImage: break
    case .content: break
    default: throw malformed(0)
    }
    message.set(bigEndian: Int32(message.count - 1), at: 1)
    let hash = digest.end()
    for place in stride(from: 0, to: SHA256.byteCount, by: 4) {
      let word = hash[place..<place + 4].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
      message.set(bigEndian: Int32(bitPattern: word), at: digestPlace + place)
    }
  }

  private func malformed(_ value: Int) -> DecodingError {
    DecodingError(.badLength(value), at: 0)
  }
}

/// What is left of a change that was too large to be held (manual: nothing; no server sends it).
///
/// ```
/// 'X' Int64 bytes of the original  Byte32 SHA-256 of its values, one after the other
///     Byten the message, in which long values are unchanged TOASTed ones, and a content is empty
/// ```
public struct AbridgedMessage: ~Escapable {
  static let tag = UInt8(ascii: "X")
  /// Where the message begins.
  @usableFromInline static let messageOffset = 1 + 8 + SHA256.byteCount

  /// How many bytes the original took.
  public let size: Int
  /// The SHA-256 of the row's values, or of the content.
  public let digest: RawSpan
  /// A change or a logical message.
  public let message: RawSpan

  @_lifetime(copy reader)
  init(from reader: inout ByteReader) throws(DecodingError) {
    let declared = try reader.integer(Int64.self)
    let start = reader.offset
    try reader.skip(SHA256.byteCount)
    digest = reader.bytes.extracting(start..<reader.offset)
    let place = reader.offset
    message = reader.rest()
    guard declared > 0, declared <= MessageFrame.defaultLimit, message.byteCount > 0,
      "IUDM".utf8.contains(message[0])
    else { throw DecodingError(.badLength(Int(clamping: declared)), at: place) }
    size = Int(declared)
  }

  /// The message of a payload, of whatever kind it is: that of one that was abridged is what is left.
  @_lifetime(copy payload)
  public static func message(of payload: RawSpan) -> RawSpan {
    guard payload.byteCount > messageOffset, payload[0] == tag else { return payload }
    return payload.extracting(messageOffset..<payload.byteCount)
  }
}
