import PGWire

/// A literal of a condition as the rows' values are compared with it.
struct WhereLiteral: Hashable, Sendable {
  /// Whole numbers, days, microseconds, and 1 for true.
  private(set) var integer: Int64 = 0
  /// Numbers of single and double precision.
  private(set) var double = 0.0
  /// Texts, and numerics in decimal digits.
  private(set) var bytes: [UInt8] = []

  /// A literal of these parts.
  init(integer: Int64 = 0, bytes: [UInt8] = []) {
    self.integer = integer
    self.bytes = bytes
  }

  /// Reads a literal; nil when it is none of that type, or is written in another way than known here.
  init?(_ source: String, as type: WhereType) {
    let text = Self.trimmed(source)
    switch type {
    case .smallint, .integer, .bigint, .oid:
      guard let number = Int64(text), Self.range(of: type).contains(number) else { return nil }
      integer = number
    case .numeric:
      guard let number = Self.numeric(text) else { return nil }
      bytes = Array(number.utf8)
    case .real:
      guard Self.isFloat(text), let number = Float(text) else { return nil }
      double = Double(number)
    case .double:
      guard Self.isFloat(text), let number = Double(text) else { return nil }
      double = number
    case .boolean:
      guard let flag = Self.boolean(text) else { return nil }
      integer = flag ? 1 : 0
    case .text, .varchar, .name, .enumeration, .undetermined: bytes = Array(source.utf8)
    case .character:
      bytes = Array(source.utf8)
      while bytes.last == 0x20 { bytes.removeLast() }
    case .date, .timestamp, .timestamptz, .time:
      guard let moment = WhereMoment(text, as: type) else { return nil }
      integer = moment.value
    case .uuid:
      guard let uuid = Self.uuid(text) else { return nil }
      bytes = uuid
    case .other: return nil
    }
  }

  /// What an error asks for.
  static func expected(_ type: WhereType) -> String {
    switch type {
    case .date: "a date such as '2024-02-29'"
    case .timestamp: "a time such as '2024-02-29 12:34:56.789', without a zone"
    case .timestamptz: "a time with its zone, such as '2024-02-29 12:34:56+00'"
    case .time: "a time of day such as '12:34:56'"
    case .uuid: "a UUID"
    case .boolean: "'true' or 'false'"
    case .smallint, .integer, .bigint, .oid: "a whole number that its type holds"
    default: "a number"
    }
  }

  private static func trimmed(_ text: String) -> String {
    var scalars = text.unicodeScalars[...]
    while let first = scalars.first, " \t\n\r".unicodeScalars.contains(first) {
      scalars.removeFirst()
    }
    while let last = scalars.last, " \t\n\r".unicodeScalars.contains(last) { scalars.removeLast() }
    return String(String.UnicodeScalarView(scalars))
  }

  private static func range(of type: WhereType) -> ClosedRange<Int64> {
    switch type {
    case .smallint: Int64(Int16.min)...Int64(Int16.max)
    case .integer: Int64(Int32.min)...Int64(Int32.max)
    case .oid: 0...Int64(UInt32.max)
    default: .min ... .max
    }
  }

  /// Reads a boolean as PostgreSQL does.
  static func boolean(_ source: String) -> Bool? {
    let text = trimmed(source).lowercased()
    if text == "1" || text == "on" { return true }
    if text == "0" || text == "of" || text == "off" { return false }
    for (word, value) in [("true", true), ("yes", true), ("false", false), ("no", false)]
    where !text.isEmpty && word.hasPrefix(text) { return value }
    return nil
  }

  private static func isFloat(_ text: String) -> Bool {
    // Hexadecimal ones are Swift's and new in PostgreSQL.
    !text.isEmpty
      && !text.contains { $0 == "x" || $0 == "X" || $0 == "p" || $0 == "P" || $0 == "_" }
  }

  private static func numeric(_ text: String) -> String? {
    switch text.lowercased() {
    case "nan": return "NaN"
    case "infinity", "inf", "+infinity", "+inf": return "Infinity"
    case "-infinity", "-inf": return "-Infinity"
    default: return canonical(text)
    }
  }

  /// A number in decimal digits, without an exponent or zeros that say nothing; nil for what is no
  /// number, or one of too many digits.
  static func canonical(_ text: String) -> String? {
    var rest = Substring(text)
    let isNegative = rest.hasPrefix("-")
    if isNegative || rest.hasPrefix("+") { rest.removeFirst() }
    let parts = rest.split(maxSplits: 1, omittingEmptySubsequences: false) {
      $0 == "e" || $0 == "E"
    }
    guard let mantissa = parts.first, let exponent = parts.count == 2 ? Int(parts[1]) : 0,
      exponent.magnitude <= Limits.whereDigits
    else { return nil }
    let halves = mantissa.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
    guard let whole = halves.first else { return nil }
    let fraction = halves.count == 2 ? halves[1] : ""
    var digits = Array((whole + fraction).utf8)
    guard !digits.isEmpty, digits.allSatisfy({ $0 &- 0x30 < 10 }) else { return nil }
    var point = whole.utf8.count + exponent
    if point < 0 { digits.insert(contentsOf: [UInt8](repeating: 0x30, count: -point), at: 0) }
    point = max(point, 0)
    while digits.count < point { digits.append(0x30) }
    var left = Array(digits[..<point])
    var right = Array(digits[point...])
    left = Array(left.drop { $0 == 0x30 })
    while right.last == 0x30 { right.removeLast() }
    guard left.count + right.count <= Limits.whereDigits else { return nil }
    if left.isEmpty, right.isEmpty { return "0" }
    let number =
      String(decoding: left.isEmpty ? [0x30] : left, as: UTF8.self)
      + (right.isEmpty ? "" : "." + String(decoding: right, as: UTF8.self))
    return (isNegative ? "-" : "") + number
  }

