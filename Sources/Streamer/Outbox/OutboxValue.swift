import PGWire

/// How the values of a column of an outbox are written.
enum OutboxValue {
  /// PostgreSQL's text.
  case text
  /// `smallint`, `integer`, `bigint`, `oid`: a number of JSON.
  case integer
  /// `boolean`.
  case boolean
  /// `bytea`: the bytes themselves, base64 in JSON.
  case bytea
  /// `json` and `jsonb`.
  case document
  /// A member of a message, as it stands there.
  case member

  /// How the values of a type are.
  init(_ type: UInt32, _ types: TypeCatalog) {
    var type = type
    // A domain's text is that of its base type.
    for _ in 0..<Limits.whereDepth {
      guard case .domain(let base)? = types.description(of: type)?.kind else { break }
      type = base
    }
    switch type {
    case 20, 21, 23, 26: self = .integer
    case 16: self = .boolean
    case 17: self = .bytea
    case 114, 3802: self = .document
    default: self = .text
    }
  }

  /// Appends a value as it stands in a key, a header, or a value without an envelope; false when it
  /// is not what its type says.
  func append(_ value: RawSpan, to bytes: inout ByteWriter) -> Bool {
    switch self {
    case .text, .integer, .boolean, .document:
      bytes.append(value)
      return true
    case .bytea: return Self.append(hex: value, to: &bytes)
    case .member:
      guard value.byteCount > 0, value[0] == 0x22 else {
        bytes.append(value)
        return true
      }
      return JSONUnescape.append(value, to: &bytes)
    }
  }

  /// Appends a value as JSON; false when it is not what its type says.
  func append(json value: RawSpan, to bytes: inout ByteWriter) -> Bool {
    switch self {
    case .text, .document: JSONEscape.append(value, to: &bytes)
    case .integer, .member: bytes.append(value)
    case .boolean:
      if value.byteCount == 1, value[0] == UInt8(ascii: "t") {
        bytes.append("true")
      } else {
        bytes.append("false")
      }
    case .bytea: do { try Base64.append(hex: value, to: &bytes) } catch { return false }
    }
    return true
  }

  /// Appends the bytes of a `bytea`'s text, `\x` and hexadecimal digits.
  private static func append(hex text: RawSpan, to bytes: inout ByteWriter) -> Bool {
    guard let digits = try? Base64.hexDigits(text) else { return false }
    let count = digits.byteCount / 2
    var isWhole = true
    unsafe bytes.append(upTo: count) { room in
      for index in 0..<count {
        guard let high = digit(digits[2 &* index]), let low = digit(digits[2 &* index &+ 1]) else {
          isWhole = false
          return index
        }
        unsafe room.storeBytes(of: high &<< 4 | low, toByteOffset: index, as: UInt8.self)
      }
      return count
    }
    return isWhole
  }

  @inline(__always)
  private static func digit(_ byte: UInt8) -> UInt8? {
    switch byte {
    case 0x30...0x39: byte &- 0x30
    case 0x41...0x46, 0x61...0x66: (byte | 0x20) &- 0x57
    default: nil
    }
  }
}
