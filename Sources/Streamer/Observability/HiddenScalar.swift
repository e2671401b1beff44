extension Unicode.Scalar {
  /// Whether it ends a line, steers a terminal, or changes the order in which others are shown: such
  /// a character of a name must not reach a log or a terminal as it is.
  var isHidden: Bool {
    switch value {
    case 0..<0x20, 0x7F..<0xA0: true  // C0, DEL, C1
    case 0x2028, 0x2029: true  // line and paragraph separator
    // Bidirectional controls and marks, and the mark of byte order.
    case 0x061C, 0x200E, 0x200F, 0x202A...0x202E, 0x2066...0x2069, 0xFEFF: true
    default: false
    }
  }

  /// Whether it breaks or steers a line, and not only the order of what is shown.
  var breaksLine: Bool {
    switch value {
    case 0..<0x20, 0x7F..<0xA0, 0x2028, 0x2029: true
    default: false
    }
  }

  /// Its escape in JSON: `\u` and four digits, for what lies in the basic plane.
  var escape: String {
    let digits = String(value, radix: 16)
    return "\\u" + String(repeating: "0", count: max(0, 4 - digits.utf8.count)) + digits
  }
}
