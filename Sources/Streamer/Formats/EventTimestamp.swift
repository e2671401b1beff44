import PGWire

/// A moment as PostgreSQL's protocol counts it, written as RFC 3339 in UTC.
///
///     2026-11-23T08:15:50.123456Z
///
/// Always six digits of a second. A year beyond 9999 has as many digits as it needs, one before
/// the year 1 a minus sign (astronomical count): every value of 64 bits can be written.
enum EventTimestamp {
  /// Seconds from 1970-01-01 to 2000-01-01.
  static let epochOffset: Int64 = 946_684_800
  private static let microsecondsPerDay: Int64 = 86_400_000_000
  /// Days from 0000-03-01, where the calendar's cycle of 400 years starts here, to 2000-01-01.
  private static let daysFromCycleStart: Int64 = 730_425
  private static let daysPerCycle: Int64 = 146_097

  /// Appends the moment `microseconds` after 2000-01-01 00:00 UTC, without quotes.
  static func append(microseconds: Int64, to text: inout ByteWriter) {
    var days = microseconds / microsecondsPerDay
    var rest = microseconds % microsecondsPerDay
    if rest < 0 {
      rest += microsecondsPerDay
      days -= 1
    }
    appendDate(days, to: &text)
    text.append(0x54 as UInt8)
    let seconds = UInt64(rest / 1_000_000)
    text.append(decimal: seconds / 3600, digits: 2)
    text.append(0x3A as UInt8)
    text.append(decimal: seconds / 60 % 60, digits: 2)
    text.append(0x3A as UInt8)
    text.append(decimal: seconds % 60, digits: 2)
    text.append(0x2E as UInt8)
    text.append(decimal: UInt64(rest % 1_000_000), digits: 6)
    text.append(0x5A as UInt8)
  }

  /// Appends year, month and day of a day counted from 2000-01-01, in the Gregorian calendar.
  ///
  /// Years are counted from March, so that the leap day is the last one of a year.
  private static func appendDate(_ days: Int64, to text: inout ByteWriter) {
    let shifted = days + daysFromCycleStart
    var cycle = shifted / daysPerCycle
    var dayOfCycle = shifted % daysPerCycle
    if dayOfCycle < 0 {
      dayOfCycle += daysPerCycle
      cycle -= 1
    }
    let leaps = dayOfCycle / 1460 - dayOfCycle / 36_524 + dayOfCycle / 146_096
    let yearOfCycle = (dayOfCycle - leaps) / 365
    let dayOfYear = dayOfCycle - (365 * yearOfCycle + yearOfCycle / 4 - yearOfCycle / 100)
    let monthFromMarch = (5 * dayOfYear + 2) / 153
    let day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
    let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
    let year = cycle * 400 + yearOfCycle + (month <= 2 ? 1 : 0)
    if year < 0 { text.append(0x2D as UInt8) }
    if year.magnitude < 10_000 {
      text.append(decimal: year.magnitude, digits: 4)
    } else {
      text.append(decimal: year.magnitude)
    }
    text.append(0x2D as UInt8)
    text.append(decimal: UInt64(month), digits: 2)
    text.append(0x2D as UInt8)
    text.append(decimal: UInt64(day), digits: 2)
  }
}
