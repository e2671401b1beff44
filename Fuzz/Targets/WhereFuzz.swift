import PGWire
import Support

@testable import Streamer

/// Conditions of sinks: read, or refused at a character; what is read says of any row what it should.
///
/// The condition ends with a line break; each line behind it is a column's value.
enum WhereFuzz: FuzzTarget {
  static let name = "where"

  static let words = [
    " and ", " or ", "not ", " is null", " is not distinct from ", " between ", " in (", " like ",
    " escape ", "::numeric", "::timestamptz", " collate \"C\"", "cast(", " as uuid)", "date '",
    "'2024-02-29'", "a", "b", "c", "d", "e", "f", "g", "h", "1e10", "NaN", "Infinity",
  ]

  static var seeds: [[UInt8]] {
    [
      "a = 1 and (b like 'x%' or c > 1.5)\n5\nxyz\n2.50",
      "d between '2024-02-29' and '2024-03-01' or e >= '2024-02-29 12:00+02'\n1\n\n\n2024-03-01",
      "f in ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', null) is not true\n",
      "g <> -1.5e-3 and h = '0.1'::real\n\n\n\n\n\n\nNaN\n0.1",
      "not (a is distinct from null) and b collate \"C\" < 'm' and b = ''''",
    ].map { Array($0.utf8) }
  }

  private static let table = Relation(
    oid: 1, schema: "s", name: "t", replicaIdentity: .full,
    columns: [
      ("a", 20), ("b", 25), ("c", 1700), ("d", 1082), ("e", 1184), ("f", 2950), ("g", 701),
      ("h", 700),
    ].map { Relation.Column(name: $0, isKey: true, type: $1) })

  static func run(_ input: [UInt8]) throws(Violation) {
    var lines = input.split(separator: 10, omittingEmptySubsequences: false)[...]
    guard let first = lines.popFirst(), let text = String(validating: first, as: UTF8.self) else {
      return
    }
    guard let expression = try parsed(text), let program = compiled(expression) else { return }
    let truth = evaluated(program, Array(lines))
    // One level more may be one too many.
    guard let opposite = try parsed("not (\(text)\n)").flatMap(compiled) else { return }
    let expected: WhereTruth =
      switch truth {
      case .yes: .no
      case .no: .yes
      default: truth
      }
    try require(evaluated(opposite, Array(lines)) == expected, "a condition is not its opposite")
  }

  private static func parsed(_ text: String) throws(Violation) -> WhereExpression? {
    do throws(WhereError) { return try WhereParser.parse(text) } catch {
      let count = text.unicodeScalars.count
      try require((1...count + 1).contains(error.column), "an error stands outside of the text")
      return nil
    }
  }

  private static func compiled(_ expression: WhereExpression) -> WhereProgram? {
    try? WhereCompiler.compile(expression, for: table, TypeCatalog())
  }

  private static func evaluated(_ program: WhereProgram, _ lines: [ArraySlice<UInt8>]) -> WhereTruth
  {
    var row = ByteWriter()
    for index in table.columns.indices {
      switch index < lines.count ? Array(lines[index]) : nil {
      case nil: row.appendNullColumn()
      case [0x75]?: row.appendUnchangedColumn()
      case let bytes?: row.append(column: unsafe bytes.span.bytes)
      }
    }
    let rows = Change.rewritten(
      .insert, of: 1, .none, in: row, boundary: 0, columns: (0, table.columns.count))
    return program.evaluate(rows.new, old: rows.old, hasOld: false, nullsAreUnsent: false)
  }
}
