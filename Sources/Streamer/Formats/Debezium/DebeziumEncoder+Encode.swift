import PGWire

/// Buffers of Debezium's formats for values; a lane keeps them from row to row.
struct DebeziumScratch: ~Copyable {
  /// For elements of arrays and hstore.
  var nested = ValueScratch()
  /// For decimals.
  var decimal = UnscaledDecimal()
}

extension DebeziumEncoder {
  /// Appends a value, given as PostgreSQL's text; a text that is not what its type promises becomes
  /// a string: nothing is lost.
  @inline(__always)
  func encode(
    _ text: RawSpan, _ scratch: inout DebeziumScratch, into json: inout ByteWriter
  ) {
    switch (rule, isArray) {
    case (.integer, false): json.append(short: text)
    case (.string, false): ConnectText.append(text, to: &json)
    case (_, false):
      scratch.nested.depth = 0
      encodeScalar(text, &scratch, into: &json)
    case (_, true): encodeArray(text, &scratch, into: &json)
    }
  }

  private func encodeArray(
    _ text: RawSpan, _ scratch: inout DebeziumScratch, into json: inout ByteWriter
  ) {
    let start = json.count
    scratch.nested.depth = 0
    do { try encodeElements(text, &scratch, into: &json) } catch {
      json.truncate(to: start)
      ConnectText.append(text, to: &json)
    }
  }

  private func encodeElements(
    _ text: RawSpan, _ scratch: inout DebeziumScratch, into json: inout ByteWriter
  ) throws(DecodingError) {
    var cursor = try ArrayText(text, delimiter: delimiter)
    var needsComma = false
    while let token = try cursor.next() {
      if token == .close {
        json.append(0x5D as UInt8)
        needsComma = true
        continue
      }
      if needsComma { json.append(0x2C as UInt8) }
      needsComma = true
      switch token {
      case .open:
        json.append(0x5B as UInt8)
        needsComma = false
      case .element(let piece):
        guard piece.isEscaped else {
          encodeScalar(piece.raw(in: text), &scratch, into: &json)
          continue
        }
        var plain = scratch.nested.take()
        piece.unescape(text, into: &plain)
        encodeScalar(plain.bytes, &scratch, into: &json)
        scratch.nested.putBack(plain)
      case .null, .close: json.append("null")
      }
    }
  }

  @inline(never)
  private func encodeScalar(
    _ text: RawSpan, _ scratch: inout DebeziumScratch, into json: inout ByteWriter
  ) {
    let start = json.count
    if !encodeKnown(text, &scratch, into: &json) {
      json.truncate(to: start)
      ConnectText.append(text, to: &json)
    }
  }

  /// Appends a value; false when its text is not what its type promises.
  private func encodeKnown(
    _ text: RawSpan, _ scratch: inout DebeziumScratch, into json: inout ByteWriter
  ) -> Bool {
    switch rule {
    case .boolean: json.append(text.byteCount == 1 && text[0] == 0x74 ? "true" : "false")
    case .integer:
      guard JSONNumber.isInteger(text) else { return false }
      json.append(short: text)
    case .double: JavaNumber.append(text, to: &json)
    case .string: ConnectText.append(text, to: &json)
    case .decimal: return scratch.decimal.append(text, scale: Int(scale), to: &json)
    case .variableDecimal: return scratch.decimal.append(variable: text, to: &json)
    case .decimalString: encode(decimal: text, into: &json)
    case .decimalDouble: JavaNumber.append(numeric: text, to: &json)
    case .money, .moneyDouble, .moneyString: return encode(money: text, &scratch, into: &json)
    case .days, .dateISO, .timestamp, .timestampISO, .zonedTimestamp, .time, .timeISO, .zonedTime:
      return encode(moment: text, into: &json)
    case .interval, .intervalISO: return encode(interval: text, into: &json)
    case .structured(let type): return encode(structured: type, text, into: &json)
    case .bytes, .base64, .base64URL, .hex: return encode(bytes: text, into: &json)
    case .textBytes, .textBase64URL, .textHex: encode(bytesOf: text, into: &json)
    case .bit: json.append(text.byteCount == 1 && text[0] == 0x31 ? "true" : "false")
    case .bits: return encode(bits: text, &scratch, into: &json)
    case .point, .geometry: return encode(geometry: text, &scratch, into: &json)
    case .hstoreJSON, .hstoreMap: return encode(hstore: text, &scratch, into: &json)
    case .vector, .embedding, .sparse: return encode(vector: text, into: &json)
    case .instant, .calendarDate, .timeOfDay: return false
    }
    return true
  }

