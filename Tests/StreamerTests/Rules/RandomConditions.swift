import Support

/// Random conditions on the columns of ``columns``, as somebody would write them, and values that make
/// them true and false about as often.
struct RandomConditions {
  /// The columns with their types.
  static let columns: [(name: String, type: String)] = [
    ("i2", "smallint"), ("i4", "integer"), ("i8", "bigint"), ("n", "numeric"), ("f4", "real"),
    ("f8", "double precision"), ("b", "boolean"), ("t", "text"), ("v", "varchar(20)"),
    ("c", "char(6)"), ("nm", "name"), ("d", "date"), ("ts", "timestamp"), ("tz", "timestamptz"),
    ("tm", "time"), ("u", "uuid"), ("e", "mood"), ("dom", "price"),
  ]

  private static let values: [String: [String]] = [
    "i2": ["-5", "-1", "0", "1", "2", "100", "32767", "-32768"],
    "i4": ["-5", "-1", "0", "1", "2", "100", "2147483647"],
    "i8": ["-5", "0", "1", "2", "100", "9223372036854775807", "-9223372036854775808"],
    "n": [
      "0", "0.00", "1.50", "-1.5", "1", "100", "NaN", "Infinity", "-Infinity", "0.1",
      "123456789012345678901234567890.125", "-0.0001",
    ],
    "f4": ["0", "-0", "0.1", "1.5", "-1.5", "100", "NaN", "Infinity", "-Infinity", "16777217"],
    "f8": ["0", "0.1", "1.5", "-1.5", "100", "NaN", "Infinity", "-Infinity", "1e300"],
    "b": ["true", "false"],
    "t": ["", "a", "A", "ab", "a_b", "a%b", "ä", "日本", "a ", "b\\c", "zz"],
    "v": ["", "a", "A", "ab", "a_b", "ä", "日本x", "a ", "zz"],
    "c": ["", "a", "A", "ab", "ä", "zz"],
    "nm": ["a", "A", "ab", "zz"],
    "d": ["2024-02-29", "2024-03-01", "1999-12-31", "infinity", "-infinity", "0044-03-15 BC"],
    "ts": ["2024-02-29 00:00:00", "2024-02-29 12:34:56.789", "1999-12-31 23:59:59", "infinity"],
    "tz": ["2024-02-29 00:00:00+00", "2024-02-29 12:34:56.789+02", "1999-12-31 23:59:59-05:30"],
    "tm": ["00:00:00", "12:34:56.789", "23:59:59"],
    "u": [
      "00000000-0000-0000-0000-000000000000", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
      "ffffffff-ffff-ffff-ffff-ffffffffffff",
    ],
    "e": ["sad", "ok", "happy"],
    "dom": ["0", "1.50", "100"],
  ]

  var random: SeededRandom

  init(_ name: String) { random = SeededRandom(name) }

  private mutating func one<T>(_ choices: [T]) -> T {
    choices[Int.random(in: 0..<choices.count, using: &random)]
  }
  private mutating func happens(_ part: Int) -> Bool {
    Int.random(in: 0..<part, using: &random) == 0
  }

  /// A text as SQL writes it.
  static func quoted(_ text: String) -> String { "'" + text.replacing("'", with: "''") + "'" }

  /// A row as SQL writes it.
  mutating func row() -> String {
    Self.columns.map { column in
      let values = Self.values[column.name] ?? []
      return happens(6) ? "NULL" : Self.quoted(one(values)) + "::" + column.type
    }.joined(separator: ", ")
  }

  /// A condition with so many levels.
  mutating func condition(_ depth: Int) -> String {
    if depth > 0 {
      switch Int.random(in: 0..<6, using: &random) {
      case 0: return "\(condition(depth - 1)) and \(condition(depth - 1))"
      case 1: return "\(condition(depth - 1)) OR \(condition(depth - 1))"
      case 2:
        return "(\(condition(depth - 1)) or \(condition(depth - 1))) AND \(condition(depth - 1))"
      case 3: return "not (\(condition(depth - 1)))"
      case 4: return "NOT \(condition(0))"
      default:
        return
          "(\(condition(depth - 1))) is \(one(["true", "not true", "false", "unknown", "not null"]))"
      }
    }
    switch Int.random(in: 0..<12, using: &random) {
    case 0: return "\(one(Self.columns).name) is \(one(["null", "not null"]))"
    case 1...3: return number()
    case 4...6: return text()
    case 7:
      return one([
        "b", "not b", "b = true", "b <> false", "b is not true", "b in (true, null)", "b < true",
        "b = 'yes'",
      ])
    case 8, 9: return moment()
    case 10: return uuid()
    default:
      return one(["e = 'ok'", "e <> 'sad'", "e in ('happy', 'sad')", "e is distinct from 'ok'"])
    }
  }

