import PGWire
import Testing

@testable import Streamer

/// Our JSON against what a real server makes of the same values.
///
/// Each value is read as pgoutput would send it, encoded, and sent back as jsonb to be compared
/// there with an expression over the value, so the server also checks that it is JSON.
@Suite(
  .enabled(if: ThrowAwayServer.isInstalled, ThrowAwayServer.missing), .throwAwayServer,
  .serialized)
struct ServerValuesTests {
  /// A value and what its JSON has to equal, as SQL over `v`.
  struct Case {
    let value: String
    var expected = "to_jsonb(v)"
  }

  private func server() throws -> ThrowAwayServer { try #require(ThrowAwayServer.current) }

  /// The catalog with everything that the values' types need.
  private func catalog(for oids: [UInt32]) throws -> TypeCatalog {
    var catalog = TypeCatalog()
    let missing = catalog.missing(for: oids)
    if !missing.isEmpty {
      let rows = try server().rows(
        TypeCatalogQuery.text(for: missing, serverMajor: 15),
        columns: TypeCatalogQuery.columnCount)
      catalog.learn(try TypeCatalogQuery.descriptions(of: rows))
    }
    #expect(catalog.missing(for: oids) == [])
    return catalog
  }

  private func check(_ cases: [Case], _ options: ValueOptions) throws {
    let list = cases.map(\.value)
    let texts = try server().rows(
      "SELECT " + list.joined(separator: ",\n"), columns: cases.count)[0]
    let oids = try server().rows(
      "SELECT " + list.map { "pg_typeof(\($0))::oid" }.joined(separator: ",\n"),
      columns: cases.count)[0].compactMap { $0.flatMap { UInt32($0) } }
    try #require(oids.count == cases.count)
    let catalog = try catalog(for: oids)
    var encoded: [String] = []
    for (text, oid) in zip(texts, oids) {
      encoded.append(try json(try #require(text), oid, options, catalog))
    }
    let comparisons = zip(cases, encoded).map { item, json in
      "$json$\(json)$json$::jsonb = (SELECT \(item.expected) FROM (SELECT \(item.value)) s(v))"
    }
    let results = try server().rows(
      "SELECT " + comparisons.joined(separator: ",\n"), columns: cases.count)[0]
    for (index, result) in results.enumerated() {
      #expect(result == "t", "\(cases[index].value) became \(encoded[index])")
    }
  }

  private static let types = """
    CREATE EXTENSION IF NOT EXISTS hstore; CREATE EXTENSION IF NOT EXISTS citext;
    CREATE EXTENSION IF NOT EXISTS ltree; CREATE EXTENSION IF NOT EXISTS cube;
    DROP SCHEMA IF EXISTS t CASCADE; CREATE SCHEMA t;
    CREATE TYPE t.mood AS ENUM ('sad', 'very "happy"');
    CREATE DOMAIN t.positive AS int CHECK (VALUE > 0);
    CREATE DOMAIN t.mild AS t.positive;
    CREATE TYPE t.pair AS (a text, "b ""c" text);
    ALTER TYPE t.pair ADD ATTRIBUTE dropped int; ALTER TYPE t.pair DROP ATTRIBUTE dropped;
    CREATE TYPE t.outer AS (n t.positive, p t.pair, ps t.pair[], h hstore, m t.mood, j json,
      f float8, s int4range[], b bytea, d timestamp);
    CREATE TYPE t.nothing AS ();
    CREATE TYPE t.single AS (x int);
    CREATE TYPE t.textrange AS RANGE (subtype = text, collation = "C");
    CREATE TYPE t.boxes AS (b box[]);
    """

  private static let utc = "replace(to_jsonb(v)::text, '+00:00', 'Z')::jsonb"
  private static let text = "to_jsonb(v::text)"
  private static let base64 = "to_jsonb(replace(encode(v, 'base64'), E'\\n', ''))"
  private static let range = """
    CASE WHEN isempty(v) THEN '{"empty":true}'::jsonb ELSE jsonb_build_object('lower', lower(v),
    'upper', upper(v), 'lowerInclusive', lower_inc(v), 'upperInclusive', upper_inc(v)) END
    """

  private static let scalars: [Case] = [
    Case(value: "true"), Case(value: "false"),
    Case(value: "(-32768)::int2"), Case(value: "2147483647"), Case(value: "(-2147483648)::int4"),
    Case(value: "9223372036854775807"), Case(value: "(-9223372036854775808)::int8"),
    Case(value: "4294967295::oid", expected: "to_jsonb(v::int8)"),
    Case(value: "0.1::float8 + 0.2"), Case(value: "1e30::float8"), Case(value: "1e-7::float4"),
    Case(value: "'NaN'::float8"), Case(value: "'-Infinity'::float4"), Case(value: "'-0'::float8"),
    Case(value: "5e-324::float8"), Case(value: "1.7976931348623157e308::float8"),
    Case(value: "1.50"), Case(value: "'NaN'::numeric"), Case(value: "'-Infinity'::numeric"),
    Case(value: "-1e-20"), Case(value: "1e100::numeric"), Case(value: "0.000"),
    Case(value: "'héllo \"\\ €𝄞'::text"), Case(value: "E'\\x01\\x1f\\n\\r\\t\\b\\f\\x7f'::text"),
    Case(value: "''::text"), Case(value: "'ab '::char(5)"), Case(value: "'x'::varchar"),
    Case(value: "'n'::name"), Case(value: "'c'::\"char\""), Case(value: "''::\"char\""),
    Case(value: "'2024-02-29'::date"), Case(value: "'infinity'::date"),
    Case(value: "'0044-03-15 BC'::date"), Case(value: "'5874897-12-31'::date"),
    Case(value: "'2024-02-29 12:34:56.789'::timestamp"), Case(value: "'-infinity'::timestamp"),
    Case(value: "'0044-03-15 BC'::timestamp", expected: text),
    Case(value: "'294276-12-31 23:59:59.999999'::timestamp", expected: text),
    Case(value: "'2024-02-29 12:34:56.789+01'::timestamptz", expected: utc),
    Case(value: "'1900-01-01 00:00:00+00:19:32'::timestamptz", expected: utc),
    Case(value: "'infinity'::timestamptz"),
    Case(value: "'24:00'::time"), Case(value: "'12:34:56.5+05:30'::timetz"),
    Case(value: "'1 year -2 mons 3 days 04:05:06.7'::interval"),
    Case(value: #"'\x00ff10'::bytea"#, expected: base64),
    Case(value: "''::bytea", expected: base64),
    Case(value: "decode(repeat('00ff7f80', 99), 'hex')", expected: base64),
    Case(value: "'6F0C1C9E-0000-4000-8000-00000000000A'::uuid"),
    Case(value: "'10.0.0.1/8'::inet"), Case(value: "'::1'::inet"), Case(value: "'10/8'::cidr"),
    Case(value: "'08:00:2b:01:02:03'::macaddr"), Case(value: "'-1234.5'::money"),
    Case(value: "B'101'"), Case(value: "'101'::varbit"), Case(value: "'<a b=\"c\"/>'::xml"),
    Case(value: "E'{\"a\": 1,\\n\\r \"b\": [null, \"\\\\n\"]}'::json"),
    Case(value: "E'\\n\\n  3\\n'::json"), Case(value: "'\"x\\ny\"'::jsonb"),
    Case(value: "'null'::jsonb"), Case(value: "'1 2 3'::int2vector", expected: "'[1,2,3]'::jsonb"),
    Case(value: "''::oidvector", expected: "'[]'::jsonb"),
    Case(value: "'a & b'::tsquery"), Case(value: "'a:1A b:2'::tsvector"),
    Case(value: "'(1,2)'::point"), Case(value: "'(1,2),(0,0)'::box"),
    Case(value: "'<(1,2),3>'::circle"),
    Case(value: "'16/B374D848'::pg_lsn"), Case(value: "'pg_class'::regclass"),
    Case(value: "'$.a[*]'::jsonpath"), Case(value: "'(1,2)'::tid"), Case(value: "'7'::xid8"),
    Case(value: "'AbC'::citext"), Case(value: "'a.b.c'::ltree"), Case(value: "'(1,2)'::cube"),
    Case(value: "'very \"happy\"'::t.mood"), Case(value: "7::t.positive"), Case(value: "7::t.mild"),
  ]

  private static let nested: [Case] = [
    Case(value: "'{}'::int[]"), Case(value: "'[0:1][2:3]={{1,2},{3,NULL}}'::int[]"),
    Case(value: "'{{{{{{1}}}}}}'::int[]"), Case(value: "ARRAY[true, false, null]"),
    Case(value: "ARRAY['2024-02-29 12:34:56+00'::timestamptz, 'infinity']", expected: utc),
    Case(value: "ARRAY['(1,1),(0,0)'::box, '(3,3),(2,2)']"),
    Case(value: "ARRAY[E'{\"a\": \"x \\\\\\\\ \\\\\" y\"}'::jsonb, '1', 'null', '\"NULL\"']"),
    Case(value: "ARRAY[E'{\"a\":\\n1}'::json, '[]']"),
    Case(value: "ARRAY['sad', 'very \"happy\"', null]::t.mood[]"),
    Case(value: "ARRAY[1, 2]::t.positive[]"),
    Case(value: "ARRAY['a\"b', E'c\\\\d', '', null]::citext[]"),
    Case(value: "'{\"1 2\",3}'::int2vector[]", expected: "'[[1,2],[3]]'::jsonb"),
    Case(value: #"ARRAY['\x00ff'::bytea, '\x']"#, expected: #"'["AP8=",""]'::jsonb"#),
    Case(value: "ROW(null, '')::t.pair"), Case(value: "ROW(null, null)::t.pair"),
    Case(value: #"ROW('a "b" \c', 'NULL')::t.pair"#), Case(value: "ROW()::t.nothing"),
    Case(value: "ROW(null)::t.single"), Case(value: "ROW(3)::t.single"),
    Case(value: "ROW(ARRAY['(1,1),(0,0)'::box, '(3,3),(2,2)'])::t.boxes"),
    Case(
      value: """
        ROW(1, ROW('x"', '(,)')::t.pair, ARRAY[ROW('{"', E'\\\\')::t.pair, null, ROW(null, ',')::t.pair],
        '"k"=>"\\"v", "n"=>NULL'::hstore, 'very "happy"', '{"a": ["\\"", 1]}', 'NaN',
        ARRAY['[1,3)'::int4range, 'empty'], '\\x00ff', '2024-02-29 12:00')::t.outer
        """,
      expected: """
        to_jsonb(v) || jsonb_build_object('h', hstore_to_jsonb((v).h), 'b', 'AP8=', 's',
        '[{"lower":1,"upper":3,"lowerInclusive":true,"upperInclusive":false},{"empty":true}]'::jsonb)
        """),
    Case(value: "'[1,5]'::int4range", expected: range),
    Case(value: "'empty'::int8range", expected: range),
    Case(value: "'(,)'::numrange", expected: range),
    Case(value: "'[1.50,)'::numrange", expected: range),
    Case(value: "'[2024-01-01,infinity]'::daterange", expected: range),
    Case(value: "'[2024-01-01 10:00,2024-01-02]'::tsrange", expected: range),
    Case(
      value: "'(2024-01-01 10:00+00,)'::tstzrange",
      expected: "replace((\(range))::text, '+00:00', 'Z')::jsonb"),
    Case(value: #"t.textrange('a,"\b', 'x})', '[)')"#, expected: range),
    Case(value: "t.textrange('', null, '[]')", expected: range),
    Case(
      value: #"'{["a,b","c""d"),[x},y{)}'::t.textmultirange"#,
      expected: "(SELECT jsonb_agg(\(range)) FROM unnest(v) AS v)"),
    Case(value: "'{}'::int4multirange", expected: "'[]'::jsonb"),
    Case(
      value: "'{[1,3),[5,)}'::int4multirange",
      expected: "(SELECT jsonb_agg(\(range)) FROM unnest(v) AS v)"),
    Case(value: #"'"k"=>"\"v\\", ""=>"", "n"=>NULL'::hstore"#, expected: "hstore_to_jsonb(v)"),
    Case(value: "''::hstore", expected: "hstore_to_jsonb(v)"),
    Case(
      value: #"ARRAY['"k"=>"\"v\\"'::hstore, null]"#,
      expected: #"jsonb_build_array(hstore_to_jsonb(v[1]), null)"#),
  ]

  @Test func valuesOfEveryType() throws {
    _ = try server().rows(Self.types, columns: 1)
    var options = ValueOptions()
    options.numeric = .number
    try check(Self.scalars, options)
    try check(Self.nested, options)
  }

  @Test func optionsChangeTheForm() throws {
    _ = try server().rows(
      """
      DROP SCHEMA IF EXISTS t CASCADE; CREATE SCHEMA t;
      CREATE FUNCTION t.iso(v interval) RETURNS text SET IntervalStyle = iso_8601
        AS 'BEGIN RETURN v::text; END' LANGUAGE plpgsql;
      """, columns: 1)
    var options = ValueOptions()
    options.interval = .iso8601
    options.bytea = .hex
    options.json = .string
    var cases = [
      Case(value: "1.50", expected: Self.text),
      Case(value: #"'\x00ff'::bytea"#, expected: #"'"00ff"'::jsonb"#),
      Case(value: "'{\"a\": 1}'::jsonb", expected: Self.text),
    ]
    // The server is asked for ISO 8601 only in the expectation.
    let iso = "to_jsonb(t.iso(v))"
    for value in [
      "1 year 2 mons 3 days 04:05:06.7", "0", "-1 mons +2 days -03:00:00", "-00:00:00.000001",
      "-178000000 years", "178000000 years 11 mons 2147483647 days 2562047788:00:54.775807",
      "1 mon -1 day", "-1 day 00:00:01", "25:00:00", "00:59:59.9", "-1 year -1 mon",
    ] {
      cases.append(Case(value: "interval '\(value)'", expected: iso))
    }
    try check(cases, options)
    options.numeric = .double
    try check(
      [
        Case(value: "1.50", expected: "'1.5'::jsonb"),
        Case(value: "1e400::numeric", expected: #"'"Infinity"'::jsonb"#),
        Case(value: "'NaN'::numeric", expected: #"'"NaN"'::jsonb"#), Case(value: "0.1"),
        Case(value: "123456789012345678901234567890.5", expected: "to_jsonb(v::float8)"),
      ], options)
  }

  /// Random texts inside every container, quoted by the server itself.
  @Test(arguments: [11, 12, 13] as [UInt64]) func randomNestedTexts(seed: UInt64) throws {
    _ = try server().rows(Self.types, columns: 1)
    var generator = SeededNumbers(seed: seed)
    let alphabet = Array("ab\"\\{}()[],;= \n\t'éNULL")
    func text() -> String {
      let count = Int.random(in: 0...8, using: &generator)
      return String(
        (0..<count).map { _ in alphabet[Int.random(in: 0..<alphabet.count, using: &generator)] })
    }
    func literal() -> String {
      Int.random(in: 0..<8, using: &generator) == 0
        ? "NULL" : "'" + text().replacing("'", with: "''") + "'"
    }
    func pair() -> String { "ROW(\(literal()),\(literal()))::t.pair" }
    var cases: [Case] = []
    for _ in 0..<60 {
      cases.append(Case(value: "ARRAY[\(literal()),\(literal()),\(literal())]::text[]"))
      cases.append(Case(value: pair()))
      cases.append(Case(value: "ARRAY[\(pair()),\(pair())]"))
      cases.append(
        Case(
          value: "ROW(1,\(pair()),ARRAY[\(pair())],null,null,null,null,null,null,null)::t.outer"))
      let (a, b) = (text(), text())
      let bounds = [a, b].sorted { Array($0.utf8).lexicographicallyPrecedes(Array($1.utf8)) }
        .map { "'" + $0.replacing("'", with: "''") + "'" }
      cases.append(
        Case(value: "t.textrange(\(bounds[0]), \(bounds[1]), '[]')", expected: Self.range))
      cases.append(
        Case(
          value:
            "hstore(ARRAY['k' || \(literal()), 'l']::text[], ARRAY[\(literal()),\(literal())])",
          expected: "hstore_to_jsonb(v)"))
    }
    // A null key is none that hstore takes.
    cases.removeAll { $0.value.contains("'k' || NULL") }
    try check(cases, ValueOptions())
  }

  @Test func everyTypeOfTheServerIsKnown() throws {
    _ = try server().rows(Self.types, columns: 1)
    let all = try server().rows("SELECT oid FROM pg_type", columns: 1)
      .compactMap { $0[0].flatMap { UInt32($0) } }
    #expect(all.count > 500)
    let catalog = try catalog(for: all)
    var encoders = ValueEncoders(options: ValueOptions())
    for oid in all {
      _ = encoders.resolve(oid, in: catalog)
      #expect(catalog.description(of: oid) != nil)
    }
  }

  /// The table in the source says of each type what the server's own catalog says.
  @Test func builtinTypesAreTheServers() throws {
    let all = try server().rows("SELECT oid FROM pg_type WHERE oid < 10000", columns: 1)
      .compactMap { $0[0].flatMap { UInt32($0) } }
    let rows = try server().rows(
      TypeCatalogQuery.text(for: all, serverMajor: 15), columns: TypeCatalogQuery.columnCount)
    let catalog = TypeCatalog()
    var compared = 0
    for description in try TypeCatalogQuery.descriptions(of: rows) {
      guard let builtin = catalog.description(of: description.oid) else {
        // Only the rows of system catalogs are left to be looked up.
        #expect(description.name.hasPrefix("pg_") || description.name.hasPrefix("_pg_"))
        continue
      }
      #expect(builtin == description)
      compared += 1
    }
    #expect(compared > 180)
  }

  /// What PostgreSQL 10 to 13 are asked works on 15 too, only without multiranges.
  @Test func queryForOldServersRuns() throws {
    let rows = try server().rows(
      TypeCatalogQuery.text(for: [1007, 3904, 71], serverMajor: 10),
      columns: TypeCatalogQuery.columnCount)
    let descriptions = try TypeCatalogQuery.descriptions(of: rows)
    #expect(Set(descriptions.map(\.oid)).isSuperset(of: [23, 1007, 3904, 71]))
  }
}

/// A generator of the same numbers for the same seed (SplitMix64).
struct SeededNumbers: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var value = state
    value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
    value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
    return value ^ (value >> 31)
  }
}
