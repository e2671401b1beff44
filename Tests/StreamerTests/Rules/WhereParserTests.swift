import PGWire
import Testing

@testable import Streamer

/// What of a condition is refused, where and why; what it says is ``WhereServerTests``' matter.
@Suite struct WhereParserTests {
  @Test(arguments: [
    ("", 1, "its end"), ("a =", 4, "its end"), ("a = 1 b", 7, "\"b\""),
    ("a = 'x", 5, "an opening '"),
    ("a ilike 'x'", 3, "\"ilike\""), ("lower(a) = 'x'", 1, "the function \"lower\""),
    ("a = 1 = 2", 7, "\"=\""), ("1", 1, "a value"), ("a in ()", 7, "\")\""),
    ("a = $1", 5, "\"$\""), ("a like 'x\\'", 8, "a pattern that ends with its escape character"),
    ("a = '2024-13-01'::date", 17, "\"2024-13-01\""), ("a::text = 'x'", 2, "a cast of something"),
    ("a = e'x'", 5, "a text with a prefix"), ("a = 12x", 5, "what is no number"),
    ("a collate \"de_DE\" < 'x'", 11, "the name \"de_DE\""), ("a and (b or c", 14, "its end"),
    ("a = 1 and 'x'", 11, "a value"), ("(a = 1) = true", 7, "a condition that is compared"),
    ("a = - b", 5, "a sign"), ("a = '1'::numeric(10,2)", 17, "\"(\""),
  ]) func whatIsWrongIsNamed(text: String, column: Int, found: String) {
    let error = #expect(throws: WhereError.self) { try WhereParser.parse(text) }
    #expect(error?.column == column)
    #expect(error?.found.hasPrefix(found) == true, "\(error?.found ?? "")")
  }

  @Test func nestingHasALimit() {
    let deep = String(repeating: "(", count: 200) + "a" + String(repeating: ")", count: 200)
    #expect(throws: WhereError.self) { try WhereParser.parse(deep) }
    let right = String(repeating: "not ", count: 100_000) + "a"
    #expect(throws: WhereError.self) { try WhereParser.parse(right) }
    let long = Array(repeating: "a = 1", count: 1_000).joined(separator: " or ")
    #expect(throws: Never.self) { try WhereParser.parse(long) }
  }

  private static let table = Relation(
    oid: 1, schema: "public", name: "orders", replicaIdentity: .primaryKey,
    columns: [
      Relation.Column(name: "id", isKey: true, type: 20),
      Relation.Column(name: "status", type: 25), Relation.Column(name: "doc", type: 3802),
      Relation.Column(name: "at", type: 1184), Relation.Column(name: "mood", type: 16_400),
    ])

  @Test(arguments: [
    ("stauts = 'x'", "it has no published column \"stauts\" (it has \"status\")"),
    ("id = 'x'", "the text \"x\" is not a whole number that its type holds"),
    ("status = 1", "column \"status\" (text) and the number 1 (bigint) cannot be compared"),
    ("status < 'm'", "write COLLATE \"C\" behind one of them"),
    ("doc = '{}'", "cannot be compared"), ("id", "column \"id\" is no boolean"),
    ("id like '1%'", "LIKE takes text, and column \"id\" is none"),
    ("at > '2024-02-29 12:00'", "a time with its zone"),
  ]) func whatDoesNotFitATableIsSaid(text: String, why: String) throws {
    let expression = try WhereParser.parse(text)
    let error = #expect(throws: TableRules.Misfit.self) {
      try WhereCompiler.compile(expression, for: Self.table, TypeCatalog())
    }
    #expect(error?.why.contains(why) == true, "\(error?.why ?? "")")
    #expect(error?.key == "where")
  }

  /// A type that only the database describes is judged when it has been looked up.
  @Test func whatIsNotKnownYetIsNoMisfit() throws {
    let expression = try WhereParser.parse("mood < 'x' and mood is not null")
    _ = try WhereCompiler.compile(expression, for: Self.table, TypeCatalog())
    var types = TypeCatalog()
    types.learn([
      TypeDescription(oid: 16_400, schema: "public", name: "mood", kind: .enumeration)
    ])
    #expect(throws: TableRules.Misfit.self) {
      try WhereCompiler.compile(expression, for: Self.table, types)
    }
  }
}