  private mutating func comparison() -> String {
    one(["=", "<>", "!=", "<", "<=", ">", ">=", "is distinct from", "is not distinct from"])
  }

  private mutating func number() -> String {
    let name = one(["i2", "i4", "i8", "n", "f4", "f8", "dom"])
    func literal(_ self: inout Self) -> String {
      switch Int.random(in: 0..<7, using: &self.random) {
      case 0: return Self.quoted(self.one((Self.values[name] ?? []).filter { $0 != "1e300" }))
      case 1: return self.one(["1.5", ".1", "100.", "1e2", "15e-1", "- 1.5", "-0.0"])
      case 2:
        return self.one([
          "'1.5'::numeric", "'0.1'::float8", "cast('100' as bigint)", "1::int", "'0.1'::real",
        ])
      case 3: return self.one(["99999999999999999999", "9223372036854775807", "NULL"])
      default: return self.one(["0", "1", "2", "100", "-1", "-5", "+1"])
      }
    }
    switch Int.random(in: 0..<5, using: &random) {
    case 0:
      let plain = (0..<3).map { _ in one(["0", "1", "1.5", "0.1", "100", "-5", "null", "i4", "f8"])
      }
      return "\(name) \(one(["in", "not in"])) (\(plain.joined(separator: ", ")))"
    case 1:
      return "\(name) \(one(["between", "not between"])) \(literal(&self)) and \(literal(&self))"
    case 2: return "\(name) \(comparison()) \(one(["i2", "i4", "i8", "n", "f4", "f8", "dom"]))"
    case 3: return "\(literal(&self).replacing("'1e300'", with: "1")) \(comparison()) \(name)"
    default: return "\(name) \(comparison()) \(literal(&self))"
    }
  }

  private mutating func text() -> String {
    let name = one(["t", "v", "c", "nm"])
    let value = Self.quoted(one(Self.values["t"] ?? []))
    switch Int.random(in: 0..<6, using: &random) {
    case 0:
      let pattern = one([
        "a%", "%b", "_", "__", "%", "", "a\\_b", "a\\%b", "%本%", "_本_", "ä%", "%a%b%", "a ", "a%  ",
      ])
      return "\(name) \(one(["like", "NOT LIKE"])) \(Self.quoted(pattern))"
    case 1: return "\(name) like 'a!_%' escape '!'"
    case 2: return "\(name) \(one(["in", "not in"])) (\(value), 'zz', \(one(["'a'", "null"])))"
    case 3: return "\(name) collate \"C\" \(comparison()) \(value)"
    case 4:
      return "\(one(["t", "v"])) \(one(["=", "<>", "is distinct from"])) \(one(["t", "v", "c"]))"
    default:
      return "\(name) \(one(["=", "<>", "is not distinct from"])) \(one([value, value + "::text"]))"
    }
  }

  private mutating func moment() -> String {
    let name = one(["d", "ts", "tz"])
    let literal = one([
      "'2024-02-29'::date", "date '1999-12-31'", "'2024-02-29 12:34:56.789'::timestamp",
      "timestamp '2024-02-29T00:00:00'", "'2024-02-29 12:34:56.789+02'::timestamptz",
      "timestamp with time zone '2024-02-29 00:00Z'", "'infinity'::date", "'-infinity'::timestamp",
      "d", "ts", "tz",
    ])
    if happens(5) { return "tm \(comparison()) \(one(["'12:34:56.789'", "time '00:00'", "tm"]))" }
    if happens(5) { return "d between '1999-12-31' and '2024-02-29'" }
    if happens(5) { return "tz >= '2024-02-29 02:00:00+02'" }
    return "\(name) \(comparison()) \(literal)"
  }

  private mutating func uuid() -> String {
    one([
      "u = 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", "u < 'b0000000000000000000000000000000'",
      "u >= '{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}'::uuid",
      "u not in ('00000000-0000-0000-0000-000000000000', null)",
    ])
  }
}