  // MARK: - Decimals

  /// The digits, and Java's names for what has none.
  func encode(decimal text: RawSpan, into json: inout ByteWriter) {
    guard let first = text.byteCount > 0 ? text[0] : nil, text.byteCount > 1 else {
      return ConnectText.append(text, to: &json)
    }
    switch (first, text[1]) {
    case (UInt8(ascii: "N"), _): json.append("\"NAN\"")
    case (UInt8(ascii: "I"), _): json.append("\"POSITIVE_INFINITY\"")
    case (UInt8(ascii: "-"), UInt8(ascii: "I")): json.append("\"NEGATIVE_INFINITY\"")
    default: ConnectText.append(text, to: &json)
    }
  }

  /// `money` is written with the server's sign of currency and its separators: its digits, its
  /// point and its sign are all that counts.
  private func encode(
    money text: RawSpan, _ scratch: inout DebeziumScratch, into json: inout ByteWriter
  ) -> Bool {
    var plain = scratch.nested.take()
    Self.append(digitsOf: text, to: &plain)
    var isKnown = true
    switch rule {
    case .money: isKnown = scratch.decimal.append(plain.bytes, scale: Int(scale), to: &json)
    case .moneyDouble: JavaNumber.append(numeric: plain.bytes, to: &json)
    default: ConnectText.append(plain.bytes, to: &json)
    }
    scratch.nested.putBack(plain)
    return isKnown
  }

  /// Appends what counts of a text of `money`.
  static func append(digitsOf text: RawSpan, to plain: inout ByteWriter) {
    for at in 0..<text.byteCount {
      switch text[at] {
      case 0x2D, 0x28: if plain.count == 0 { plain.append(0x2D as UInt8) }
      case 0x30...0x39, 0x2E: plain.append(text[at])
      default: break
      }
    }
  }

  // MARK: - Dates and times

  /// What stands for the infinite moments, in microseconds since 1970: as pgjdbc has them.
  private static let infinity: Int64 = 9_223_372_036_825_200_000
  private static let minusInfinity: Int64 = -9_223_372_036_832_400_000

  func encode(moment text: RawSpan, into json: inout ByteWriter) -> Bool {
    guard let moment = CalendarText(text) else { return false }
    if let number = number(of: moment) {
      json.append(decimal: number)
      return true
    }
    guard moment.kind == .moment else {
      json.append(moment.kind == .infinity ? "\"infinity\"" : "\"-infinity\"")
      return true
    }
    let inUTC = moment.inUTC
    json.append(0x22 as UInt8)
    switch rule {
    case .dateISO:
      inUTC.append(date: &json)
      json.append("Z")
    case .timestampISO, .zonedTimestamp:
      inUTC.append(date: &json)
      json.append("T")
      inUTC.append(time: &json, digits: rule == .zonedTimestamp ? Int(scale) : nil)
      json.append("Z")
    default:
      inUTC.append(time: &json, digits: nil)
      json.append("Z")
    }
    json.append(0x22 as UInt8)
    return true
  }

  /// What stands for a moment where the rule writes numbers; nil where it writes texts.
  func number(of moment: CalendarText) -> Int64? {
    let isInfinite = moment.kind != .moment
    let isPositive = moment.kind == .infinity
    switch rule {
    // What Debezium's own arithmetic makes of the infinities.
    case .days:
      return isInfinite ? (isPositive ? -2_147_472_692 : -2_147_472_691) : moment.days
    case .timestamp:
      return isInfinite
        ? units(isPositive ? Self.infinity : Self.minusInfinity)
        : moment.sinceEpoch(unitsPerSecond: Int64(scale))
    case .time: return isInfinite ? nil : units(moment.microseconds)
    default: return nil
    }
  }

  /// Microseconds in the units of the column; what 64 bits cannot say is the largest they can.
  private func units(_ microseconds: Int64) -> Int64 {
    switch scale {
    case 1_000:
      let rest = microseconds % 1_000
      return microseconds / 1_000 - (rest < 0 ? 1 : 0)
    case 1_000_000_000:
      let (nanoseconds, overflows) = microseconds.multipliedReportingOverflow(by: 1_000)
      return overflows ? (microseconds < 0 ? .min : .max) : nanoseconds
    default: return microseconds
    }
  }

