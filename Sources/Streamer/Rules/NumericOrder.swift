import PGWire

/// Compares numerics by their text, exactly, however many digits they have.
enum NumericOrder {
  /// A number's sign and where its digits are, without zeros that say nothing.
  private struct Parts {
    /// -2 for minus infinity, 2 for infinity, 3 for what is no number; else the sign, 0 for zero.
    var rank = 0
    var whole = 0..<0
    var fraction = 0..<0

    init(_ text: RawSpan) {
      var start = 0
      let end = text.byteCount
      var sign = 1
      if end > 0, text[0] == UInt8(ascii: "-") {
        sign = -1
        start = 1
      }
      guard start < end, text[start] != UInt8(ascii: "N") else {
        rank = 3
        return
      }
      guard text[start] != UInt8(ascii: "I") else {
        rank = 2 * sign
        return
      }
      var point = start
      while point < end, text[point] != UInt8(ascii: ".") { point &+= 1 }
      while start < point, text[start] == UInt8(ascii: "0") { start &+= 1 }
      var last = end
      let first = min(point &+ 1, end)
      while last > first, text[last &- 1] == UInt8(ascii: "0") { last &-= 1 }
      whole = start..<point
      fraction = first..<last
      rank = whole.isEmpty && fraction.isEmpty ? 0 : sign
    }
  }

  /// Less than 0 when `a` is less than `b`, 0 when they are equal.
  static func compare(_ a: RawSpan, _ b: RawSpan) -> Int {
    let x = Parts(a)
    let y = Parts(b)
    if x.rank != y.rank { return x.rank < y.rank ? -1 : 1 }
    guard x.rank == 1 || x.rank == -1 else { return 0 }
    var order = x.whole.count - y.whole.count
    if order == 0 {
      order = ByteOrder.compare(a.extracting(x.whole), b.extracting(y.whole))
    }
    if order == 0 {
      order = ByteOrder.compare(a.extracting(x.fraction), b.extracting(y.fraction))
    }
    return order * x.rank
  }
}

/// Compares texts byte by byte.
enum ByteOrder {
  /// Less than 0 when `a` is less than `b`, 0 when they are equal.
  static func compare(_ a: RawSpan, _ b: RawSpan) -> Int {
    let count = min(a.byteCount, b.byteCount)
    var offset = 0
    while offset < count {
      let x = a[offset]
      let y = b[offset]
      if x != y { return x < y ? -1 : 1 }
      offset &+= 1
    }
    return a.byteCount - b.byteCount
  }
}
