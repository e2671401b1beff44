/// An `interval` read from its text in IntervalStyle postgres (manual: "Interval Output").
///
///     1 year 2 mons -3 days +04:05:06.7   -00:00:01   infinity
///
/// Each part has a sign of its own; hours, minutes, seconds share one.
public struct IntervalText: Hashable, Sendable {
  /// Years, with their sign.
  public private(set) var years: Int64 = 0
  /// Months, with their sign: -11 to 11.
  public private(set) var months: Int64 = 0
  /// Days, with their sign.
  public private(set) var days: Int64 = 0
  /// Whether the time part is negative.
  public private(set) var isTimeNegative = false
  /// Hours without sign.
  public private(set) var hours: Int64 = 0
  /// Minutes without sign: 0 to 59.
  public private(set) var minutes: Int64 = 0
  /// Seconds without sign: 0 to 59.
  public private(set) var seconds: Int64 = 0
  /// Microseconds without sign: 0 to 999999.
  public private(set) var microseconds: Int64 = 0

  /// Reads a finite interval; throws ``DecodingError`` for every other text.
  public init(_ text: RawSpan) throws(DecodingError) {
    var scanner = TextScanner(text)
    guard !scanner.isAtEnd else { throw Self.malformed(at: 0) }
    while !scanner.isAtEnd {
      let isNegative = scanner.skip(Ascii.minus)
      if !isNegative { _ = scanner.skip(Ascii.plus) }
      let number = try Self.number(&scanner)
      if scanner.peek == Ascii.colon {
        try readTime(&scanner, hours: number, isNegative: isNegative)
        guard scanner.isAtEnd else { throw Self.malformed(at: scanner.position) }
        return
      }
      try readUnit(&scanner, isNegative ? -number : number)
      guard scanner.isAtEnd || scanner.skip(Ascii.space) else {
        throw Self.malformed(at: scanner.position)
      }
    }
  }

  @_lifetime(scanner: copy scanner)
  private mutating func readTime(
    _ scanner: inout TextScanner, hours: Int64, isNegative: Bool
  ) throws(DecodingError) {
    self.hours = hours
    isTimeNegative = isNegative
    try scanner.expect(Ascii.colon, "an interval's time has colons")
    minutes = try Self.number(&scanner)
    try scanner.expect(Ascii.colon, "an interval's time has colons")
    seconds = try Self.number(&scanner)
    guard scanner.skip(0x2E) else { return }
    let start = scanner.position
    var fraction = try Self.number(&scanner)
    let digits = scanner.position - start
    guard digits <= 6 else { throw Self.malformed(at: start) }
    for _ in digits..<6 { fraction *= 10 }
    microseconds = fraction
  }

  @_lifetime(scanner: copy scanner)
  private mutating func readUnit(
    _ scanner: inout TextScanner, _ value: Int64
  ) throws(DecodingError) {
    try scanner.expect(Ascii.space, "a space follows a number of an interval")
    let start = scanner.position
    while let byte = scanner.peek, byte != Ascii.space { scanner.position &+= 1 }
    let count = scanner.position - start
    guard count >= 3 else { throw Self.malformed(at: start) }
    // The first letter tells year(s), mon(s) and day(s) apart.
    switch scanner.bytes[start] {
    case 0x79: years = value
    case 0x6D: months = value
    case 0x64: days = value
    default: throw Self.malformed(at: start)
    }
  }

  @_lifetime(scanner: copy scanner)
  private static func number(_ scanner: inout TextScanner) throws(DecodingError) -> Int64 {
    let start = scanner.position
    var value: Int64 = 0
    while let byte = scanner.peek, Ascii.isDigit(byte) {
      // Eighteen digits cannot overflow and are more than any interval has.
      guard scanner.position - start < 18 else { throw malformed(at: start) }
      value = value * 10 + Int64(byte - Ascii.zero)
      scanner.position &+= 1
    }
    guard scanner.position > start else { throw malformed(at: start) }
    return value
  }

  private static func malformed(at offset: Int) -> DecodingError {
    DecodingError(.violation("an interval is malformed"), at: offset)
  }

  /// Appends the interval as PostgreSQL's IntervalStyle iso_8601 has it: `P1Y2M-3DT4H5M6.7S`.
  public func write(iso8601 text: inout ByteWriter) {
    text.append(0x50 as UInt8)
    let isZero = years | months | days | hours | minutes | seconds | microseconds == 0
    guard !isZero else { return text.append("T0S") }
    append(years, "Y", to: &text)
    append(months, "M", to: &text)
    append(days, "D", to: &text)
    guard hours | minutes | seconds | microseconds != 0 else { return }
    text.append(0x54 as UInt8)
    append(isTimeNegative ? -hours : hours, "H", to: &text)
    append(isTimeNegative ? -minutes : minutes, "M", to: &text)
    guard seconds | microseconds != 0 else { return }
    if isTimeNegative { text.append(Ascii.minus) }
    text.append(decimal: UInt64(seconds))
    if microseconds != 0 {
      text.append(0x2E as UInt8)
      var fraction = UInt64(microseconds)
      var digits = 6
      while fraction % 10 == 0 {
        fraction /= 10
        digits -= 1
      }
      text.append(decimal: fraction, digits: digits)
    }
    text.append(0x53 as UInt8)
  }

  private func append(_ value: Int64, _ unit: StaticString, to text: inout ByteWriter) {
    guard value != 0 else { return }
    text.append(decimal: value)
    text.append(unit)
  }
}
