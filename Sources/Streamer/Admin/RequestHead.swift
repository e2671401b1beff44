/// The head of an HTTP request as its bytes come: its line, its headers, and an empty line.
enum RequestHead {
  /// What can be said of it so far.
  enum Verdict: Hashable {
    /// More has to come.
    case unfinished
    /// It is there, and every line ends as HTTP's lines do.
    case whole
    /// A line ends otherwise, which others on the way may read differently (RFC 9112, 2.2).
    case malformed
  }

  /// Looks at the bytes that have come, from the first on.
  static func judge(_ bytes: ArraySlice<UInt8>) -> Verdict {
    let (lineFeed, carriageReturn) = (UInt8(ascii: "\n"), UInt8(ascii: "\r"))
    var before: UInt8 = 0
    var lineBytes = 0
    var lines = 0
    for byte in bytes {
      if before == carriageReturn ? byte != lineFeed : byte == lineFeed { return .malformed }
      if byte == 0 { return .malformed }
      if byte == lineFeed {
        if lineBytes == 0, lines > 0 { return .whole }
        lines += 1
        lineBytes = 0
      } else if byte != carriageReturn {
        lineBytes += 1
      }
      before = byte
    }
    return .unfinished
  }
}
