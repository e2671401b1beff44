import Testing

@testable import Streamer

@Suite struct JSONValueTests {
  private func value(_ text: String) -> JSONValue? { JSONValue(Array(text.utf8)) }

  @Test func `A document is read with its order, digits and escapes`() throws {
    let document = try #require(
      value(#" {"b": -1.50e3, "a": [null, true, "x\u00e9\ud83d\ude00\n\/"], "n": 42} "#))
    #expect(document.members.map(\.name) == ["b", "a", "n"])
    #expect(document["b"] == .number("-1.50e3"))
    #expect(document["b"]?.integer == nil && document["n"]?.integer == 42)
    #expect(document["a"]?.elements == [.null, .bool(true), .string("xé😀\n/")])
    #expect(document["missing"] == nil && document["n"]?.elements.isEmpty == true)
  }

  @Test(arguments: [
    "", "{", "[1,]", "01", "-", "1.", "1e", "\"\u{1}\"", "{} x", "nul", #""\ud800""#, #""\ud800A""#,
    #""\u12g4""#, #"{"a" 1}"#, #"{"a":1,}"#, "{1:2}", #""x"#,
  ])
  func `What is no JSON gives nothing`(text: String) {
    #expect(value(text) == nil)
  }

  @Test func `Nesting has a limit`() {
    let depth = 64
    #expect(
      value(String(repeating: "[", count: depth) + String(repeating: "]", count: depth)) != nil)
    #expect(value(String(repeating: "[", count: 100_000)) == nil)
  }

  @Test func `Text that is not UTF-8 is no JSON`() {
    #expect(JSONValue([0x22, 0xFF, 0x22]) == nil)
  }

  @Test func `What the program itself writes is read`() {
    var json = JSONText()
    json.object { json in
      json.key("text")
      json.value("a\"\\\n\u{1}é")
      json.key("number")
      json.value(-7)
      json.key("none")
      json.value(String?.none)
    }
    let read = JSONValue(json.bytes)
    #expect(read?["text"]?.string == "a\"\\\n\u{1}é")
    #expect(read?["number"]?.integer == -7 && read?["none"] == .null)
  }
}
