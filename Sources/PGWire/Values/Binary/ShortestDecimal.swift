/// The shortest decimal digits that name a binary floating-point number, as PostgreSQL 12 and later
/// print it.
///
/// Raffaello Giulietti's Schubfach algorithm, for single and double precision alike. As in
/// PostgreSQL's own code a decimal that lies exactly halfway to the next number does not count as
/// naming this one, since readers disagree on those: 1e23 is `9.999999999999999e+22`.
public struct ShortestDecimal: Hashable, Sendable, BitwiseCopyable {
  /// The significant digits as an integer, without trailing zeros.
  public let digits: UInt64
  /// The power of ten that they are multiplied with.
  public let exponent: Int

  /// The digits of a finite number that is not zero, without its sign.
  public init(_ value: Double) {
    self.init(
      fraction: value.significandBitPattern, biased: Int(value.exponentBitPattern), bits: 52,
      bias: 1075)
  }

  /// The digits of a finite number that is not zero, without its sign.
  public init(_ value: Float) {
    self.init(
      fraction: UInt64(value.significandBitPattern), biased: Int(value.exponentBitPattern),
      bits: 23, bias: 150)
  }

  private init(fraction: UInt64, biased: Int, bits: UInt64, bias: Int) {
    let c = biased == 0 ? fraction : fraction | 1 << bits
    let q = biased == 0 ? 1 - bias : biased - bias
    // Below a power of two the numbers lie twice as close.
    let isLowerCloser = fraction == 0 && biased > 1
    // floor(log10(2^q)), or of 3/4 of it.
    let k = (q * 1_262_611 - (isLowerCloser ? 524_031 : 0)) >> 22
    // floor(log2(10^-k)) + q + 1.
    let h = UInt64(q + (-k * 1_741_647) >> 19 + 1)
    let power = PowersOfTen[-k]
    let lower = Self.roundToOdd(power, (4 * c - (isLowerCloser ? 1 : 2)) << h) + 1
    let middle = Self.roundToOdd(power, 4 * c << h)
    let upper = Self.roundToOdd(power, (4 * c + 2) << h) - 1

    let s = middle / 4
    if s >= 10 {
      let tens = s / 10
      let below = lower <= 40 * tens
      let above = 40 * tens + 40 <= upper
      if below != above {
        self.init(stripping: above ? tens + 1 : tens, exponent: k + 1)
        return
      }
    }
    let below = lower <= 4 * s
    let above = 4 * s + 4 <= upper
    let roundsUp: Bool
    if below != above {
      roundsUp = above
    } else {
      let half = 4 * s + 2
      roundsUp = middle > half || (middle == half && s & 1 != 0)
    }
    self.init(stripping: roundsUp ? s + 1 : s, exponent: k)
  }

  private init(stripping digits: UInt64, exponent: Int) {
    var digits = digits
    var exponent = exponent
    while digits != 0 {
      let (quotient, remainder) = digits.quotientAndRemainder(dividingBy: 10)
      guard remainder == 0 else { break }
      digits = quotient
      exponent += 1
    }
    self.digits = digits
    self.exponent = exponent
  }

  /// The upper part of a product, its last bit set when anything of the lower part was.
  private static func roundToOdd(_ power: UInt128, _ c: UInt64) -> UInt64 {
    let low = UInt64(truncatingIfNeeded: power).multipliedFullWidth(by: c)
    let high = UInt64(truncatingIfNeeded: power >> 64).multipliedFullWidth(by: c)
    let (middle, carries) = high.low.addingReportingOverflow(low.high)
    return high.high &+ (carries ? 1 : 0) | (middle > 1 ? 1 : 0)
  }
}

/// The powers of ten that ``ShortestDecimal`` multiplies with: 128 bits each, rounded up.
enum PowersOfTen {
  private static let least = -292
  private static let greatest = 324

  /// 10^exponent without its power of two, so that the highest of the 128 bits is set.
  static subscript(exponent: Int) -> UInt128 { table[exponent - least] }

