/// Values of every type that has a binary form, as SQL: the edges of each, and more from a seed.
public struct TypeSamples {
  private var random: SeededRandom

  /// Samples that are the same for the same seed.
  public init(seed: UInt64) { random = SeededRandom(seed: seed) }

  /// The types of this suite's own, made before values of them are asked for.
  public static let types = """
    CREATE SCHEMA t;
    CREATE TYPE t.mood AS ENUM ('sad', 'very "happy"', '', 'a,b');
    CREATE DOMAIN t.positive AS int CHECK (VALUE > 0);
    CREATE DOMAIN t.mild AS t.positive;
    CREATE DOMAIN t.texts AS text[];
    CREATE TYPE t.pair AS (a text, dropped int, "b ""c" text);
    ALTER TYPE t.pair DROP ATTRIBUTE dropped;
    CREATE DOMAIN t.paired AS t.pair;
    CREATE TYPE t.outer AS (n t.mild, p t.pair, ps t.pair[], m t.mood, j json, f float8,
      s int4range[], b bytea, d timestamp, x t.texts, q t.paired);
    CREATE TYPE t.nothing AS ();
    CREATE TYPE t.textrange AS RANGE (subtype = text, collation = "C");
    CREATE TYPE t.boxes AS (b box[], v int2vector);
    """

  /// Extensions, made where the server has them, each with the types to be tested.
  public static let extensions = [
    "hstore": ["public.hstore"], "citext": ["public.citext"],
    "ltree": ["public.ltree", "public.lquery", "public.ltxtquery"], "cube": ["public.cube"],
    "vector": ["public.vector", "public.halfvec", "public.sparsevec"],
  ]

  /// The types that every server has from 14 on.
  public static let builtin = [
    "bool", "int2", "int4", "int8", "oid", "xid", "cid", "xid8", "tid", "float4", "float8",
    "numeric", "money", "text", "varchar", "bpchar", "name", "\"char\"", "bytea", "date", "time",
    "timetz", "timestamp", "timestamptz", "interval", "uuid", "json", "jsonb", "xml", "jsonpath",
    "bit(11)", "varbit", "inet", "cidr", "macaddr", "macaddr8", "point", "lseg", "path", "box",
    "polygon", "line", "circle", "pg_lsn", "pg_snapshot", "txid_snapshot", "tsvector", "tsquery",
    "int2vector", "oidvector", "refcursor", "int4range", "int8range", "numrange", "tsrange",
    "tstzrange", "daterange", "int4multirange", "nummultirange", "tstzmultirange", "t.mood",
    "t.positive", "t.mild", "t.texts", "t.pair", "t.paired", "t.outer", "t.nothing",
    "t.textrange", "t.textmultirange", "t.boxes",
  ]

  /// SQL expressions of a type: its edges and `count` others.
  public mutating func values(of type: String, _ count: Int) -> [String] {
    let edges = (Self.edges[type] ?? []).map { literal($0, type) }
    return edges + (0..<count).compactMap { _ in value(of: type) }
  }

  /// SQL expressions of arrays of a type, of up to three dimensions.
  public mutating func arrays(of type: String, _ count: Int) -> [String] {
    let elements = values(of: type, 20)
    var arrays = ["'{}'::\(type)[]"]
    for _ in 0..<count {
      let chosen = (0..<Int.random(in: 1...5, using: &random)).map { _ in
        Int.random(in: 0..<6, using: &random) == 0
          ? "NULL" : elements[Int.random(in: 0..<elements.count, using: &random)]
      }
      let list = "ARRAY[\(chosen.joined(separator: ","))]::\(type)[]"
      switch Int.random(in: 0..<6, using: &random) {
      case 0: arrays.append("ARRAY[\(list),\(list)]")
      case 1: arrays.append("ARRAY[ARRAY[\(list)],ARRAY[\(list)],ARRAY[\(list)]]")
      case 2: arrays.append("array_fill((\(list))[1], ARRAY[2,3], ARRAY[\(integer(-9...9)),7])")
      case 3: arrays.append("array_fill((\(list))[1], ARRAY[1], ARRAY[0])")
      default: arrays.append(list)
      }
    }
    return arrays
  }

