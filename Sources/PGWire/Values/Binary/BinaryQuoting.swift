/// When an element of a container's text stands in quotes, and how its quotes are escaped.
enum BinaryQuoting {
  /// Arrays: backslashes, and also for what would read as NULL.
  case array(delimiter: UInt8)
  /// Rows: doubled.
  case composite
  /// Bounds of ranges: doubled, and also for brackets.
  case range

  fileprivate func needsQuotes(for byte: UInt8) -> Bool {
    switch byte {
    case Ascii.quote, Ascii.backslash, Ascii.space, 0x09...0x0D: return true
    default: break
    }
    switch self {
    case .array(let delimiter):
      return byte == delimiter || byte == Ascii.openBrace || byte == Ascii.closeBrace
    case .composite:
      return byte == Ascii.comma || byte == Ascii.openParenthesis
        || byte == Ascii.closeParenthesis
    case .range:
      return byte == Ascii.comma || byte == Ascii.openParenthesis
        || byte == Ascii.closeParenthesis || byte == Ascii.openBracket
        || byte == Ascii.closeBracket
    }
  }
}

extension ByteWriter {
  /// Puts what was written from `start` on in quotes, where a container's text needs them.
  ///
  /// It happens in place, from the end, so nested values need no buffers of their own.
  mutating func quote(from start: Int, _ quoting: BinaryQuoting) {
    var needsQuotes = count == start
    var escapes = 0
    for offset in start..<count {
      let byte = bytes[offset]
      if byte == Ascii.quote || byte == Ascii.backslash { escapes += 1 }
      needsQuotes = needsQuotes || quoting.needsQuotes(for: byte)
    }
    var escape = Ascii.backslash
    if case .array = quoting {
      needsQuotes = needsQuotes || isNull(from: start)
    } else {
      escape = 0
    }
    guard needsQuotes else { return }
    var source = count
    for _ in 0..<(escapes + 2) { append(Ascii.quote) }
    var target = count - 1
    while source > start {
      source -= 1
      target -= 1
      let byte = bytes[source]
      set(byte: byte, at: target)
      if byte == Ascii.quote || byte == Ascii.backslash {
        target -= 1
        set(byte: escape == 0 ? byte : escape, at: target)
      }
    }
    set(byte: Ascii.quote, at: start)
    set(byte: Ascii.quote, at: count - 1)
  }

  /// Whether the word NULL stands there, in letters of any case.
  private func isNull(from start: Int) -> Bool {
    guard count - start == 4 else { return false }
    return bytes[start] | 0x20 == 0x6E && bytes[start + 1] | 0x20 == 0x75
      && bytes[start + 2] | 0x20 == 0x6C && bytes[start + 3] | 0x20 == 0x6C
  }
}