  /// Made at the first use, in well under a millisecond: simpler than 617 literals to check.
  private static let table: [UInt128] = {
    var table = [UInt128](repeating: 0, count: greatest - least + 1)
    var power = [UInt64](repeating: 0, count: 18)
    power[0] = 1
    for exponent in 0...greatest {
      table[exponent - least] = leading(power)
      multiplyByTen(&power)
    }
    // 2^1152 divided by ten again and again; what is cut off each time does not add up.
    power = [UInt64](repeating: 0, count: 19)
    power[18] = 1
    for exponent in stride(from: -1, through: least, by: -1) {
      divideByTen(&power)
      table[exponent - least] = leading(power, isExact: false)
    }
    return table
  }()

  /// The 128 leading bits, rounded up unless nothing follows them.
  private static func leading(_ words: [UInt64], isExact: Bool = true) -> UInt128 {
    var top = words.count - 1
    while words[top] == 0 { top -= 1 }
    func word(_ index: Int) -> UInt128 { index >= 0 ? UInt128(words[index]) : 0 }
    let shift = UInt128(words[top].leadingZeroBitCount)
    let high = word(top) << 64 | word(top - 1)
    let low = word(top - 2)
    let leading = high << shift | (shift == 0 ? 0 : low >> (64 - shift))
    let isRest =
      !isExact || (low << (64 + shift)) != 0 || words.prefix(max(top - 2, 0)).contains { $0 != 0 }
    return isRest ? leading + 1 : leading
  }

  private static func multiplyByTen(_ words: inout [UInt64]) {
    var carry: UInt64 = 0
    for index in words.indices {
      let product = words[index].multipliedFullWidth(by: 10)
      let (sum, overflows) = product.low.addingReportingOverflow(carry)
      words[index] = sum
      carry = product.high + (overflows ? 1 : 0)
    }
  }

  private static func divideByTen(_ words: inout [UInt64]) {
    var rest: UInt64 = 0
    for index in words.indices.reversed() {
      (words[index], rest) = UInt64(10).dividingFullWidth((rest, words[index]))
    }
  }
}

extension ByteWriter {
  /// Appends a double as PostgreSQL 12 and later print it: `0.1`, `1e+30`, `-0`, `NaN`, `Infinity`.
  public mutating func append(double value: Double) {
    guard appendSpecial(isNaN: value.isNaN, isFinite: value.isFinite, value.sign, value.isZero)
    else { return }
    append(ShortestDecimal(value), exponentialFrom: 15)
  }

  /// Appends a single precision number as PostgreSQL 12 and later print it.
  public mutating func append(float value: Float) {
    guard appendSpecial(isNaN: value.isNaN, isFinite: value.isFinite, value.sign, value.isZero)
    else { return }
    append(ShortestDecimal(value), exponentialFrom: 6)
  }

  /// Appends the sign and what has no digits; says whether digits follow.
  private mutating func appendSpecial(
    isNaN: Bool, isFinite: Bool, _ sign: FloatingPointSign, _ isZero: Bool
  ) -> Bool {
    if isNaN {
      append("NaN")
      return false
    }
    if sign == .minus { append(Ascii.minus) }
    if isZero { append(Ascii.zero) } else if !isFinite { append("Infinity") }
    return isFinite && !isZero
  }

  private mutating func append(_ value: ShortestDecimal, exponentialFrom limit: Int) {
    let start = count
    append(decimal: value.digits)
    let length = count - start
    // The exponent when one digit stands before the point.
    let exponent = value.exponent + length - 1
    guard exponent >= -4, exponent < limit else {
      if length > 1 { insertPoint(at: start + 1) }
      append(exponent < 0 ? "e-" : "e+")
      let magnitude = UInt64(exponent.magnitude)
      return append(decimal: magnitude, digits: magnitude < 100 ? 2 : 3)
    }
    if value.exponent >= 0 {
      for _ in 0..<value.exponent { append(Ascii.zero) }
    } else if exponent >= 0 {
      insertPoint(at: start + exponent + 1)
    } else {
      truncate(to: start)
      append("0.")
      for _ in 1..<(-exponent) { append(Ascii.zero) }
      append(decimal: value.digits)
    }
  }

  /// Moves what stands from `offset` on by one and puts a point there.
  private mutating func insertPoint(at offset: Int) {
    append(0x2E as UInt8)
    var at = count - 1
    while at > offset {
      let byte = bytes[at - 1]
      set(byte: byte, at: at)
      at -= 1
    }
    set(byte: 0x2E, at: offset)
  }
}