  /// A UUID as the server prints it.
  private static func uuid(_ text: String) -> [UInt8]? {
    var bytes = Array(text.lowercased().utf8)
    if bytes.first == UInt8(ascii: "{"), bytes.last == UInt8(ascii: "}") {
      bytes = Array(bytes.dropFirst().dropLast())
    }
    let dashes = [8, 13, 18, 23]
    if bytes.count == 36 {
      guard dashes.allSatisfy({ bytes[$0] == UInt8(ascii: "-") }) else { return nil }
      bytes.removeAll { $0 == UInt8(ascii: "-") }
    }
    let isHex = bytes.allSatisfy { $0 &- 0x30 < 10 || $0 &- 0x61 < 6 }
    guard bytes.count == 32, isHex else { return nil }
    for place in dashes { bytes.insert(UInt8(ascii: "-"), at: place) }
    return bytes
  }
}

/// A date or time that a literal says, in ISO 8601 with a blank or `T` in it.
struct WhereMoment: Hashable, Sendable {
  /// Days from 1970-01-01 for a date, else microseconds.
  let value: Int64

  /// Reads a literal of that type.
  init?(_ text: String, as type: WhereType) {
    switch text.lowercased() {
    case "infinity" where type != .time:
      value = .max
      return
    case "-infinity" where type != .time:
      value = .min
      return
    default: break
    }
    let written = Self.normal(text, type)
    guard let written, let moment = CalendarText(unsafe Array(written.utf8).span.bytes) else {
      return nil
    }
    switch type {
    case .date: value = moment.days
    case .time: value = moment.microseconds
    default: value = WhereProgram.microseconds(moment)
    }
  }

  /// The text as the server prints such a value; nil when it is none.
  private static func normal(_ text: String, _ type: WhereType) -> String? {
    var rest = Substring(text)
    var result = ""
    if type != .time {
      guard let date = date(&rest) else { return nil }
      result = date
      guard type != .date else { return rest.isEmpty ? result : nil }
      guard let separator = rest.first else {
        // A time of a zone that is not said would be another one in another session.
        return type == .timestamp ? result : nil
      }
      guard separator == " " || separator == "T" else { return nil }
      rest.removeFirst()
      result += " "
    }
    guard let time = time(&rest) else { return nil }
    result += time
    guard type == .timestamptz else { return rest.isEmpty ? result : nil }
    if rest.first == " " { rest.removeFirst() }
    guard let zone = zone(rest) else { return nil }
    return result + zone
  }

  private static func number(_ rest: inout Substring, digits: ClosedRange<Int>) -> Int? {
    let text = rest.prefix { $0.isASCII && $0.isNumber }
    guard digits.contains(text.count), let number = Int(text) else { return nil }
    rest.removeFirst(text.count)
    return number
  }

  private static func skip(_ character: Character, _ rest: inout Substring) -> Bool {
    guard rest.first == character else { return false }
    rest.removeFirst()
    return true
  }

  private static func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }

  private static func date(_ rest: inout Substring) -> String? {
    let start = rest
    guard let year = number(&rest, digits: 4...6), year > 0, skip("-", &rest),
      let month = number(&rest, digits: 2...2), (1...12).contains(month), skip("-", &rest),
      let day = number(&rest, digits: 2...2)
    else { return nil }
    let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
    let days = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    guard (1...days[month - 1]).contains(day) else { return nil }
    return String(start[..<rest.startIndex])
  }

  private static func time(_ rest: inout Substring) -> String? {
    guard let hours = number(&rest, digits: 2...2), hours < 24, skip(":", &rest),
      let minutes = number(&rest, digits: 2...2), minutes < 60
    else { return nil }
    var text = "\(two(hours)):\(two(minutes))"
    guard skip(":", &rest) else { return text + ":00" }
    guard let seconds = number(&rest, digits: 2...2), seconds < 60 else { return nil }
    text += ":" + two(seconds)
    guard skip(".", &rest) else { return text }
    let fraction = rest.prefix { $0.isASCII && $0.isNumber }
    guard (1...6).contains(fraction.count) else { return nil }
    rest.removeFirst(fraction.count)
    return text + "." + fraction
  }

  private static func zone(_ source: Substring) -> String? {
    var rest = source
    if rest == "Z" || rest == "z" || rest == "UTC" { return "+00" }
    guard let sign = rest.first, sign == "+" || sign == "-" else { return nil }
    rest.removeFirst()
    guard let hours = number(&rest, digits: 2...2), hours < 16 else { return nil }
    guard !rest.isEmpty else { return "\(sign)\(two(hours))" }
    _ = skip(":", &rest)
    guard let minutes = number(&rest, digits: 2...2), minutes < 60, rest.isEmpty else { return nil }
    return "\(sign)\(two(hours)):\(two(minutes))"
  }
}
