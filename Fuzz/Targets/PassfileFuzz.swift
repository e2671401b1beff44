import PGWire

/// A passfile: the first line that fits, as a slow reader sees it.
enum PassfileFuzz: FuzzTarget {
  static let name = "passfile"

  static let words = ["db1:5432:shop:u:", "*:*:*:*:", "\\:", "\\\\", "localhost"]

  static var seeds: [[UInt8]] {
    [
      "# hosts\ndb1:5432:shop:u:secret\n*:*:*:*:other\n", "db1:*:shop:u:a\\:b\\\\c\r\n",
      "db\\1:5432:shop:u:x:y\n", "*:*\n::::\n",
    ].map { Array($0.utf8) }
  }

  static func run(_ input: [UInt8]) throws(Violation) {
    let file = Passfile(input)
    let found = file.password(host: "db1", port: 5432, database: "shop", user: "u")
    let expected = expected(input)
    try require(found == expected, "the password is \(found ?? "none"), not \(expected ?? "none")")
    try require(file.description.isOneLine, "a passfile's description is not one line")
  }

  /// Fields between colons that no backslash escapes.
  private static func expected(_ file: [UInt8]) -> String? {
    for line in file.split(separator: UInt8(ascii: "\n")) {
      guard line.first != UInt8(ascii: "#") else { continue }
      var fields: [(raw: [UInt8], text: [UInt8])] = [([], [])]
      var bytes = line.last == UInt8(ascii: "\r") ? line.dropLast() : line
      while let byte = bytes.popFirst() {
        if byte == UInt8(ascii: ":") {
          fields.append(([], []))
          continue
        }
        fields[fields.count - 1].raw.append(byte)
        var own = byte
        if byte == UInt8(ascii: "\\"), let next = bytes.popFirst() {
          fields[fields.count - 1].raw.append(next)
          own = next
        }
        fields[fields.count - 1].text.append(own)
      }
      guard fields.count > 4 else { continue }
      let wanted = ["db1", "5432", "shop", "u"].map { Array($0.utf8) }
      let fits = zip(fields, wanted).allSatisfy { $0.raw == [UInt8(ascii: "*")] || $0.text == $1 }
      if fits { return String(decoding: fields[4].text, as: UTF8.self) }
    }
    return nil
  }
}
