import PGWire

/// A date, a time of day or both, read from PostgreSQL's text in the ISO DateStyle.
///
///     2024-02-29   12:34:56.789   24:00:00   2024-02-29 12:34:56+05:30   0044-03-15 12:00:00 BC
///
/// Years before the first are counted as ISO 8601 does: 1 BC is the year 0.
struct CalendarText: BitwiseCopyable {
  /// What the text stands for.
  enum Kind: BitwiseCopyable {
    case moment
    case infinity
    case minusInfinity
  }

  private(set) var kind = Kind.moment
  /// Days from 1970-01-01.
  private(set) var days: Int64 = 0
  /// Microseconds of the day, in the zone of the text.
  private(set) var microseconds: Int64 = 0
  /// What the zone is before UTC, in seconds.
  private(set) var zone: Int64 = 0

  static let microsecondsPerDay: Int64 = 86_400_000_000

  /// Reads a text; nil when it is none of a date or time.
  init?(_ text: RawSpan) {
    var reader = Reader(text: text)
    let count = text.byteCount
    guard count > 0 else { return nil }
    if text[0] == UInt8(ascii: "i") {
      kind = .infinity
      return
    }
    if text[0] == UInt8(ascii: "-") {
      kind = .minusInfinity
      return
    }
    // A time of day has its first colon behind two digits.
    if count > 2, text[2] == UInt8(ascii: ":") {
      guard readTime(&reader) else { return nil }
    } else {
      guard let year = reader.number(), reader.skip(UInt8(ascii: "-")),
        let month = reader.number(), reader.skip(UInt8(ascii: "-")), let day = reader.number()
      else { return nil }
      if reader.skip(UInt8(ascii: " ")), reader.peek != UInt8(ascii: "B") {
        guard readTime(&reader) else { return nil }
        _ = reader.skip(UInt8(ascii: " "))
      }
      let isBefore = reader.skip(UInt8(ascii: "B"))
      if isBefore { _ = reader.skip(UInt8(ascii: "C")) }
      days = Self.days(isBefore ? 1 - year : year, month, day)
    }
    guard reader.at == count else { return nil }
  }

  private mutating func readTime(_ reader: inout Reader) -> Bool {
    // More than two digits are no time, and their microseconds may be beyond 64 bits.
    guard let hours = reader.number(), hours < 100, reader.skip(UInt8(ascii: ":")),
      let minutes = reader.number(), reader.skip(UInt8(ascii: ":")), let seconds = reader.number()
    else { return false }
    var fraction: Int64 = 0
    if reader.skip(UInt8(ascii: ".")) {
      let start = reader.at
      guard let digits = reader.number(), reader.at - start <= 6 else { return false }
      fraction = digits
      for _ in (reader.at - start)..<6 { fraction *= 10 }
    }
    microseconds = ((hours * 60 + minutes) * 60 + seconds) * 1_000_000 + fraction
    let sign = reader.peek
    guard sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") else { return true }
    reader.at += 1
    guard let offset = reader.number(), offset < 100 else { return false }
    zone = offset * 3600
    if reader.skip(UInt8(ascii: ":")) { zone += (reader.number() ?? 0) * 60 }
    if reader.skip(UInt8(ascii: ":")) { zone += reader.number() ?? 0 }
    if sign == UInt8(ascii: "-") { zone = -zone }
    return true
  }

  /// Days from 1970-01-01 in the Gregorian calendar, which goes on before it was made.
  private static func days(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
    let shifted = month <= 2 ? year - 1 : year
    let cycle = (shifted >= 0 ? shifted : shifted - 399) / 400
    let yearOfCycle = shifted - cycle * 400
    let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
    let dayOfCycle = yearOfCycle * 365 + yearOfCycle / 4 - yearOfCycle / 100 + dayOfYear
    return cycle * 146_097 + dayOfCycle - 719_468
  }

