import PGWire
import Testing

@Suite struct TypeCatalogTests {
  @Test(
    arguments: [
      (1007, "_int4", .array(element: 23, delimiter: 0x2C)),
      (1020, "_box", .array(element: 603, delimiter: 0x3B)),
      (3904, "int4range", .range(subtype: 23)),
      (4451, "int4multirange", .multirange(range: 3904)),
      (6150, "_int4multirange", .array(element: 4451, delimiter: 0x2C)),
      (1700, "numeric", .base(.numeric)), (1023, "_abstime", .array(element: 702, delimiter: 0x2C)),
    ] as [(UInt32, String, TypeDescription.Kind)])
  func builtin(_ oid: UInt32, _ name: String, _ kind: TypeDescription.Kind) {
    let expected = TypeDescription(oid: oid, schema: "pg_catalog", name: name, kind: kind)
    #expect(TypeCatalog().description(of: oid) == expected)
  }

  @Test func missingFollowsReferences() {
    var catalog = TypeCatalog()
    #expect(catalog.missing(for: [23, 0, 1007]) == [])
    #expect(catalog.missing(for: [20001, 23, 20000, 20001]) == [20000, 20001])
    let row = TypeDescription(
      oid: 20000, schema: "public", name: "pair",
      kind: .composite([.init(name: "a", type: 23), .init(name: "b", type: 20002)]))
    // A type that contains itself must not keep us for ever.
    let loop = TypeDescription(oid: 20001, schema: "s", name: "l", kind: .domain(base: 20001))
    catalog.learn([row, loop])
    #expect(catalog.missing(for: [20000, 20001]) == [20002])
    catalog.forget(20000)
    #expect(catalog.missing(for: [20000]) == [20000])
  }

  /// The catalog before 14 has no such column.
  @Test(arguments: [(10, false), (13, false), (14, true), (18, true)])
  func multirangesAreAskedForFrom14(_ major: Int, _ asked: Bool) {
    let text = TypeCatalogQuery.text(for: [1], serverMajor: major)
    #expect(text.contains("rngmultitypid") == asked)
  }

  @Test func rowsBecomeDescriptions() throws {
    let rows: [[String?]] = [
      ["1", "s", "pair", "c", "C", "0", ",", "a", "23", "t"],
      ["1", "s", "pair", "c", "C", "0", ",", "b c", "2", "t"],
      ["2", "s", "_x", "a", "A", "1", ";", nil, nil, "t"],
      ["3", "s", "d", "d", "N", "23", ",", nil, nil, "t"],
      ["4", "s", "e", "e", "E", "0", ",", nil, nil, "t"],
      ["5", "s", "r", "r", "R", "23", ",", nil, nil, "t"],
      ["6", "s", "m", "m", "R", "5", ",", nil, nil, "t"],
      ["7", "s", "nothing", "c", "C", "0", ",", nil, nil, "t"],
      ["8", "s", "hstore", "b", "U", "0", ",", nil, nil, "t"],
    ]
    let kinds = try TypeCatalogQuery.descriptions(of: rows).map(\.kind)
    #expect(
      kinds == [
        .composite([.init(name: "a", type: 23), .init(name: "b c", type: 2)]),
        .array(element: 1, delimiter: 0x3B), .domain(base: 23), .enumeration,
        .range(subtype: 23), .multirange(range: 5), .composite([]), .base(.userDefined),
      ])
  }

  @Test(
    arguments: [
      ["x", "s", "n", "b", "U", "0", ",", nil, nil, "t"],
      ["1", "s", "n", "b", "U", "0", ",", nil, "t"],
      ["1", nil, "n", "b", "U", "0", ",", nil, nil, "t"],
      ["1", "s", "n", "a", "A", nil, ",", nil, nil, "t"],
      ["1", "s", "n", "m", "R", nil, ",", nil, nil, "t"],
      ["1", "s", "n", "c", "C", "0", ",", "a", nil, "t"],
    ] as [[String?]])
  func malformedRowThrows(row: [String?]) {
    #expect(throws: DecodingError.self) { try TypeCatalogQuery.descriptions(of: [row]) }
  }
}
