import Testing

@testable import PGWire

/// SASLprep as PostgreSQL does it, and the normalization under it.
struct SASLprepTests {
  private func prepare(_ text: String) -> String {
    String(decoding: SASLprep.prepare(Array(text.utf8)), as: UTF8.self)
  }

  // RFC 4013, section 3, as far as PostgreSQL follows it.
  @Test func examplesOfRFC4013() {
    #expect(prepare("I\u{AD}X").unicodeScalars.elementsEqual("IX".unicodeScalars))
    #expect(prepare("user") == "user")
    #expect(prepare("USER") == "USER")
    #expect(prepare("\u{AA}").unicodeScalars.elementsEqual("a".unicodeScalars))
    #expect(prepare("\u{2168}").unicodeScalars.elementsEqual("IX".unicodeScalars))
  }

  @Test func spacesAreMapped() {
    #expect(prepare("a\u{A0}b\u{3000}c\u{200B}d") == "a b c d")
  }

  @Test func theDirectionOfTextIsChecked() {
    // Right to left throughout, or it stays raw: the ligature is not taken apart.
    #expect(prepare("\u{FEFB}").unicodeScalars.map(\.value) == [0x644, 0x627])
    for raw in ["\u{FEFB}1", "\u{FEFB}a\u{FEFB}", "\u{627}\u{31}"] {
      #expect(Array(prepare(raw).utf8) == Array(raw.utf8))
    }
  }

  @Test func whatCannotBePreparedIsUsedRaw() {
    let raw: [[UInt8]] = [
      Array("\u{7}\u{7F}".utf8),  // ASCII, even control characters
      Array("\u{AA}\u{7}".utf8),  // a control character beside others
      Array("\u{AA}\u{1F600}".utf8),  // unassigned in Unicode 3.2
      Array("\u{AA}\u{E000}".utf8),  // for private use
      Array("\u{AD}\u{AD}".utf8),  // empty after mapping
      [0xC2, 0xAA, 0xFF], [0xC2], [0xED, 0xA0, 0x80], [0xC0, 0x80],  // no UTF-8
    ]
    for password in raw { #expect(SASLprep.prepare(password) == password) }
  }

  // Expected values from Python's unicodedata (Unicode 14).
  @Test(arguments: [
    ("\u{65}\u{301}", "\u{E9}"),
    ("\u{61}\u{323}\u{307}", "\u{1EA1}\u{307}"),
    ("\u{61}\u{307}\u{323}", "\u{1EA1}\u{307}"),
    ("\u{1100}\u{1161}\u{11A8}", "\u{AC01}"),
    ("\u{AC00}\u{11A8}", "\u{AC01}"),
    ("\u{958}", "\u{915}\u{93C}"),
    ("\u{2126}", "\u{3A9}"),
    ("\u{FB01}\u{78}", "\u{66}\u{69}\u{78}"),
    ("\u{1E9B}\u{323}", "\u{1E69}"),
    ("\u{344}", "\u{308}\u{301}"),
    ("\u{FF21}\u{FF9E}\u{FF76}\u{FF9E}", "\u{41}\u{3099}\u{30AC}"),
    ("\u{2460}\u{3231}", "\u{31}\u{28}\u{682A}\u{29}"),
    ("\u{212B}\u{301}", "\u{1FA}"),
    ("\u{BC6}\u{BBE}", "\u{BCA}"),
    ("\u{71}\u{307}\u{323}\u{307}", "\u{71}\u{323}\u{307}\u{307}"),
    ("\u{1100}\u{AC00}\u{1161}", "\u{1100}\u{AC00}\u{1161}"),
    ("\u{F71}\u{F72}\u{F74}", "\u{F71}\u{F72}\u{F74}"),
    (
      "\u{FDFA}",
      "\u{635}\u{644}\u{649}\u{20}\u{627}\u{644}\u{644}\u{647}\u{20}\u{639}\u{644}\u{64A}\u{647}\u{20}\u{648}\u{633}\u{644}\u{645}"
    ),
    ("\u{45}\u{313}\u{332}\u{306}", "\u{45}\u{332}\u{313}\u{306}"),
    ("\u{65}\u{344}\u{30C}\u{32E}", "\u{EB}\u{32E}\u{301}\u{30C}"),
    ("\u{61}\u{340}\u{31B}\u{304}", "\u{E0}\u{31B}\u{304}"),
    ("\u{65}\u{337}\u{335}\u{308}", "\u{EB}\u{337}\u{335}"),
    ("\u{75}\u{30B}\u{346}\u{336}", "\u{171}\u{336}\u{346}"),
    ("\u{61}\u{348}\u{30F}\u{31C}", "\u{201}\u{348}\u{31C}"),
    ("\u{61}\u{349}\u{34A}\u{332}", "\u{61}\u{349}\u{332}\u{34A}"),
    ("\u{61}\u{31C}\u{305}\u{347}", "\u{61}\u{31C}\u{347}\u{305}"),
    ("\u{6F}\u{325}\u{335}\u{312}", "\u{6F}\u{335}\u{325}\u{312}"),
    ("\u{79}\u{30F}\u{349}\u{327}", "\u{79}\u{327}\u{349}\u{30F}"),
    ("\u{79}\u{317}\u{30D}\u{34A}", "\u{79}\u{317}\u{30D}\u{34A}"),
    ("\u{75}\u{32F}\u{30C}\u{346}", "\u{1D4}\u{32F}\u{346}"),
  ])
  func normalization(text: String, expected: String) {
    let normalized = NormalizationFormKC.normalize(Array(text.unicodeScalars))
    #expect(normalized == Array(expected.unicodeScalars))
  }

  // An FNV-1a hash over the normalization of a sample of every block, from Python's unicodedata.
  @Test func tableAsAWhole() {
    let blocks: [(first: UInt32, last: UInt32, step: Int)] = [
      (0xA0, 0x33FF, 37), (0xAC00, 0xD7A3, 997), (0xF900, 0xFFFF, 31), (0x1D100, 0x1D7FF, 31),
    ]
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    func add(_ value: UInt32) { hash = (hash ^ UInt64(value)) &* 0x100_0000_01B3 }
    for block in blocks {
      for value in stride(from: block.first, through: block.last, by: block.step) {
        guard let scalar = Unicode.Scalar(value), !Stringprep.unassigned.contains(scalar) else {
          continue
        }
        for part in NormalizationFormKC.normalize([scalar]) { add(part.value) }
        add(0xFFFF_FFFF)
      }
    }
    #expect(hash == 0x76F0EA9DDF289C2)
  }
}
