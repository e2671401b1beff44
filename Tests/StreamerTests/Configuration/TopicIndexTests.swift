import Support
import Testing

@testable import Streamer

/// Which mapping a table has, found by the index and by asking each mapping.
@Suite struct TopicIndexTests {
  private static let names = ["a", "b", "ab", "aé", "ae\u{301}", "aé*", "a*", "*", "*b", "b.c"]

  /// The rule: the first mapping whose pattern covers the table.
  private func first(_ mappings: [TopicRouting.Mapping], _ schema: String, _ table: String)
    -> String?
  {
    mappings.first { $0.tables.matches(schema: schema, table: table) }?.topic
  }

  @Test func indexFindsTheFirstMappingWhateverTheirOrder() throws {
    var random = SeededRandom("topic index")
    for _ in 0..<300 {
      let mappings = try (0..<Int.random(in: 0...12, using: &random)).map { number in
        let table = try #require(Self.names.randomElement(using: &random))
        let schema = try #require(["", "s.", "t.", "*.", "s*."].randomElement(using: &random))
        return TopicRouting.Mapping(
          tables: try #require(TablePattern(schema + table)), topic: "t\(number)")
      }
      let routing = TopicRouting(mappings: mappings)
      for schema in ["s", "t", "st"] {
        for table in ["a", "b", "ab", "aé", "ae\u{301}", "abb", "b.c", "x"] {
          #expect(
            routing.topic(database: "d", schema: schema, table: table)
              == first(mappings, schema, table),
            "\(mappings.map(\.tables.description)) \(schema).\(table)")
        }
      }
    }
  }

  @Test func mappingsThatAreSetLaterCount() throws {
    var routing = TopicRouting(fallback: "f")
    #expect(routing.topic(database: "d", schema: "s", table: "a") == "f")
    routing.mappings = [
      TopicRouting.Mapping(tables: try #require(TablePattern("a")), topic: "t")
    ]
    #expect(routing.topic(database: "d", schema: "s", table: "a") == "t")
  }
}
