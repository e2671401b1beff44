import Support
import Testing

@testable import Streamer

/// Documents that other readers of JSON refuse are strings; all others stay part of the event.
@Suite struct JSONReachTests {
  @Test(
    "B8 half a surrogate pair is no part of an event",
    arguments: [
      (#"{"k":"\ud800"}"#, false), (#"{"k":"\uDC00"}"#, false), (#"["\ud83d\u0041"]"#, false),
      (#"["\ud83dx\ude00"]"#, false), (#""\ude00\ud83d""#, false), (#"{"\udbff":1}"#, false),
      (#"{"k":"\ud83d\uDE00"}"#, true), (#"["\\ud800"]"#, true), (#"["\\\ud83d\ude00"]"#, true),
      (#"["\u0000\ud7ff\ue000"]"#, true), (#" "\"\\" "#, true), ("1", true),
    ])
  func surrogates(_ text: String, _ isEmbedded: Bool) throws {
    let found = try json(text, 114)
    #expect(found == (isEmbedded ? text : written { $0.append(jsonString: text) }))
    _ = try JSON("[\(found)]")
  }

  @Test func anElementIsAStringByItself() throws {
    #expect(try json(#"{"\"\\ud800\"",1}"#, 199) == #"["\"\\ud800\"",1]"#)
  }

  @Test("no event is deeper, and no number longer, than others read", arguments: [114, 3802])
  func limits(_ type: UInt32) throws {
    func nested(_ depth: Int) -> String {
      String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
    }
    let wide = "[" + String(repeating: #"{"a":"[[[{{{\""},"#, count: 1_000) + "0]"
    for text in [nested(Limits.jsonDepth), wide, String(repeating: "9", count: Limits.jsonDigits)] {
      #expect(try json(text, type) == text)
    }
    for text in [
      nested(Limits.jsonDepth + 1), String(repeating: "9", count: Limits.jsonDigits + 1),
    ] {
      #expect(try json(text, type) == "\"\(text)\"")
    }
  }
}
