/// Writes a small JSON document for people and programs that ask for a status.
///
/// Rows have an encoder of their own; this one is for what is not on the row path. Commas are
/// its business, the nesting is the caller's.
struct JSONText {
  /// The UTF-8 written so far.
  private(set) var bytes: [UInt8] = []
  private var needsComma = false

  /// Writes `{`, what `body` writes, and `}`.
  mutating func object(_ body: (inout JSONText) -> Void) { nest("{", "}", body) }

  /// Writes `[`, what `body` writes, and `]`.
  mutating func array(_ body: (inout JSONText) -> Void) { nest("[", "]", body) }

  private mutating func nest(
    _ open: Unicode.Scalar, _ close: Unicode.Scalar, _ body: (inout JSONText) -> Void
  ) {
    separate()
    bytes.append(UInt8(ascii: open))
    needsComma = false
    body(&self)
    bytes.append(UInt8(ascii: close))
    needsComma = true
  }

  /// Writes an object's key; its value must follow.
  mutating func key(_ name: String) {
    separate()
    quote(name)
    bytes.append(UInt8(ascii: ":"))
    needsComma = false
  }

  /// Writes a string, or null.
  mutating func value(_ text: String?) {
    separate()
    if let text { quote(text) } else { bytes.append(contentsOf: "null".utf8) }
    needsComma = true
  }

  /// Writes a whole number.
  mutating func value(_ number: some BinaryInteger) { plain(String(number)) }

  /// Writes true or false.
  mutating func value(_ flag: Bool) { plain(flag ? "true" : "false") }

  /// Writes a number or a literal that is JSON already.
  mutating func plain(_ text: String) {
    separate()
    bytes.append(contentsOf: text.utf8)
    needsComma = true
  }

  private mutating func separate() {
    if needsComma { bytes.append(UInt8(ascii: ",")) }
  }

  private mutating func quote(_ text: String) {
    bytes.append(UInt8(ascii: "\""))
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"", "\\":
        bytes.append(UInt8(ascii: "\\"))
        bytes.append(UInt8(scalar.value))
      case "\n": bytes.append(contentsOf: "\\n".utf8)
      case "\r": bytes.append(contentsOf: "\\r".utf8)
      case "\t": bytes.append(contentsOf: "\\t".utf8)
      case _ where scalar.isHidden: bytes.append(contentsOf: scalar.escape.utf8)
      default: bytes.append(contentsOf: scalar.utf8)
      }
    }
    bytes.append(UInt8(ascii: "\""))
  }
}
