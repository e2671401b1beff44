@testable import PGWire

/// A connection service file: errors name a line and show nothing of it.
enum ServiceFileFuzz: FuzzTarget {
  static let name = "service-file"

  static let words = ["[shop]", "[other]", "host=", "password=", "service=", "ldap://", "\r\n"]

  static var seeds: [[UInt8]] {
    [
      "# services\n[other]\nhost=a\n\n[shop]\nhost=db1\nport=5433\npassword=Geheim7\n[more]\n",
      "[shop]\npasword=Geheim7\n", "[shop]\nservice=x\n", "[shop]\nGeheim7\n",
    ].map { Array($0.utf8) }
  }

  static func run(_ input: [UInt8]) throws(Violation) {
    let file = ServiceFile(input, path: "f")
    let outcome = try Outcome.of { () throws(PGError) in
      let values = try file.values(of: "shop")
      return "\(values?.count ?? -1)"
    }
    guard case .failure(let text) = outcome else { return }
    try require(text.contains("line "), "an error names no line: \(text)")
    try require(!text.contains("Geheim7"), "an error shows a line: \(text)")
  }
}
