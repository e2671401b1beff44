import PGWire

/// What stands in an event for a column's value that nobody is to see.
enum ValueMask: Hashable, Sendable {
  /// Hexadecimal digits of a hash over a salt and the value, cut to the length of the column's type.
  ///
  /// `isJava` hashes the value as Java serialises a string, as Debezium's first version did.
  case hash(algorithm: String, salt: Secret, isJava: Bool)
  /// So many asterisks, also for a null.
  case stars(Int)
  /// Null.
  case redact
  /// The first characters, counted as Java counts them.
  case truncate(Int)

  /// How one is written.
  static let expected =
    "\"hash:ALGORITHM:SALT\", \"hash-java:ALGORITHM:SALT\", \"stars:N\", \"truncate:N\" or \"redact\""

  /// Reads a mask; nil when it is none.
  init?(_ text: String) {
    let parts = text.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
    switch (parts.first, parts.count) {
    case ("redact", 1): self = .redact
    case ("stars", 2), ("truncate", 2):
      guard let count = Int(parts[1]), (0...Limits.maskCharacters).contains(count) else {
        return nil
      }
      self = parts[0] == "stars" ? .stars(count) : .truncate(count)
    case ("hash", 3), ("hash-java", 3):
      let algorithm = String(parts[1])
      guard !parts[2].isEmpty, MessageDigest(algorithm) != nil else { return nil }
      self = .hash(
        algorithm: algorithm, salt: Secret(String(parts[2])), isJava: parts[0] == "hash-java")
    default: return nil
    }
  }

  /// Whether what it makes is text, whatever the column's type.
  var makesText: Bool {
    switch self {
    case .hash, .stars: true
    case .redact, .truncate: false
    }
  }
}

/// Writes the values of one column that is masked.
struct ColumnMask: ~Copyable {
  private enum Kind: BitwiseCopyable { case hash, javaHash, stars, redact, truncate }

  private let kind: Kind
  /// The number of stars or characters, or of a hash's digits that are kept.
  private let count: Int
  private let digest: MessageDigest?
  private let salt: ByteWriter

  /// Makes the mask of a column.
  init(_ mask: ValueMask, for column: Relation.Column) {
    var salt = ByteWriter(capacity: 16)
    switch mask {
    case .hash(let algorithm, let text, let isJava):
      kind = isJava ? .javaHash : .hash
      digest = MessageDigest(algorithm)
      salt.append(string: text.revealed)
      // varchar(n) and char(n) hold so many characters.
      let isBounded = (column.type == 1043 || column.type == 1042) && column.typeModifier > 4
      count = isBounded ? Int(column.typeModifier) - 4 : .max
    case .stars(let number):
      kind = .stars
      count = number
      digest = nil
    case .redact:
      kind = .redact
      count = 0
      digest = nil
    case .truncate(let number):
      kind = .truncate
      count = number
      digest = nil
    }
    self.salt = salt
  }

  /// Appends the column for a text.
  func append(_ text: RawSpan, to row: inout ByteWriter) {
    if kind == .redact { return row.appendNullColumn() }
    let start = row.beginColumn()
    switch kind {
    case .hash, .javaHash: appendHash(text, to: &row)
    case .stars: appendStars(to: &row)
    case .truncate: append(firstOf: text, to: &row)
    case .redact: break
    }
    row.endColumn(from: start)
  }

  /// Appends the column for a null, as Debezium does.
  func appendNull(to row: inout ByteWriter) {
    guard kind == .stars else { return row.appendNullColumn() }
    let start = row.beginColumn()
    appendStars(to: &row)
    row.endColumn(from: start)
  }

  /// Appends the column for a value that was not sent.
  func appendUnsent(to row: inout ByteWriter) {
    switch kind {
    case .redact: row.appendNullColumn()
    case .stars: appendNull(to: &row)
    default: row.appendUnchangedColumn()
    }
  }

  private func appendStars(to row: inout ByteWriter) {
    for _ in 0..<count { row.append(UInt8(ascii: "*")) }
  }

  private func appendHash(_ text: RawSpan, to row: inout ByteWriter) {
    guard let digest else { return }
    digest.begin()
    digest.add(salt.bytes)
    if kind == .javaHash { JavaText.add(text, to: digest) } else { digest.add(text) }
    let start = row.count
    digest.end(into: &row)
    if row.count - start > count { row.truncate(to: start + count) }
  }

  /// Java counts a character beyond U+FFFF twice; half of one is left out.
  private func append(firstOf text: RawSpan, to row: inout ByteWriter) {
    var units = 0
    var end = 0
    while end < text.byteCount {
      let byte = text[end]
      let size = byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4
      units += size == 4 ? 2 : 1
      if units > count { break }
      end = min(end + size, text.byteCount)
    }
    row.append(text.extracting(0..<end))
  }
}

/// Texts as Java's serialisation writes them: a header, the length, and UTF-8 in which characters
/// beyond U+FFFF are two surrogates of three bytes each.
enum JavaText {
  /// Adds a text to a digest.
  static func add(_ text: RawSpan, to digest: MessageDigest) {
    addHeader(length(text), to: digest)
    var start = 0
    var offset = 0
    while offset < text.byteCount {
      guard text[offset] >= 0xF0, offset + 4 <= text.byteCount else {
        offset &+= 1
        continue
      }
      digest.add(text.extracting(start..<offset))
      addSurrogates(text, at: offset, to: digest)
      offset &+= 4
      start = offset
    }
    digest.add(text.extracting(start..<text.byteCount))
  }

  private static func length(_ text: RawSpan) -> Int {
    var count = text.byteCount
    for offset in 0..<text.byteCount where text[offset] >= 0xF0 { count += 2 }
    return count
  }

  /// A stream's magic number and version, then a string: a short one has its length in two bytes.
  private static func addHeader(_ length: Int, to digest: MessageDigest) {
    var bytes: InlineArray<13, UInt8> = [0xAC, 0xED, 0, 5, 0x74, 0, 0, 0, 0, 0, 0, 0, 0]
    let isLong = length > 0xFFFF
    if isLong { bytes[4] = 0x7C }
    let size = isLong ? 8 : 2
    for place in 0..<size {
      bytes[5 + place] = UInt8(truncatingIfNeeded: length >> (8 * (size - 1 - place)))
    }
    digest.add(unsafe bytes.span.bytes.extracting(0..<5 + size))
  }

  private static func addSurrogates(_ text: RawSpan, at offset: Int, to digest: MessageDigest) {
    var scalar = UInt32(text[offset] & 7)
    for place in 1..<4 { scalar = scalar << 6 | UInt32(text[offset + place] & 0x3F) }
    let rest = scalar &- 0x1_0000
    var bytes: InlineArray<6, UInt8> = [0xED, 0, 0, 0xED, 0, 0]
    let high = 0xD800 | rest >> 10
    let low = 0xDC00 | rest & 0x3FF
    bytes[1] = 0x80 | UInt8(truncatingIfNeeded: high >> 6 & 0x3F)
    bytes[2] = 0x80 | UInt8(truncatingIfNeeded: high & 0x3F)
    bytes[4] = 0x80 | UInt8(truncatingIfNeeded: low >> 6 & 0x3F)
    bytes[5] = 0x80 | UInt8(truncatingIfNeeded: low & 0x3F)
    digest.add(unsafe bytes.span.bytes)
  }
}
