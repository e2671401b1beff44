import PGWire

/// How values and names stand in lines for people: on one line, whatever they hold, and with nothing in
/// them that a terminal obeys.
enum TextValue {
  enum Style: UInt8 {
    /// Numbers.
    case plain
    /// `true` or `false`.
    case boolean
    /// In single quotation marks.
    case quoted

    /// The style of a type's values.
    init(_ oid: UInt32, _ types: TypeCatalog) {
      var oid = oid
      for _ in 0..<ValueEncoders.depthLimit {
        guard case .domain(let base) = types.description(of: oid)?.kind else { break }
        oid = base
      }
      self =
        switch oid {
        case 16: .boolean
        case 20, 21, 23, 26, 700, 701, 1700: .plain
        default: .quoted
        }
    }
  }

  /// Appends a value.
  static func append(_ text: RawSpan, _ style: Style, to line: inout ByteWriter) {
    switch style {
    case .quoted:
      line.append(0x27 as UInt8)
      appendEscaped(text, quote: 0x27, to: &line)
      line.append(0x27 as UInt8)
    case .boolean where text.byteCount == 1 && text[0] == 0x74: line.append("true")
    case .boolean where text.byteCount == 1 && text[0] == 0x66: line.append("false")
    default: appendEscaped(text, quote: nil, to: &line)
    }
  }

  /// A name as SQL has it: in double quotation marks unless it is plain.
  static func identifier(_ name: String) -> String {
    let isPlain =
      !name.isEmpty
      && name.unicodeScalars.enumerated().allSatisfy { index, scalar in
        scalar == "_" || ("a"..."z").contains(scalar)
          || (!scalar.isASCII && scalar.properties.isAlphabetic)
          || (index > 0 && (("0"..."9").contains(scalar) || scalar == "$"))
      }
    if isPlain { return name }
    var bytes = ByteWriter(capacity: 32)
    bytes.append(string: name)
    var quoted = ByteWriter(capacity: 32)
    quoted.append(0x22 as UInt8)
    appendEscaped(bytes.bytes, quote: 0x22, to: &quoted)
    quoted.append(0x22 as UInt8)
    return quoted.bytes.text
  }

  /// Doubles quotation marks and escapes control characters, those of two bytes too.
  private static func appendEscaped(_ text: RawSpan, quote: UInt8?, to line: inout ByteWriter) {
    var at = 0
    while at < text.byteCount {
      let byte = text[at]
      at += 1
      switch byte {
      case 0x0A: line.append("\\n")
      case 0x0D: line.append("\\r")
      case 0x09: line.append("\\t")
      case 0..<0x20, 0x7F: appendHexadecimal(byte, to: &line)
      case 0xC2 where at < text.byteCount && (0x80...0x9F).contains(text[at]):
        appendHexadecimal(text[at], to: &line)
        at += 1
      default:
        if byte == quote { line.append(byte) }
        line.append(byte)
      }
    }
  }

  private static func appendHexadecimal(_ byte: UInt8, to line: inout ByteWriter) {
    line.append("\\x")
    line.append(hexadecimal: UInt64(byte), digits: 2)
  }
}
