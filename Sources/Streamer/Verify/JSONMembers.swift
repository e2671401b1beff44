import PGWire

/// Finds the members of a JSON object by their places, without reading what they hold.
///
/// It is for documents that our own formats have written: what is no such document has no members.
enum JSONMembers {
  /// Gives the places of each member's name, without its quotes, and of its value; false when the
  /// bytes are no object.
  @discardableResult
  static func each(
    of object: RawSpan, _ body: (_ name: Range<Int>, _ value: Range<Int>) -> Void
  ) -> Bool {
    var at = skipSpace(object, 0)
    guard at < object.byteCount, object[at] == 0x7B else { return false }
    at = skipSpace(object, at + 1)
    while at < object.byteCount, object[at] == 0x22 {
      let nameEnd = endOfString(object, at)
      let name = at + 1..<max(nameEnd - 1, at + 1)
      at = skipSpace(object, nameEnd)
      guard at < object.byteCount, object[at] == 0x3A else { return false }
      at = skipSpace(object, at + 1)
      let end = endOfValue(object, at)
      guard end > at else { return false }
      body(name, at..<end)
      at = skipSpace(object, end)
      guard at < object.byteCount, object[at] == 0x2C else { break }
      at = skipSpace(object, at + 1)
    }
    return at < object.byteCount && object[at] == 0x7D
  }

  private static func skipSpace(_ text: RawSpan, _ start: Int) -> Int {
    var at = start
    while at < text.byteCount, text[at] <= 0x20 { at &+= 1 }
    return at
  }

  /// The place behind the string that begins with the quote at `start`.
  private static func endOfString(_ text: RawSpan, _ start: Int) -> Int {
    var at = start &+ 1
    while at < text.byteCount {
      let byte = text[at]
      if byte == 0x22 { return at &+ 1 }
      at &+= byte == 0x5C ? 2 : 1
    }
    return text.byteCount
  }

  private static func endOfValue(_ text: RawSpan, _ start: Int) -> Int {
    guard start < text.byteCount else { return start }
    if text[start] == 0x22 { return endOfString(text, start) }
    var at = start
    var depth = 0
    while at < text.byteCount {
      switch text[at] {
      case 0x22:
        at = endOfString(text, at)
        continue
      case 0x7B, 0x5B: depth &+= 1
      case 0x7D, 0x5D:
        if depth == 0 { return at }
        depth &-= 1
        if depth == 0 { return at &+ 1 }
      case 0x2C where depth == 0: return at
      case 0...0x20 where depth == 0: return at
      default: break
      }
      at &+= 1
    }
    return at
  }
}
