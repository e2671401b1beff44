import PGWire
import Support
import Testing

@testable import Streamer

/// Our conditions against a real server's: random rows and expressions, worked out by both.
@Suite(
  .enabled(if: ThrowAwayServer.isInstalled, ThrowAwayServer.missing), .throwAwayServer,
  .serialized)
struct WhereServerTests {
  private static let types = """
    SET client_min_messages = error; DROP TYPE IF EXISTS mood CASCADE;
    DROP DOMAIN IF EXISTS price; CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
    CREATE DOMAIN price AS numeric;
    """

  private func server() throws -> ThrowAwayServer { try #require(ThrowAwayServer.current) }

  private func relation(_ oids: [UInt32]) -> Relation {
    Relation(
      oid: 1, schema: "public", name: "r", replicaIdentity: .full,
      columns: zip(RandomConditions.columns, oids).map {
        Relation.Column(name: $0.name, isKey: true, type: $1)
      })
  }

  private func catalog(_ oids: [UInt32]) throws -> TypeCatalog {
    var catalog = TypeCatalog()
    let rows = try server().rows(
      TypeCatalogQuery.text(for: catalog.missing(for: oids), serverMajor: 15),
      columns: TypeCatalogQuery.columnCount)
    catalog.learn(try TypeCatalogQuery.descriptions(of: rows))
    return catalog
  }

  /// What a program says of a row of texts: "t", "f" or nil.
  private func verdict(_ program: WhereProgram, _ row: [String?]) -> String? {
    var writer = ByteWriter()
    for value in row {
      guard let value else {
        writer.appendNullColumn()
        continue
      }
      let start = writer.beginColumn()
      writer.append(string: value)
      writer.endColumn(from: start)
    }
    let rows = Change.rewritten(
      .insert, of: 1, .none, in: writer, boundary: 0, columns: (0, row.count))
    let truth = program.evaluate(rows.new, old: rows.old, hasOld: false, nullsAreUnsent: false)
    switch truth {
    case .yes: return "t"
    case .no: return "f"
    case .null: return nil
    case .unsent: return "unsent"
    }
  }

  @Test func randomConditionsAgreeWithTheServer() throws {
    _ = try server().rows(Self.types + "SELECT 1", columns: 1)
    var conditions = RandomConditions("conditions")
    let names = RandomConditions.columns.map(\.name)
    let rows = (0..<150).map { _ in "(\(conditions.row()))" }
    let texts = (0..<400).map { conditions.condition($0 % 4) }
    let expressions = try texts.map { text in
      do throws(WhereError) { return try WhereParser.parse(text) } catch {
        Issue.record("\(text): \(error)")
        throw error
      }
    }
    let list = names + names.map { "(select pg_typeof(\($0))::oid)" } + texts.map { "(\($0))" }
    let answers = try server().rows(
      "SELECT \(list.joined(separator: ",\n")) FROM (VALUES \(rows.joined(separator: ",\n"))) "
        + "r(\(names.joined(separator: ", ")))", columns: list.count)
    let oids = answers[0][names.count..<2 * names.count].compactMap { $0.flatMap { UInt32($0) } }
    let catalog = try catalog(oids)
    let relation = relation(oids)
    var counts: [String?: Int] = [:]
    for (number, expression) in expressions.enumerated() {
      let program = try WhereCompiler.compile(expression, for: relation, catalog)
      for answer in answers {
        let expected = answer[2 * names.count + number]
        let row = Array(answer[..<names.count])
        counts[expected, default: 0] += 1
        if verdict(program, row) != expected {
          Issue.record("\(texts[number]) is \(expected ?? "null") of \(row)")
          return
        }
      }
    }
    // Conditions that are always the same would prove nothing.
    #expect(["t", "f", nil].allSatisfy { (counts[$0] ?? 0) > 5_000 }, "\(counts)")
  }
}