  private static let edges: [String: [String]] = [
    "bool": ["t", "f"], "int2": ["-32768", "32767", "0"],
    "int4": ["-2147483648", "2147483647"],
    "int8": ["-9223372036854775808", "9223372036854775807", "10000000000000000"],
    "oid": ["0", "4294967295"], "xid8": ["18446744073709551615"], "tid": ["(4294967295,65535)"],
    "float4": [
      "NaN", "Infinity", "-Infinity", "0", "-0", "1e30", "1e-5", "1e-4", "100000", "1e6",
      "3.4028235e38", "1e-45", "1.17549435e-38", "16777216", "0.1", "33554432", "8388608.5",
    ],
    "float8": [
      "NaN", "Infinity", "-Infinity", "0", "-0", "1e30", "1e-5", "0.0001", "1e14", "1e15", "1e16",
      "1.7976931348623157e308", "5e-324", "2.2250738585072014e-308", "9007199254740993", "1e23",
      "9.5367431640625e-07", "0.1", "123456789012345680", "1e-100", "4.35", "1e22", "9e22",
    ],
    "numeric": [
      "NaN", "Infinity", "-Infinity", "0", "0.000", "-0.5", "1.50", "10000", "9999", "0.0001",
      "0.00001", "10000.0001", "1e100", "-1e-100", "100000000", "12345678.12345678", "1e131071",
      "1e-16383", "0.00000000", "1000000000000.00", "99999999.99999",
    ],
    "money": ["0", "-0.05", "0.99", "1000", "999.99", "-1234567.89", "92233720368547758.07"],
    "\"char\"": ["a", "", "\\"],
    "date": [
      "2000-01-01", "1999-12-31", "2024-02-29", "infinity", "-infinity", "0001-01-01",
      "0001-12-31 BC", "0044-03-15 BC", "4713-11-24 BC", "5874897-12-31", "10000-01-01",
      "9999-12-31", "1900-02-28", "1900-03-01", "0005-02-29 BC", "0004-02-28 BC",
    ],
    "time": ["24:00", "0:0", "23:59:59.999999", "12:34:56.5"],
    "timetz": ["24:00+15:59:59", "0:0-15:59:59", "12:34:56.5+05:30", "1:2:3-00:00:01", "1:2-01"],
    "timestamp": [
      "infinity", "-infinity", "4713-11-24 BC", "294276-12-31 23:59:59.999999", "2000-01-01",
      "1999-12-31 23:59:59.999999", "0001-01-01", "0001-12-31 23:59:59.5 BC",
    ],
    "timestamptz": [
      "infinity", "4713-11-24 00:00+00 BC", "294276-12-31 23:59:59.999999+00",
      "2024-02-29 12:34:56.789+01", "1999-12-31 23:59:59.999999+00",
    ],
    "interval": [
      "0", "1 year 2 mons 3 days 04:05:06.7", "-1 mons +2 days -03:00:00", "1 mon", "-1 year",
      "-00:00:00.000001", "1 day", "-1 day 1 sec", "-13 mons", "2562047788:00:54.775807",
      "-178000000 years", "178956970 years 7 mons 2147483647 days 2562047788:00:54.775806",
      "-178956970 years -8 mons -2147483648 days", "1 mon -1 day", "100:00",
    ],
    "jsonpath": ["$", "strict $.a[*] ? (@ > 1)"], "bit(11)": ["10101010101", "00000000000"],
    "varbit": ["", "1", "00000000", "111111110"],
    "inet": [
      "0.0.0.0", "10.0.0.1/8", "255.255.255.255/32", "10/0", "::", "::1", "::ffff:1.2.3.4",
      "::1.2.3.4", "::1:1.2.3.4", "fe80::1/64", "1:0:0:2::3", "1::2:0:0:3", "1:0:2:3:4:5:6:7",
      "0:0:1:2:3:4:5:6", "1:2:3:4:5:6:0:0", "::ffff:0:0", "::2", "::1:0",
    ],
    "cidr": ["10.0.0.0/8", "1.2.3.4/32", "0/0", "::/0", "::1/128", "fe80::/10", "::ffff:1.2.3.4"],
    "path": ["((0,0))", "[(0,0),(1.5,-2)]", "((0,0),(1,1),(2,0))"],
    "line": ["{1,-1,0}", "{-0,1e300,0.1}"], "box": ["(1,2),(3,4)", "(0,0),(0,0)"],
    "pg_lsn": ["0/0", "FFFFFFFF/FFFFFFFF", "16/B374D848"],
    "pg_snapshot": ["10:20:10,14,15", "1:1:"], "txid_snapshot": ["10:20:10,14,15"],
    "tsvector": ["", "a:1A,2B,3C,4 b:16383", "'it''s \\\\ x':7", "'a b' ','"],
    "tsquery": [
      "", "a", "!a", "!!a", "a & b | c", "a & (b | c)", "!(a & b)", "a <-> b <2> c",
      "a <-> (b <-> c)", "(a | b) <-> c", "a:*AB & 'it''s':D", "!(a <-> !b)", "a | (b | c) & d",
      "'\\\\':AC", "!a <-> b", "!(!a | b) & (c & (d & e))",
    ],
    "int2vector": ["", "1", "-1 2 3"], "oidvector": ["", "4294967295 1"],
    "int4range": ["empty", "(,)", "[1,)", "(,5]"], "tstzrange": ["[2024-01-01,infinity]", "(,)"],
    "int4multirange": ["{}", "{(,1),[5,)}"],
    "t.textmultirange": [#"{["a,b","c""d"),[x},y{)}"#, "{}"],
    "public.hstore": ["", #""k"=>"v", "n"=>NULL, "q\"\\"=>"" "#],
    "public.ltree": ["a.b.c", ""], "public.lquery": ["a.*{1,2}.!b@|c*"],
    "public.ltxtquery": ["a & !b@ | c*"],
    "public.cube": ["(1,2)", "(1,2),(3,4)", "(1),(1)", "()", "0"],
    "public.sparsevec": ["{}/7", "{1:1.5,5:-2e-20}/5"],
    "public.halfvec": ["[0,-0,6e-8,65504,1,-0.1]"], "public.vector": ["[0,-0,1e-40,3e38]"],
  ]
}

extension TypeSamples {
  private mutating func integer(_ range: ClosedRange<Int>) -> Int {
    Int.random(in: range, using: &random)
  }

  private mutating func literal(_ text: String, _ type: String) -> String {
    "'\(text.replacing("'", with: "''"))'::\(type)"
  }

  private mutating func text(_ alphabet: String = "ab\"\\{}()[],;= \n\t'éNULLnull<>:|&!") -> String
  {
    let characters = Array(alphabet)
    return String((0..<integer(0...7)).map { _ in characters[integer(0...characters.count - 1)] })
  }

  private mutating func double() -> String {
    switch integer(0...3) {
    case 0:
      let value = Double(bitPattern: random.next())
      return value.isFinite ? "\(value)" : "0"
    // Powers of two, where the numbers on both sides lie at different distances, and their next.
    case 1: return "\(Double(sign: .plus, exponent: integer(-1022...1023), significand: 1))"
    case 2: return "\(Double(integer(-99_999...99_999)) / 1000)"
    default: return "\(Double(integer(0...(1 << 60))))"
    }
  }

  private mutating func single() -> String {
    let value = Float(bitPattern: UInt32(truncatingIfNeeded: random.next()))
    switch integer(0...2) {
    case 0: return value.isFinite ? "\(value)" : "1"
    case 1: return "\(Float(sign: .plus, exponent: integer(-126...127), significand: 1))"
    default: return "\(Float(integer(-99_999...99_999)) / 100)"
    }
  }

  private mutating func number() -> String {
    let digits = (0..<integer(1...20)).map { _ in "\(integer(0...3) == 0 ? integer(1...9) : 0)" }
    let fraction = (0..<integer(0...12)).map { _ in "\(integer(0...2) == 0 ? integer(1...9) : 0)" }
    return (integer(0...1) == 0 ? "-" : "") + digits.joined()
      + (fraction.isEmpty ? "" : "." + fraction.joined())
  }

  private mutating func moment() -> String {
    "(timestamp '2000-01-01' + \(integer(-200_000_000_000...9_000_000_000_000)) * interval '1 s' "
      + "+ \(integer(0...999_999)) * interval '1 us')"
  }

  private mutating func points(_ least: Int) -> String {
    (0..<integer(least...5)).map { _ in "(\(double()),\(single()))" }.joined(separator: ",")
  }

  private mutating func hexadecimal(_ digits: Int) -> String {
    let text = String(random.next(), radix: 16) + String(random.next(), radix: 16)
    return String((text + String(repeating: "0", count: 32)).prefix(digits))
  }

  private mutating func query(_ depth: Int = 0) -> String {
    let lexeme = "'\(text("ab'\\ ").replacing("\\", with: "\\\\").replacing("'", with: "''"))x'"
    switch integer(0...(depth > 4 ? 1 : 6)) {
    case 0: return lexeme
    case 1: return lexeme + ":" + ["*", "A", "*BD", "ABCD"][integer(0...3)]
    case 2: return "!(\(query(depth + 1)))"
    case 3: return "(\(query(depth + 1))) & (\(query(depth + 1)))"
    case 4: return "(\(query(depth + 1))) | (\(query(depth + 1)))"
    case 5: return "(\(query(depth + 1))) <-> (\(query(depth + 1)))"
    default: return "(\(query(depth + 1))) <\(integer(0...9))> (\(query(depth + 1)))"
    }
  }

  private mutating func nullable(_ sql: String) -> String { integer(0...4) == 0 ? "NULL" : sql }

  private mutating func pair() -> String {
    "ROW(\(nullable(literal(text(), "text"))),\(nullable(literal(text(), "text"))))::t.pair"
  }

  private mutating func range(_ type: String, _ lower: String, _ upper: String) -> String {
    let signs = ["[]", "[)", "(]", "()"][integer(0...3)]
    return "\(type)(\(nullable("least(\(lower), \(upper))")),"
      + "\(nullable("greatest(\(lower), \(upper))")),'\(signs)')"
  }

  /// One value; nil for the types whose edges are all there is.
  private mutating func value(of type: String) -> String? {
    switch type {
    case "int2": return "(\(integer(-32_768...32_767)))::int2"
    case "int4": return "(\(integer(-2_147_483_648...2_147_483_647)))::int4"
    case "int8": return "(\(integer(-9_223_372_036_854_775_807...9_223_372_036_854_775_807)))::int8"
    case "oid", "xid", "cid": return literal("\(integer(0...4_294_967_295))", type)
    case "xid8": return literal("\(random.next() >> 1)", type)
    case "tid": return literal("(\(integer(0...4_294_967_295)),\(integer(0...65_535)))", type)
    case "float4": return literal(single(), type)
    case "float8": return literal(double(), type)
    case "numeric": return literal(number(), type)
    case "money":
      return literal("\(integer(-99_999_999_999...99_999_999_999)).\(integer(10...99))", type)
    case "text", "varchar", "bpchar", "name", "refcursor", "public.citext":
      return literal(text(), type)
    case "bytea": return literal("\\x" + hexadecimal(2 * integer(0...16)), type)
    case "date": return "(\(moment()))::date"
    case "timestamp": return moment()
    case "timestamptz": return "(\(moment()))::timestamptz"
    case "time": return "(\(moment()))::time"
    case "timetz":
      return
        "((\(moment()))::time::text || '\(["+", "-"][integer(0...1)])\(integer(0...15)):\(integer(10...59)):\(integer(10...59))')::timetz"
    default: return nestedValue(of: type) ?? textualValue(of: type)
    }
  }

  private mutating func textualValue(of type: String) -> String? {
    switch type {
    case "interval":
      let us = integer(-999_999_999_999...999_999_999_999)
      return "make_interval(months => \(integer(-40...40)), days => \(integer(-5...5)))"
        + " + \(nullable("\(us)").replacing("NULL", with: "0")) * interval '1 us'"
    case "uuid": return literal(hexadecimal(32), type)
    case "json", "jsonb":
      return
        "to_jsonb(ARRAY[\(literal(text(), "text")), NULL, \(literal(text(), "text"))])::\(type)"
    case "xml": return "xmlelement(name a, \(literal(text(), "text")))"
    case "varbit", "bit(11)":
      let count = type == "varbit" ? integer(0...40) : 11
      return literal((0..<count).map { _ in "\(integer(0...1))" }.joined(), type)
    case "inet":
      let words = (0..<8).map { _ in
        integer(0...2) == 0 ? String(integer(0...65_535), radix: 16) : "0"
      }
      return integer(0...1) == 0
        ? literal(words.joined(separator: ":") + "/\(integer(0...128))", type)
        : literal(
          "\(integer(0...255)).\(integer(0...255)).0.\(integer(0...255))/\(integer(0...32))", type)
    case "cidr": return "network(\(textualValue(of: "inet") ?? ""))"
    case "macaddr": return literal(hexadecimal(12), type)
    case "macaddr8": return literal(hexadecimal(16), type)
    case "point": return literal("(\(double()),\(double()))", type)
    case "lseg": return "lseg(point(\(double()),1), point(\(single()),\(double())))"
    case "box": return literal("(\(double()),\(double())),(\(single()),\(double()))", type)
    case "circle": return literal("<(\(double()),\(double())),\(integer(0...99))>", type)
    case "path": return literal(integer(0...1) == 0 ? "(\(points(1)))" : "[\(points(1))]", type)
    case "polygon": return literal("(\(points(1)))", type)
    case "pg_lsn": return literal("\(hexadecimal(8))/\(hexadecimal(integer(1...8)))", type)
    case "tsvector":
      return "setweight(array_to_tsvector(ARRAY[\(literal(text() + "x", "text")),"
        + "\(literal(text() + "y", "text"))]) || to_tsvector('simple', 'a b a'), 'B')"
        + " || to_tsvector('simple', 'a c')"
    case "tsquery": return literal(query(), type)
    case "int2vector": return literal("\(integer(-9...9)) \(integer(0...32_767))", type)
    default: return extensionValue(of: type)
    }
  }

  private mutating func nestedValue(of type: String) -> String? {
    switch type {
    case "int4range", "int8range", "numrange":
      return range(type, "\(integer(-99...99))", "\(integer(-99...99))")
    case "tsrange": return range(type, moment(), moment())
    case "tstzrange": return range(type, "(\(moment()))::timestamptz", "(\(moment()))::timestamptz")
    case "daterange": return range(type, "(\(moment()))::date", "(\(moment()))::date")
    case "t.textrange":
      return range(
        type, "\(literal(text(), "text")) COLLATE \"C\"", "\(literal(text(), "text")) COLLATE \"C\""
      )
    case "int4multirange":
      return
        "int4multirange(int4range(\(integer(0...9)),\(integer(9...19))), int4range(30,\(nullable("40"))))"
    case "nummultirange": return "nummultirange(numrange(\(integer(0...9)),\(integer(9...19)).50))"
    case "tstzmultirange": return "tstzmultirange(tstzrange(NULL,(\(moment()))::timestamptz))"
    case "t.textmultirange":
      return
        "t.textmultirange(\(range("t.textrange", "\(literal(text(), "text")) COLLATE \"C\"", "\(literal(text(), "text")) COLLATE \"C\"")))"
    case "t.mood": return literal(["sad", "very \"happy\"", "", "a,b"][integer(0...3)], type)
    case "t.positive", "t.mild": return "(\(integer(1...99_999)))::\(type)"
    case "t.texts":
      return "ARRAY[\(literal(text(), "text")),\(nullable(literal(text(), "text")))]::t.texts"
    case "t.pair": return pair()
    case "t.paired": return "(\(pair()))::t.paired"
    case "t.nothing": return "ROW()::t.nothing"
    case "t.boxes":
      return
        "ROW(ARRAY['(1,1),(0,0)'::box, '(\(integer(3...9)),3),(2,2)'], '1 2'::int2vector)::t.boxes"
    case "t.outer":
      return """
        ROW(\(integer(1...9)), \(nullable(pair())), ARRAY[\(pair()), NULL, \(pair())],
        'very "happy"', \(literal("{\"a\": [\"\\\"\", 1]}", "json")), \(literal(double(), "float8")),
        ARRAY['[1,3)'::int4range, 'empty'], \(literal("\\x" + hexadecimal(6), "bytea")), \(moment()),
        \(nullable("ARRAY[\(literal(text(), "text"))]")), \(nullable(pair())))::t.outer
        """
    default: return nil
    }
  }

  private mutating func extensionValue(of type: String) -> String? {
    switch type {
    case "public.hstore":
      return "public.hstore(ARRAY[\(literal(text() + "k", "text")), 'l'], ARRAY["
        + "\(nullable(literal(text(), "text"))), \(nullable(literal(text(), "text")))]::text[])"
    case "public.vector": return literal("[\(single()),\(single())]", type)
    case "public.halfvec": return literal("[\(Float(integer(-60_000...60_000)) / 7),0.1]", type)
    case "public.cube": return literal("(\(double()),\(double())),(\(single()),\(double()))", type)
    default: return nil
    }
  }
}
