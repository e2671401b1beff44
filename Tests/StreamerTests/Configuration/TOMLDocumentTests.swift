import Testing

@testable import Streamer

@Suite struct TOMLDocumentTests {
  @Test func membersKeepTheOrderAndPlacesOfTheFile() throws {
    let document = try TOMLDocument(
      parsing: """
        z = 1
        a = "zwei\\u0000ü"

        [t]
          y.x = [true, 2.5, 2026-11-24]
        "b c" = {}
        """)
    let root = document.root.entries
    #expect(root.map(\.key) == ["z", "a", "t"])
    #expect(root.map(\.position.line) == [1, 2, 4])
    #expect(root.map(\.value.position.column) == [5, 5, 1])
    #expect(root[0].value.content == .integer(1))
    #expect(root[1].value.content == .string("zwei\u{0}ü"))
    guard case .table(let table) = root[2].value.content,
      case .table(let nested)? = table.entries.first?.value.content,
      case .array(let members)? = nested.entries.first?.value.content
    else {
      Issue.record("t.y.x is no array")
      return
    }
    #expect(table.entries.map(\.key) == ["y", "b c"])
    #expect(table.entries[0].position == TOMLPosition(line: 5, column: 3))
    #expect(members.map(\.content) == [.boolean(true), .float(2.5), .time])
    #expect(members.map(\.position.column) == [10, 16, 21])
  }

  @Test func emptyTextIsAnEmptyTable() throws {
    #expect(try TOMLDocument(parsing: "").root.entries.isEmpty)
  }

  /// Depth would overflow the stack of a parser that recurses.
  @Test func depthIsLimited() {
    let nested = #expect(throws: TOMLSyntaxError.self) {
      try TOMLDocument(parsing: "a=" + String(repeating: "[", count: 100_000))
    }
    #expect(nested?.position.line == 1)
    let dotted = #expect(throws: TOMLSyntaxError.self) {
      try TOMLDocument(parsing: "\n" + String(repeating: "a.", count: 100_000) + "b=1")
    }
    #expect(dotted?.position.line == 2)
  }

  /// toml++ asserts that a header begins with a key; the line is found all the same.
  @Test(arguments: ["[=]", "[", "[\n", "[[=]]", "[a]\n[(]", "x = \"\"\"\n[=]\n\"\"\"\n[\n"])
  func headersWithoutAKeyAreRefused(_ text: String) {
    let line = text.split(separator: "\n").count
    let error = #expect(throws: TOMLSyntaxError.self) { try TOMLDocument(parsing: text) }
    #expect(error?.position.line == line)
    let later = #expect(throws: TOMLSyntaxError.self) {
      try TOMLDocument(parsing: "\n# first\n\n" + text)
    }
    #expect(later?.position.line == line + 3)
  }

  /// Whatever stands in a file, it is read or refused with a line, and migrated or refused.
  @Test func damagedFilesAreRefusedAndNeverTrap() {
    let scalars = Array(SeedConfigurationTests.everyKey.unicodeScalars)
    let noise: [Unicode.Scalar] = [
      "\"", "'", "[", "]", "{", "}", "=", ".", "#", "\n", "$", "ü", "0",
    ]
    var state: UInt64 = 0x5EED
    func random(_ bound: Int) -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int((state >> 33) % UInt64(bound))
    }
    var accepted = 0
    for round in 0..<600 {
      var damaged = scalars
      if round < 200 { damaged.removeLast(damaged.count * round / 200) }
      for _ in 0..<(round % 4) where !damaged.isEmpty {
        let place = random(damaged.count)
        switch random(3) {
        case 0: damaged.remove(at: place)
        case 1: damaged[place] = noise[random(noise.count)]
        default: damaged.insert(noise[random(noise.count)], at: place)
        }
      }
      let text = String(String.UnicodeScalarView(damaged))
      let errors = ConfigurationFixture.errors(text)
      if errors.isEmpty { accepted += 1 }
      #expect(errors.allSatisfy { $0.hasPrefix("c.toml:") && !$0.contains("\n") })
      do throws(ConfigurationErrors) {
        let migrated = try ConfigurationMigration.migrate(text: text, file: "c.toml")
        #expect(ConfigurationFixture.errors(migrated).isEmpty, "round \(round): \(text)")
      } catch {
        #expect(!error.errors.isEmpty)
      }
    }
    #expect((1..<600).contains(accepted), "the damage is neither nothing nor everything")
  }
}
