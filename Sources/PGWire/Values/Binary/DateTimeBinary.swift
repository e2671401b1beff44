/// The binary forms of dates and times, all counted from 2000-01-01.
///
/// ```
/// date: Int32 days          time, timestamp, timestamptz: Int64 microseconds
/// timetz: Int64 microseconds  Int32 seconds west of UTC
/// ```
enum DateTimeBinary {
  private static let microsecondsPerDay: Int64 = 86_400_000_000
  /// Days from 0000-03-01, where the calendar's cycle of 400 years starts here, to 2000-01-01.
  private static let daysFromCycleStart: Int64 = 730_425
  private static let daysPerCycle: Int64 = 146_097

  /// Appends a date or time as DateStyle ISO has it.
  @_lifetime(reader: copy reader)
  static func append(
    _ reader: inout ByteReader, as rule: BinaryFormat.Rule, to text: inout ByteWriter
  ) throws(DecodingError) {
    switch rule {
    case .date:
      let days = try reader.integer(Int32.self)
      guard days != .min, days != .max else { return appendInfinity(days < 0, to: &text) }
      let isBeforeChrist = append(day: Int64(days), to: &text)
      if isBeforeChrist { text.append(" BC") }
    case .time: append(time: try timeOfDay(&reader), to: &text)
    case .timeWithZone:
      append(time: try timeOfDay(&reader), to: &text)
      append(zone: Int64(try reader.integer(Int32.self)), to: &text)
    default:
      let microseconds = try reader.integer(Int64.self)
      guard microseconds != .min, microseconds != .max else {
        return appendInfinity(microseconds < 0, to: &text)
      }
      // Days before 2000 are negative, the time within a day never is.
      let day =
        microseconds >= 0
        ? microseconds / microsecondsPerDay : (microseconds + 1) / microsecondsPerDay - 1
      let isBeforeChrist = append(day: day, to: &text)
      text.append(Ascii.space)
      // The first day begins before the least number of microseconds; the difference is small.
      append(time: UInt64(microseconds &- day &* microsecondsPerDay), to: &text)
      if rule == .timestampWithZone { text.append("+00") }
      if isBeforeChrist { text.append(" BC") }
    }
  }

  private static func appendInfinity(_ isNegative: Bool, to text: inout ByteWriter) {
    text.append(isNegative ? "-infinity" : "infinity")
  }

  @_lifetime(reader: copy reader)
  private static func timeOfDay(_ reader: inout ByteReader) throws(DecodingError) -> UInt64 {
    let microseconds = try reader.integer(Int64.self)
    guard microseconds >= 0, microseconds <= microsecondsPerDay else {
      throw DecodingError(.violation("a time lies outside the day"), at: 0)
    }
    return UInt64(microseconds)
  }

  /// Appends year, month and day of a day counted from 2000-01-01, and says whether the year is
  /// one before Christ.
  ///
  /// Years are counted from March, so that the leap day is the last one of a year.
  private static func append(day: Int64, to text: inout ByteWriter) -> Bool {
    let shifted = day + daysFromCycleStart
    let cycle = shifted >= 0 ? shifted / daysPerCycle : (shifted + 1) / daysPerCycle - 1
    let dayOfCycle = shifted - cycle * daysPerCycle
    let leaps = dayOfCycle / 1460 - dayOfCycle / 36_524 + dayOfCycle / 146_096
    let yearOfCycle = (dayOfCycle - leaps) / 365
    let dayOfYear = dayOfCycle - (365 * yearOfCycle + yearOfCycle / 4 - yearOfCycle / 100)
    let monthFromMarch = (5 * dayOfYear + 2) / 153
    let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
    let astronomical = cycle * 400 + yearOfCycle + (month <= 2 ? 1 : 0)
    // There is no year 0: it is 1 BC.
    let year = UInt64(astronomical > 0 ? astronomical : 1 - astronomical)
    if year < 10_000 { text.append(decimal: year, digits: 4) } else { text.append(decimal: year) }
    text.append(Ascii.minus)
    text.append(decimal: UInt64(month), digits: 2)
    text.append(Ascii.minus)
    text.append(decimal: UInt64(dayOfYear - (153 * monthFromMarch + 2) / 5 + 1), digits: 2)
    return astronomical <= 0
  }

  /// Appends hours, minutes, seconds and the fraction without trailing zeros.
  static func append(time microseconds: UInt64, to text: inout ByteWriter) {
    let seconds = microseconds / 1_000_000
    let hours = seconds / 3600
    if hours < 100 { text.append(decimal: hours, digits: 2) } else { text.append(decimal: hours) }
    text.append(Ascii.colon)
    text.append(decimal: seconds / 60 % 60, digits: 2)
    text.append(Ascii.colon)
    text.append(decimal: seconds % 60, digits: 2)
    var fraction = microseconds % 1_000_000
    guard fraction != 0 else { return }
    text.append(0x2E as UInt8)
    var digits = 6
    while fraction % 10 == 0 {
      fraction /= 10
      digits -= 1
    }
    text.append(decimal: fraction, digits: digits)
  }

  /// Appends `+05`, `-05:30` or `+00:19:32`; the wire counts towards the west.
  private static func append(zone seconds: Int64, to text: inout ByteWriter) {
    text.append(seconds <= 0 ? Ascii.plus : Ascii.minus)
    let east = seconds.magnitude
    text.append(decimal: east / 3600, digits: east < 360_000 ? 2 : 6)
    guard east % 3600 != 0 else { return }
    text.append(Ascii.colon)
    text.append(decimal: east / 60 % 60, digits: 2)
    guard east % 60 != 0 else { return }
    text.append(Ascii.colon)
    text.append(decimal: east % 60, digits: 2)
  }
}

/// The binary form of `interval`: Int64 microseconds, Int32 days, Int32 months.
enum IntervalBinary {
  /// Appends an interval as IntervalStyle postgres has it.
  ///
  /// `hasInfinity`: whether the extreme values stand for the infinite ones (17+).
  @_lifetime(reader: copy reader)
  static func append(
    _ reader: inout ByteReader, hasInfinity: Bool, to text: inout ByteWriter
  ) throws(DecodingError) {
    let microseconds = try reader.integer(Int64.self)
    let days = try reader.integer(Int32.self)
    let months = try reader.integer(Int32.self)
    if hasInfinity {
      if microseconds == .max, days == .max, months == .max { return text.append("infinity") }
      if microseconds == .min, days == .min, months == .min { return text.append("-infinity") }
    }
    var parts = Parts()
    parts.append(months / 12, "year", to: &text)
    parts.append(months % 12, "mon", to: &text)
    parts.append(days, "day", to: &text)
    guard parts.isFirst || microseconds != 0 else { return }
    if !parts.isFirst { text.append(Ascii.space) }
    if microseconds < 0 {
      text.append(Ascii.minus)
    } else if parts.isAfterNegative {
      text.append(Ascii.plus)
    }
    DateTimeBinary.append(time: microseconds.magnitude, to: &text)
  }

  /// What the parts before tell of how the next one is written.
  private struct Parts {
    var isFirst = true
    /// A positive part gets a plus when the one before it was negative.
    var isAfterNegative = false

    mutating func append(_ value: Int32, _ unit: StaticString, to text: inout ByteWriter) {
      guard value != 0 else { return }
      if !isFirst { text.append(Ascii.space) }
      if isAfterNegative, value > 0 { text.append(Ascii.plus) }
      text.append(decimal: Int64(value))
      text.append(Ascii.space)
      text.append(unit)
      if value != 1 { text.append(0x73 as UInt8) }
      isFirst = false
      isAfterNegative = value < 0
    }
  }
}