  /// Units from 1970-01-01 UTC; what 64 bits cannot say is the largest they can.
  func sinceEpoch(unitsPerSecond units: Int64) -> Int64 {
    let moment = inUTC
    let (whole, overflows) = moment.days.multipliedReportingOverflow(by: units * 86_400)
    let part =
      units > 1_000_000
      ? moment.microseconds * (units / 1_000_000)
      : moment.microseconds.flooredQuotient(1_000_000 / units)
    let (sum, carries) = whole.addingReportingOverflow(part)
    return overflows || carries ? (days < 0 ? .min : .max) : sum
  }

  /// The same moment with its days and time of day in UTC.
  var inUTC: CalendarText {
    var moved = self
    moved.microseconds -= zone * 1_000_000
    moved.zone = 0
    while moved.microseconds < 0 {
      moved.microseconds += Self.microsecondsPerDay
      moved.days -= 1
    }
    while moved.microseconds >= Self.microsecondsPerDay {
      moved.microseconds -= Self.microsecondsPerDay
      moved.days += 1
    }
    return moved
  }

  /// Reads digits and signs one after the other.
  private struct Reader: ~Escapable {
    let text: RawSpan
    var at = 0

    @_lifetime(copy text)
    init(text: RawSpan) { self.text = text }

    var peek: UInt8? { at < text.byteCount ? text[at] : nil }

    @_lifetime(self: copy self)
    mutating func skip(_ byte: UInt8) -> Bool {
      guard peek == byte else { return false }
      at &+= 1
      return true
    }

    /// A number of up to ten digits.
    @_lifetime(self: copy self)
    mutating func number() -> Int64? {
      let start = at
      var value: Int64 = 0
      while at < text.byteCount, text[at] &- 0x30 < 10 {
        guard at &- start < 10 else { return nil }
        value = value &* 10 &+ Int64(text[at] &- 0x30)
        at &+= 1
      }
      return at > start ? value : nil
    }
  }
}

extension CalendarText {
  /// Year, month and day of the Gregorian calendar.
  var date: (year: Int64, month: Int64, day: Int64) {
    let shifted = days + 719_468
    let cycle = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
    let dayOfCycle = shifted - cycle * 146_097
    let leaps = dayOfCycle / 1460 - dayOfCycle / 36_524 + dayOfCycle / 146_096
    let yearOfCycle = (dayOfCycle - leaps) / 365
    let dayOfYear = dayOfCycle - (365 * yearOfCycle + yearOfCycle / 4 - yearOfCycle / 100)
    let fromMarch = (5 * dayOfYear + 2) / 153
    let month = fromMarch < 10 ? fromMarch + 3 : fromMarch - 9
    let year = cycle * 400 + yearOfCycle + (month <= 2 ? 1 : 0)
    return (year, month, dayOfYear - (153 * fromMarch + 2) / 5 + 1)
  }

  /// Appends year, month and day as ISO 8601 has them: `-0043-03-15`, `+10000-01-01`.
  func append(date json: inout ByteWriter) {
    let (year, month, day) = date
    if year < 0 { json.append(0x2D as UInt8) }
    if year > 9999 { json.append(0x2B as UInt8) }
    if year.magnitude < 10_000 {
      json.append(decimal: year.magnitude, digits: 4)
    } else {
      json.append(decimal: year.magnitude)
    }
    json.append(0x2D as UInt8)
    json.append(decimal: UInt64(month), digits: 2)
    json.append(0x2D as UInt8)
    json.append(decimal: UInt64(day), digits: 2)
  }

  /// Appends the time of day with this many digits of a second; nil for those that are not zero.
  func append(time json: inout ByteWriter, digits: Int?) {
    let seconds = UInt64(microseconds / 1_000_000)
    json.append(decimal: seconds / 3600, digits: 2)
    json.append(0x3A as UInt8)
    json.append(decimal: seconds / 60 % 60, digits: 2)
    json.append(0x3A as UInt8)
    json.append(decimal: seconds % 60, digits: 2)
    var fraction = UInt64(microseconds % 1_000_000)
    var count = digits ?? 6
    if digits == nil {
      guard fraction != 0 else { return }
      while fraction % 10 == 0 {
        fraction /= 10
        count -= 1
      }
    } else {
      for _ in count..<6 { fraction /= 10 }
    }
    guard count > 0 else { return }
    json.append(0x2E as UInt8)
    json.append(decimal: fraction, digits: count)
  }
}
