import PGWire

/// A pattern of `LIKE`, taken apart: two bytes for each element, what it is and the byte it stands for.
struct LikePattern: Hashable, Sendable {
  private static let literal: UInt8 = 0
  private static let anyOne: UInt8 = 1
  private static let any: UInt8 = 2

  /// The elements.
  let elements: [UInt8]

  /// Takes a pattern apart; nil when its escape character has nothing behind it.
  init?(_ pattern: String, escape: Unicode.Scalar?) {
    var elements: [UInt8] = []
    var scalars = pattern.unicodeScalars[...]
    while let scalar = scalars.popFirst() {
      if scalar == escape {
        guard let next = scalars.popFirst() else { return nil }
        for byte in String(next).utf8 { elements += [Self.literal, byte] }
      } else if scalar == "%" {
        elements += [Self.any, 0]
      } else if scalar == "_" {
        elements += [Self.anyOne, 0]
      } else {
        for byte in String(scalar).utf8 { elements += [Self.literal, byte] }
      }
    }
    self.elements = elements
  }

  /// Whether a text matches; it steps back only to the last `%`.
  static func matches(_ elements: RawSpan, _ text: RawSpan) -> Bool {
    var p = 0
    var n = 0
    var retry = (p: -1, n: 0)
    while n < text.byteCount {
      let kind = p < elements.byteCount ? elements[p] : 0xFF
      if kind == any {
        retry = (p &+ 2, n)
        p &+= 2
      } else if kind == anyOne {
        n = next(text, n)
        p &+= 2
      } else if kind == literal, elements[p &+ 1] == text[n] {
        n &+= 1
        p &+= 2
      } else if retry.p >= 0 {
        retry.n = next(text, retry.n)
        p = retry.p
        n = retry.n
      } else {
        return false
      }
    }
    while p < elements.byteCount {
      if elements[p] != any { return false }
      p &+= 2
    }
    return true
  }

  /// Where the character behind the one at `offset` begins.
  private static func next(_ text: RawSpan, _ offset: Int) -> Int {
    var offset = offset &+ 1
    while offset < text.byteCount, text[offset] & 0xC0 == 0x80 { offset &+= 1 }
    return offset
  }
}
