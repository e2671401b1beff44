import Testing

@testable import PGWire

/// Values that come from elsewhere are values, whatever is in them (U3).
@Suite struct ConnectionReferenceTests {
  static let hostile = [
    "p4ss word'x", "secret sslmode=disable host=evil", "a@b/c?d=e&f", "%2f%zz", "'", "\\", "",
    " x ",
    "\u{FF}\u{616}", "a'b\\' host=evil", "@evil/db?sslmode=disable", "x&host=evil", "p#w:1,2",
  ]

  @Test(arguments: hostile)
  func keywordForm(_ secret: String) throws {
    for quote in ["", "'"] {
      let string = try ConnectionString([
        .text("host=db1 password=\(quote)"), .value(secret),
        .text("\(quote) sslmode=verify-full"),
      ])
      #expect(string.values == [.host: "db1", .password: secret, .sslmode: "verify-full"])
    }
  }

  @Test(arguments: hostile)
  func uriForm(_ secret: String) throws {
    let string = try ConnectionString([
      .text("postgres://"), .value("us er"), .text(":"), .value(secret), .text("@db1:5432/"),
      .value(secret), .text("?sslmode=verify-full&application_name=a%20"), .value(secret),
    ])
    #expect(
      string.values == [
        .host: "db1", .port: "5432", .user: "us er", .password: secret, .dbname: secret,
        .sslmode: "verify-full", .applicationName: "a " + secret,
      ])
  }

  @Test func partOfAValue() throws {
    let string = try ConnectionString([
      .text("host='a "), .value("b' c"), .text("\\'d' dbname="), .value("x"), .text("y"),
    ])
    #expect(string.values == [.host: "a b' c'd", .dbname: "xy"])
  }

  @Test(arguments: [
    ["", " host=x"], ["host=x ", ""], ["host=x ", "=y"], ["postgres://h/d?", "=y"],
    ["postgres://h/d?a", "b=y"],
  ])
  func noKeyword(_ around: [String]) {
    let error = #expect(throws: PGError.self) {
      try ConnectionString([.text(around[0]), .value("geheim"), .text(around[1])])
    }
    let said = error.map { "\($0)" } ?? ""
    #expect(said.contains("a reference stands where a keyword belongs"))
    #expect(!said.contains("geheim"))
  }

  @Test func zeroByteAndTooMany() {
    #expect(throws: PGError.self) { try ConnectionString([.text("password="), .value("a\0b")]) }
    let one: [ConnectionString.Piece] = [.text("host="), .value("h"), .text(" ")]
    #expect(throws: PGError.self) { try ConnectionString((0..<200).flatMap { _ in one }) }
  }
}
