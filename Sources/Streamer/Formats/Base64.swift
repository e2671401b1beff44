import PGWire

/// Writes bytes in base64 (RFC 4648 §4, with padding), from themselves or from `bytea`'s text.
enum Base64 {
  private static let alphabet: StaticString =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

  /// The character for the low six bits.
  @inline(__always)
  private static func character(_ value: UInt32) -> UInt32 {
    // SAFETY: the alphabet has 64 characters and the index six bits.
    unsafe UInt32(alphabet.utf8Start[Int(value & 0x3F)])
  }

  /// The four characters of 24 bits, the first one lowest.
  @inline(__always)
  private static func quad(_ bits: UInt32) -> UInt32 {
    character(bits &>> 18) | character(bits &>> 12) &<< 8 | character(bits &>> 6) &<< 16
      | character(bits) &<< 24
  }

  /// The last four characters of one or two bytes, which are the high ones of 24 bits.
  private static func last(_ bits: UInt32, byteCount: Int) -> UInt32 {
    byteCount == 2
      ? quad(bits) & 0x00FF_FFFF | 0x3D00_0000 : quad(bits) & 0x0000_FFFF | 0x3D3D_0000
  }

  /// Appends bytes as a JSON string in base64.
  static func append(_ bytes: RawSpan, to json: inout ByteWriter) {
    json.append(0x22 as UInt8)
    append(characters: bytes, to: &json)
    json.append(0x22 as UInt8)
  }

  /// Appends bytes in base64, without quotes.
  static func append(characters bytes: RawSpan, to json: inout ByteWriter) {
    let count = bytes.byteCount
    unsafe json.append(upTo: (count &+ 2) / 3 &* 4) { room in
      var written = 0
      var at = 0
      while at < count {
        let size = min(3, count &- at)
        let bits = UInt32(truncatingIfNeeded: bytes.word(at: at, size)).byteSwapped &>> 8
        let text = size == 3 ? quad(bits) : last(bits, byteCount: size)
        // SAFETY: four characters for each started group of three bytes were asked for.
        unsafe room.storeBytes(of: text.littleEndian, toByteOffset: written, as: UInt32.self)
        written &+= 4
        at &+= size
      }
      return written
    }
  }

  /// Appends `bytea`'s text, `\x` and hexadecimal digits, as a JSON string in base64.
  ///
  /// Throws ``DecodingError`` when the text is not in the hex format (`bytea_output`).
  static func append(hex text: RawSpan, to json: inout ByteWriter) throws(DecodingError) {
    try append(digits: try hexDigits(text), to: &json)
  }

  /// Appends an even number of hexadecimal digits as a JSON string in base64.
  static func append(digits: RawSpan, to json: inout ByteWriter) throws(DecodingError) {
    let count = digits.byteCount
    var isMalformed = false
    json.append(0x22 as UInt8)
    unsafe json.append(upTo: (count / 2 &+ 2) / 3 &* 4) { room in
      var written = 0
      var at = 0
      while at < count {
        let size = min(6, count &- at)
        guard let bits = bits(digits.word(at: at, size), size) else {
          isMalformed = true
          break
        }
        let text = size == 6 ? quad(bits) : last(bits, byteCount: size / 2)
        // SAFETY: four characters for each started group of six digits were asked for.
        unsafe room.storeBytes(of: text.littleEndian, toByteOffset: written, as: UInt32.self)
        written &+= 4
        at &+= size
      }
      return written
    }
    json.append(0x22 as UInt8)
    if isMalformed {
      throw DecodingError(.violation("a bytea holds a byte that is no digit"), at: 0)
    }
  }

  /// The digits after `\x`, an even number of them.
  @_lifetime(copy text)
  static func hexDigits(_ text: RawSpan) throws(DecodingError) -> RawSpan {
    guard text.byteCount >= 2, text[0] == 0x5C, text[1] == 0x78, text.byteCount & 1 == 0 else {
      throw DecodingError(.violation("a bytea is not in the hex format"), at: 0)
    }
    return text.extracting(2..<text.byteCount)
  }

  /// The 24 bits of six hexadecimal digits, the missing ones as zero; nil for other characters.
  @inline(__always)
  private static func bits(_ word: UInt64, _ count: Int) -> UInt32? {
    let ones: UInt64 = 0x0101_0101_0101_0101
    let text = word | (ones &* 0x30) &<< UInt64(count &* 8)
    guard areHexadecimal(text) else { return nil }
    let letters = (text &>> 6) & ones
    let nibbles = (text & (ones &* 0x0F)) &+ letters &* 9
    // Each digit to its place: the first one is the highest of the 24 bits.
    let first = (nibbles & 0xF) &<< 20 | (nibbles &<< 8) & 0xF_0000
    let second = (nibbles &>> 4) & 0xF000 | (nibbles &>> 16) & 0xF00
    let third = (nibbles &>> 28) & 0xF0 | (nibbles &>> 40) & 0xF
    return UInt32(truncatingIfNeeded: first | second | third)
  }

  /// Whether each of the eight bytes is one of 0-9, a-f, A-F.
  @inline(__always)
  static func areHexadecimal(_ word: UInt64) -> Bool {
    let ones: UInt64 = 0x0101_0101_0101_0101
    let low = ones &* 0x7F
    // The high bit of each byte tells that it is 10 or more counted from "0" …
    let digit = word ^ (ones &* 0x30)
    let noDigit = ((digit & low) &+ ones &* 0x76) | digit
    // … and that it is 7 or more, or 0, counted from "`".
    let letter = (word | ones &* 0x20) ^ (ones &* 0x60)
    let noLetter = (((letter & low) &+ ones &* 0x79) | letter) | ~((letter & low) &+ low | letter)
    return noDigit & noLetter & (ones &* 0x80) == 0
  }
}
