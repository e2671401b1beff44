import PGWire
import Support
import Testing

@testable import Streamer

/// The headers that a sink asks for, and what they say of events.
@Suite struct EventHeadersTests {
  private static func configuration(_ lines: String) -> String {
    ConfigurationPieces.source + ConfigurationPieces.kafka + lines + "\n"
  }

  /// The setup of a Kafka sink with these lines.
  private static func setup(_ lines: String) throws -> LaneSetup {
    try ConfigurationFixture.parse(configuration(lines)).sinks[0].setup(for: "db")
  }

  private static func names(_ sink: CapturingSink) -> [String] {
    sink.headers.map { String($0.prefix { $0 != "=" }) }
  }

  private static let row: [ServerBytes.Cell] = [.text("7"), .text("x=ä"), .null]

  @Test func allOfThemWithTrue() throws {
    let insert = ServerBytes.insert(FormatRun.oid, Self.row)
    let sink = try FormatRun.feed(Self.setup("headers = true"), FormatRun.orders(), insert)
    #expect(Self.names(sink) == ["UUID", "LSN", "Schema", "Table", "Action"])
    #expect(sink.headers[1...] == ["LSN=0/90", "Schema=shop", "Table=orders", "Action=insert"])
    let none = try FormatRun.feed(Self.setup("headers = false"), FormatRun.orders(), insert)
    #expect(none.headers.isEmpty)
    #expect(none.values == sink.values)
  }

  @Test func thoseOfAListInItsOrder() throws {
    let sink = try FormatRun.feed(
      Self.setup(#"headers = ["Action", "column:note", "column:price", "column:other", "LSN"]"#),
      FormatRun.orders(), ServerBytes.insert(FormatRun.oid, Self.row),
      ServerBytes.delete(FormatRun.oid, .key, [.text("7"), .null, .null]))
    #expect(
      sink.headers == ["Action=insert", "note=x=ä", "LSN=0/90", "Action=delete", "LSN=0/90"])
  }

  @Test func aValueThatWasNotSentIsTakenFromTheOldRow() throws {
    let update = ServerBytes.update(
      FormatRun.oid, old: (.full, [.text("7"), .text("long"), .null]),
      [.text("7"), .unchanged, .text("1")])
    let sink = try FormatRun.feed(
      Self.setup(#"headers = ["column:note", "column:id"]"#), FormatRun.orders(.full), update)
    #expect(sink.headers == ["note=long", "id=7"])
    let unknown = ServerBytes.update(FormatRun.oid, [.text("7"), .unchanged, .text("1")])
    let other = try FormatRun.feed(
      Self.setup(#"headers = ["column:note", "column:id"]"#), FormatRun.orders(), unknown)
    #expect(other.headers == ["id=7"])
  }

  @Test func whatARuleHidesNoHeaderShows() throws {
    let rules = """
      headers = ["column:note", "column:remark", "column:price", "column:id"]
      [sink.k.table."shop.orders"]
      exclude = ["price"]
      rename = { note = "remark" }
      mask = { note = "stars:3" }
      """
    let sink = try FormatRun.feed(
      Self.setup(rules), FormatRun.orders(),
      ServerBytes.insert(FormatRun.oid, [.text("7"), .text("secret"), .text("1")]))
    #expect(sink.headers == ["remark=***", "id=7"])
  }

  @Test(arguments: [
    (
      #"["uuid", "UUID"]"#,
      #"found "uuid", expected "UUID", "LSN", "Schema", "Table", "Action" or "column:NAME""#
    ),
    (#"["column:"]"#, #"found "column:""#), ("[]", "found an empty list"),
    (#"["LSN", "column:LSN"]"#, #"found a second header "LSN", expected each name once"#),
    (#""yes""#, "expected true or false"),
  ]) func mistakesAreNamed(_ value: String, _ error: String) {
    let errors = ConfigurationFixture.errors(Self.configuration("headers = \(value)"))
    #expect(errors.count == 1)
    #expect(errors.first?.contains("sink.k.headers: ") == true)
    #expect(errors.first?.contains(error) == true, "\(errors)")
  }

  @Test func otherFormatsSayThatTheyDoNothing() throws {
    let lines = "headers = [\"LSN\"]\nformat = \"debezium\""
    let notes = try ConfigurationFixture.parse(Self.configuration(lines)).notes
    #expect(
      notes.map(\.description).contains {
        $0.hasSuffix("headers: has no effect with format = \"debezium\", which has its own")
      }, "\(notes)")
  }
}
