import Glibc

/// A moment of the wall clock: microseconds since 1970 in UTC.
struct UTCTime: Hashable, Comparable, Sendable {
  /// Microseconds since 1970-01-01T00:00:00Z.
  var microseconds: Int64

  /// Orders by time.
  static func < (a: UTCTime, b: UTCTime) -> Bool { a.microseconds < b.microseconds }

  /// What the clock says now; it may jump when somebody sets it.
  static var now: UTCTime {
    var time = timespec()
    unsafe clock_gettime(CLOCK_REALTIME, &time)
    return UTCTime(microseconds: Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec / 1000))
  }
}

extension UTCTime: CustomStringConvertible {
  /// The time as RFC 3339 with microseconds: "2026-11-23T08:15:50.123456Z".
  var description: String {
    let days = Self.floorDivide(microseconds, by: 86_400_000_000)
    let date = Self.date(daysSince1970: days.quotient)
    let (second, micros) = days.remainder.quotientAndRemainder(dividingBy: 1_000_000)
    return Self.digits(date.year, 4) + "-" + Self.digits(date.month, 2) + "-"
      + Self.digits(date.day, 2) + "T" + Self.digits(second / 3600, 2) + ":"
      + Self.digits(second / 60 % 60, 2) + ":" + Self.digits(second % 60, 2) + "."
      + Self.digits(micros, 6) + "Z"
  }

  /// The Gregorian date, counted in years that begin in March, so that a leap day comes last.
  private static func date(daysSince1970 days: Int64) -> (year: Int64, month: Int64, day: Int64) {
    // 719 468 days lie between 0000-03-01 and 1970-01-01; 400 years have 146 097 days.
    let (era, dayOfEra) = floorDivide(days + 719_468, by: 146_097)
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let marchMonth = (5 * dayOfYear + 2) / 153
    let month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
    let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    return (year, month, dayOfYear - (153 * marchMonth + 2) / 5 + 1)
  }

  private static func floorDivide(
    _ number: Int64, by divisor: Int64
  ) -> (quotient: Int64, remainder: Int64) {
    let (quotient, remainder) = number.quotientAndRemainder(dividingBy: divisor)
    return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
  }

  private static func digits(_ number: Int64, _ width: Int) -> String {
    let text = String(number)
    return String(repeating: "0", count: max(0, width - text.utf8.count)) + text
  }
}
