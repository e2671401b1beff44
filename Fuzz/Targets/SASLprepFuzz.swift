@testable import PGWire

/// SASLprep on arbitrary passwords.
enum SASLprepFuzz: FuzzTarget {
  static let name = "saslprep"

  static let words = ["\u{AD}", "\u{A0}", "\u{2168}", "\u{FDFA}", "\u{0627}", "\u{1100}\u{1161}"]

  static var seeds: [[UInt8]] {
    [
      "geheim", "I\u{AD}X", "\u{AA}", "\u{2168}", "\u{0627}1", "\u{0627}\u{0661}",
      "e\u{301}\u{323}",
    ]
    .map { Array($0.utf8) } + [[0xFF], [0xC3]]
  }

  static func run(_ input: [UInt8]) throws(Violation) {
    // The tables are read anew for each character, by design: longer ones only take longer.
    guard input.count <= 128 else { return }
    let prepared = SASLprep.prepare(input)
    try require(prepared == SASLprep.prepare(input), "a password is prepared in two ways")
    let isText = String(validating: input, as: UTF8.self) != nil
    if input.allSatisfy({ $0 < 0x80 }) || !isText {
      try require(prepared == input, "a password that is ASCII, or no UTF-8, was changed")
    } else {
      try require(
        String(validating: prepared, as: UTF8.self) != nil, "a prepared password is no UTF-8")
    }
    try require(input.isEmpty == prepared.isEmpty, "a password was prepared to nothing")
  }
}