  /// A month is a twelfth of 365.25 days.
  func encode(interval text: RawSpan, into json: inout ByteWriter) -> Bool {
    guard let interval = try? IntervalText(text) else { return false }
    if rule == .intervalISO {
      encode(iso: interval, into: &json)
      return true
    }
    let months = interval.years * 12 + interval.months
    let time =
      (interval.hours * 3600 + interval.minutes * 60 + interval.seconds) * 1_000_000
      + interval.microseconds
    let (whole, exceeds) = months.multipliedReportingOverflow(by: 2_629_800_000_000)
    let (days, overflows) = interval.days.multipliedReportingOverflow(by: 86_400_000_000)
    let (some, carries) = whole.addingReportingOverflow(days)
    let (sum, carriesToo) = some.addingReportingOverflow(interval.isTimeNegative ? -time : time)
    let isBelow = months < 0 || (months == 0 && interval.days < 0)
    let isBeyond = exceeds || overflows || carries || carriesToo
    json.append(decimal: isBeyond ? (isBelow ? .min : .max) : sum)
    return true
  }

  private func encode(iso interval: IntervalText, into json: inout ByteWriter) {
    let sign: Int64 = interval.isTimeNegative ? -1 : 1
    json.append("\"P")
    json.append(decimal: interval.years)
    json.append("Y")
    json.append(decimal: interval.months)
    json.append("M")
    json.append(decimal: interval.days)
    json.append("DT")
    json.append(decimal: sign * interval.hours)
    json.append("H")
    json.append(decimal: sign * interval.minutes)
    json.append("M")
    if sign < 0, interval.seconds | interval.microseconds != 0 { json.append(0x2D as UInt8) }
    json.append(decimal: interval.seconds)
    if interval.microseconds != 0 {
      var fraction = UInt64(interval.microseconds)
      var digits = 6
      while fraction % 10 == 0 {
        fraction /= 10
        digits -= 1
      }
      json.append(0x2E as UInt8)
      json.append(decimal: fraction, digits: digits)
    }
    json.append("S\"")
  }

  // MARK: - Bytes

  func encode(bytes text: RawSpan, into json: inout ByteWriter) -> Bool {
    do {
      if rule == .hex {
        ConnectText.append(try Base64.hexDigits(text), to: &json)
        return true
      }
      let start = json.count
      try Base64.append(hex: text, to: &json)
      if rule == .base64URL { Self.makeURLSafe(from: start, &json) }
      return true
    } catch { return false }
  }

  /// Appends bytes as such a rule has them.
  func encode(bytesOf text: RawSpan, into json: inout ByteWriter) {
    guard rule == .textHex else {
      let start = json.count
      Base64.append(text, to: &json)
      if rule == .textBase64URL { Self.makeURLSafe(from: start, &json) }
      return
    }
    json.append(0x22 as UInt8)
    for at in 0..<text.byteCount { json.append(hexadecimal: UInt64(text[at]), digits: 2) }
    json.append(0x22 as UInt8)
  }

  private static func makeURLSafe(from start: Int, _ json: inout ByteWriter) {
    for at in start..<json.count {
      let character = json.bytes[at]
      switch character {
      case 0x2B: json.set(byte: 0x2D, at: at)
      case 0x2F: json.set(byte: 0x5F, at: at)
      default: break
      }
    }
  }

  private func encode(
    bits text: RawSpan, _ scratch: inout DebeziumScratch, into json: inout ByteWriter
  ) -> Bool {
    var bytes = scratch.nested.take()
    Self.append(bits: text, to: &bytes)
    Base64.append(bytes.bytes, to: &json)
    scratch.nested.putBack(bytes)
    return true
  }

  /// Appends bits as a number whose lowest byte comes first, without the zeros behind its last one.
  static func append(bits text: RawSpan, to bytes: inout ByteWriter) {
    var byte: UInt8 = 0
    var last = bytes.count
    for offset in 0..<text.byteCount {
      let bit = text[text.byteCount &- 1 &- offset]
      if bit == 0x31 { byte |= 1 &<< UInt8(offset & 7) }
      if offset & 7 == 7 || offset == text.byteCount &- 1 {
        bytes.append(byte)
        if byte != 0 { last = bytes.count }
        byte = 0
      }
    }
    bytes.truncate(to: last)
  }
}
