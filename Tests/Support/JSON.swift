/// A JSON text, read exactly: numbers keep their digits, objects the order of their members.
public enum JSON: Equatable, Sendable {
  /// `null`.
  case null
  /// `true` or `false`.
  case bool(Bool)
  /// A number as it was written.
  case number(String)
  /// A string without its escapes.
  case string(String)
  /// An array.
  case array([JSON])
  /// An object; equality looks at the order of the members too.
  case object([Member])

  /// One member of an object.
  public struct Member: Equatable, Sendable {
    /// The name.
    public let name: String
    /// The value.
    public let value: JSON
    /// A member.
    public init(_ name: String, _ value: JSON) {
      self.name = name
      self.value = value
    }
  }

  /// Reads a whole text.
  ///
  /// - Throws: `SupportError` with the offset of the first byte that JSON does not allow.
  public init(_ text: String) throws {
    var parser = JSONParser(bytes: Array(text.utf8))
    self = try parser.whole()
  }

  /// The member of an object; nil when there is none or this is no object.
  public subscript(name: String) -> JSON? {
    guard case .object(let members) = self else { return nil }
    return members.first { $0.name == name }?.value
  }

  /// The element of an array; nil when there is none or this is no array.
  public subscript(index: Int) -> JSON? {
    guard case .array(let elements) = self, elements.indices.contains(index) else { return nil }
    return elements[index]
  }

  /// The names of an object's members, in order.
  public var names: [String] {
    guard case .object(let members) = self else { return [] }
    return members.map(\.name)
  }

  /// A string's content.
  public var string: String? {
    guard case .string(let value) = self else { return nil }
    return value
  }

  /// A number that is an integer.
  public var int: Int? {
    guard case .number(let digits) = self else { return nil }
    return Int(digits)
  }

  /// A boolean.
  public var bool: Bool? {
    guard case .bool(let value) = self else { return nil }
    return value
  }

  /// An array's elements; empty when this is none.
  public var elements: [JSON] {
    guard case .array(let elements) = self else { return [] }
    return elements
  }
}

/// RFC 8259, by recursive descent.
private struct JSONParser {
  let bytes: [UInt8]
  var position = 0

  init(bytes: [UInt8]) { self.bytes = bytes }

  mutating func whole() throws -> JSON {
    let value = try value(depth: 0)
    skipSpace()
    guard position == bytes.count else { throw bad("the end") }
    return value
  }

  private func bad(_ expected: String) -> SupportError {
    SupportError("not JSON at byte \(position): expected \(expected)")
  }

  private var current: UInt8? { position < bytes.count ? bytes[position] : nil }

  private mutating func skipSpace() {
    while let byte = current, byte == 32 || byte == 9 || byte == 10 || byte == 13 { position += 1 }
  }

  private mutating func take(_ character: Unicode.Scalar) -> Bool {
    guard current == UInt8(ascii: character) else { return false }
    position += 1
    return true
  }

  private mutating func value(depth: Int) throws -> JSON {
    guard depth < 200 else { throw bad("fewer levels") }
    skipSpace()
    switch current {
    case UInt8(ascii: "{"): return try object(depth: depth)
    case UInt8(ascii: "["): return try array(depth: depth)
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "t"): return try word("true", .bool(true))
    case UInt8(ascii: "f"): return try word("false", .bool(false))
    case UInt8(ascii: "n"): return try word("null", .null)
    default: return try number()
    }
  }

  private mutating func word(_ text: StaticString, _ value: JSON) throws -> JSON {
    let expected = Array("\(text)".utf8)
    guard bytes[position...].starts(with: expected) else { throw bad("\(text)") }
    position += expected.count
    return value
  }

  private mutating func object(depth: Int) throws -> JSON {
    position += 1
    var members: [JSON.Member] = []
    skipSpace()
    if take("}") { return .object(members) }
    while true {
      skipSpace()
      guard current == UInt8(ascii: "\"") else { throw bad("a member's name") }
      let name = try string()
      skipSpace()
      guard take(":") else { throw bad("a colon") }
      members.append(.init(name, try value(depth: depth + 1)))
      skipSpace()
      if take("}") { return .object(members) }
      guard take(",") else { throw bad("a comma or }") }
    }
  }

  private mutating func array(depth: Int) throws -> JSON {
    position += 1
    var elements: [JSON] = []
    skipSpace()
    if take("]") { return .array(elements) }
    while true {
      elements.append(try value(depth: depth + 1))
      skipSpace()
      if take("]") { return .array(elements) }
      guard take(",") else { throw bad("a comma or ]") }
    }
  }

  private mutating func number() throws -> JSON {
    let start = position
    _ = take("-")
    try digits(leadingZero: false)
    if take(".") { try digits(leadingZero: true) }
    if take("e") || take("E") {
      if !take("+") { _ = take("-") }
      try digits(leadingZero: true)
    }
    return .number(String(decoding: bytes[start..<position], as: UTF8.self))
  }

  private mutating func digits(leadingZero: Bool) throws {
    let start = position
    while let byte = current, (48...57).contains(byte) { position += 1 }
    guard position > start else { throw bad("a value") }
    if !leadingZero, bytes[start] == 48, position > start + 1 { throw bad("no leading zero") }
  }

  private mutating func string() throws -> String {
    position += 1
    var units: [UInt8] = []
    while let byte = current {
      position += 1
      switch byte {
      case UInt8(ascii: "\""):
        guard let text = String(validating: units, as: UTF8.self) else { throw bad("UTF-8") }
        return text
      case UInt8(ascii: "\\"): try escape(into: &units)
      case ..<32: throw bad("no raw control character")
      default: units.append(byte)
      }
    }
    throw bad("a closing quote")
  }

  private mutating func escape(into units: inout [UInt8]) throws {
    guard let byte = current else { throw bad("an escape") }
    position += 1
    switch byte {
    case UInt8(ascii: "n"): units.append(10)
    case UInt8(ascii: "t"): units.append(9)
    case UInt8(ascii: "r"): units.append(13)
    case UInt8(ascii: "b"): units.append(8)
    case UInt8(ascii: "f"): units.append(12)
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): units.append(byte)
    case UInt8(ascii: "u"): try unicode(into: &units)
    default: throw bad("an escape")
    }
  }

  private mutating func unicode(into units: inout [UInt8]) throws {
    var code = UInt32(try hexUnit())
    if (0xd800..<0xdc00).contains(code) {
      guard take("\\"), take("u") else { throw bad("a low surrogate") }
      let low = UInt32(try hexUnit())
      guard (0xdc00..<0xe000).contains(low) else { throw bad("a low surrogate") }
      code = 0x10000 + (code - 0xd800) << 10 + (low - 0xdc00)
    }
    guard let scalar = Unicode.Scalar(code) else { throw bad("a Unicode scalar") }
    units += Array(String(Character(scalar)).utf8)
  }

  private mutating func hexUnit() throws -> UInt16 {
    // The number's initializer takes a sign too.
    guard position + 4 <= bytes.count,
      bytes[position..<position + 4].allSatisfy({ Unicode.Scalar($0).properties.isASCIIHexDigit }),
      let unit = UInt16(String(decoding: bytes[position..<position + 4], as: UTF8.self), radix: 16)
    else { throw bad("four hexadecimal digits") }
    position += 4
    return unit
  }
}
