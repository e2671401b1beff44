/// The binary forms of `numeric` and `money`.
///
/// ```
/// numeric: Int16 number of digits  Int16 weight  UInt16 sign  UInt16 scale, then the digits,
///          each an Int16 below 10000; the first counts 10000^weight
/// money:   Int64 cents
/// ```
enum NumericBinary {
  /// Appends a numeric with all digits of its scale.
  @_lifetime(reader: copy reader)
  static func append(
    _ reader: inout ByteReader, to text: inout ByteWriter
  ) throws(DecodingError) {
    let count = Int(try reader.integer(Int16.self))
    let weight = Int(try reader.integer(Int16.self))
    let sign = try reader.integer(UInt16.self)
    let scale = Int(try reader.integer(UInt16.self))
    switch sign {
    case 0: break
    case 0x4000: text.append(Ascii.minus)
    case 0xC000: return text.append("NaN")
    case 0xD000: return text.append("Infinity")
    case 0xF000: return text.append("-Infinity")
    default: throw DecodingError(.unknownCode(UInt32(sign)), at: 4)
    }
    guard count >= 0, reader.remaining == count * 2 else {
      throw DecodingError(.badLength(count), at: 0)
    }
    guard scale <= 0x3FFF else { throw DecodingError(.badLength(scale), at: 6) }

    var left = count
    if weight < 0 {
      text.append(Ascii.zero)
    } else {
      for position in 0...weight {
        let digit = try next(&reader, &left)
        if position == 0 {
          text.append(decimal: digit)
        } else {
          text.append(decimal: digit, digits: 4)
        }
      }
    }
    if scale > 0 {
      text.append(0x2E as UInt8)
      // Digits of 10000 that are zero and not sent: between the point and the first one.
      var zeros = min(max(-1 - weight, 0), (scale + 3) / 4)
      var rest = scale
      while rest > 0 {
        let digit = zeros > 0 ? 0 : try next(&reader, &left)
        zeros -= 1
        text.append(decimal: digit, digits: 4)
        rest -= 4
      }
      // The last digits of 10000 may reach beyond the scale.
      text.truncate(to: text.count + rest)
    }
    // Digits beyond the scale are not printed.
    try reader.skip(left * 2)
  }

  /// The next digit; after the last one that was sent come zeros.
  @_lifetime(reader: copy reader)
  private static func next(
    _ reader: inout ByteReader, _ left: inout Int
  ) throws(DecodingError) -> UInt64 {
    guard left > 0 else { return 0 }
    left -= 1
    let digit = try reader.integer(UInt16.self)
    guard digit < 10_000 else {
      throw DecodingError(.violation("a digit of a numeric is too large"), at: reader.offset - 2)
    }
    return UInt64(digit)
  }

  /// Appends money as lc_monetary C has it: `-$1,234.50`.
  static func append(cents: Int64, to text: inout ByteWriter) {
    if cents < 0 { text.append(Ascii.minus) }
    text.append(0x24 as UInt8)
    let (units, rest) = cents.magnitude.quotientAndRemainder(dividingBy: 100)
    var power: UInt64 = 1
    while units / power >= 1000 { power *= 1000 }
    text.append(decimal: units / power)
    while power > 1 {
      power /= 1000
      text.append(Ascii.comma)
      text.append(decimal: units / power % 1000, digits: 3)
    }
    text.append(0x2E as UInt8)
    text.append(decimal: rest, digits: 2)
  }
}
