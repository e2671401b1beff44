import PGWire
import Testing

/// The cursors against a slow model, on texts made from a seed.
///
/// Half of the texts are made of pieces of the syntax at random, so most are malformed and the two
/// must agree on which; half are well-formed values with a few characters changed.
@Suite struct ContainerTextTests {
  static let seeds: [UInt64] = [1, 2, 3, 0xDEAD_BEEF]
  static let count = 20_000

  private func compare(
    seed: UInt64, alphabet: String, examples: [String], _ what: Comment,
    model: (String) -> Model?, cursor: (String) throws(DecodingError) -> Model
  ) {
    var generator = SeededGenerator(seed: seed)
    let alphabet = Array(alphabet)
    var accepted = 0
    for _ in 0..<Self.count {
      var text: String
      if Bool.random(using: &generator) {
        text = generator.text(of: alphabet, upTo: 12)
      } else {
        var characters = Array(examples[Int.random(in: 0..<examples.count, using: &generator)])
        for _ in 0..<Int.random(in: 0...2, using: &generator) where !characters.isEmpty {
          let at = Int.random(in: 0..<characters.count, using: &generator)
          let piece = Array(generator.text(of: alphabet, upTo: 2))
          characters.replaceSubrange(at..<at + 1, with: piece)
        }
        text = String(characters)
      }
      let expected = model(text)
      let found: Model?
      do throws(DecodingError) { found = try cursor(text) } catch { found = nil }
      if expected != nil { accepted += 1 }
      #expect(found == expected, "\(what): \(text) with seed \(seed)")
    }
    // Else the comparison would say little.
    #expect(accepted > Self.count / 20, "\(what): only \(accepted) texts were well-formed")
  }

  @Test(arguments: seeds) func arrays(seed: UInt64) {
    compare(
      seed: seed, alphabet: "{{}},,\"\\aNé1",
      examples: [
        "{}", "{1,NULL,a}", #"{"a\"b","\\","",é}"#, "{{1,2},{3,4}}", "[0:1][-2:3]={{a},{b}}",
        "{{{{{{1}}}}}}", "{{{{{{{1}}}}}}}", "{null,nUll,\"NULL\",NULLx}",
      ], "array", model: { TextModel.array($0, delimiter: ",") }
    ) { text throws(DecodingError) in try CursorReading.array(text, delimiter: 0x2C) }
  }

  @Test(arguments: seeds) func arraysOfBoxes(seed: UInt64) {
    compare(
      seed: seed, alphabet: "{{}};;,(1)\"", examples: ["{(1,1),(0,0);(2,2),(1,1)}", "{a,b;NULL}"],
      "array of box", model: { TextModel.array($0, delimiter: ";") }
    ) { text throws(DecodingError) in try CursorReading.array(text, delimiter: 0x3B) }
  }

  @Test(arguments: seeds) func composites(seed: UInt64) {
    compare(
      seed: seed, alphabet: "(),,\"\"\\aé",
      examples: [
        "()", "(,)", "(1,NULL)", #"("a ""b""",,"","\\\\")"#, #"("(1,""x"")",{},é)"#,
      ], "row", model: { TextModel.composite($0) }
    ) { text throws(DecodingError) in try CursorReading.composite(text) }
  }

  @Test(arguments: seeds) func ranges(seed: UInt64) {
    compare(
      seed: seed, alphabet: "[()],,\"\"\\aé",
      examples: [
        "empty", "[1,6)", "(,)", "[1,]", #"["a,b","c""d")"#, "(-infinity,infinity]", #"("",é]"#,
      ], "range", model: { TextModel.range($0) }
    ) { text throws(DecodingError) in try CursorReading.range(text) }
  }

  @Test(arguments: seeds) func multiranges(seed: UInt64) {
    compare(
      seed: seed, alphabet: "{}[(),)]\"\\a",
      examples: [
        "{}", "{[1,6)}", "{(,1),[3,)}", #"{["a,b","c""d"),[x},y{)}"#, "{empty}",
      ], "multirange", model: { TextModel.multirange($0) }
    ) { text throws(DecodingError) in try CursorReading.multirange(text) }
  }

  @Test(arguments: seeds) func hstores(seed: UInt64) {
    compare(
      seed: seed, alphabet: "\"\"=>, \\aNULé",
      examples: [
        "", #""k"=>"v""#, #""k"=>"v", "n"=>NULL"#, #""a\"b"=>"\\", ""=>"""#, #""k"=>NULL, "é"=>"""#,
      ], "hstore", model: { TextModel.hstore($0) }
    ) { text throws(DecodingError) in try CursorReading.hstore(text) }
  }

  /// Every text cut short is malformed, but for hstore, which may end after any pair.
  @Test func truncatedTextThrows() {
    let array = #"[0:1]={"a\"b",{NULL}}"#
    let row = #"("a ""b""",,x)"#
    let multirange = #"{["a,b","c""d"),[x},y{)}"#
    for count in 0..<array.count {
      #expect(throws: DecodingError.self) {
        try CursorReading.array(String(array.prefix(count)), delimiter: 0x2C)
      }
    }
    for count in 0..<row.count {
      #expect(throws: DecodingError.self) {
        try CursorReading.composite(String(row.prefix(count)))
      }
    }
    for count in 0..<multirange.count {
      #expect(throws: DecodingError.self) {
        try CursorReading.multirange(String(multirange.prefix(count)))
      }
    }
  }
}
