/// A server's version as the number of `server_version_num`: 150018 is 15.18, 90624 is 9.6.24.
public struct ServerVersion: Hashable, Comparable, Sendable {
  /// The number.
  public let number: Int

  /// Makes the version with that number.
  public init(number: Int) { self.number = number }

  /// Reads the parameter `server_version`; what forks and distributions append is ignored.
  ///
  /// "15.18 (Debian 15.18-0+deb12u1)", "18beta1", "9.6.24" are understood; nil without a number.
  public init?(_ text: String) {
    var parts: [Int] = []
    var rest = text.utf8[...]
    while parts.count < 3 {
      let digits = rest.prefix { (0x30...0x39).contains($0) }
      guard !digits.isEmpty, digits.count < 5, let value = Int(Substring(digits)) else { break }
      parts.append(value)
      rest = rest.dropFirst(digits.count)
      guard rest.first == UInt8(ascii: ".") else { break }
      rest = rest.dropFirst()
    }
    guard let major = parts.first else { return nil }
    let minor = parts.count > 1 ? parts[1] : 0
    let patch = parts.count > 2 ? parts[2] : 0
    self.number = major >= 10 ? major * 10_000 + minor : major * 10_000 + minor * 100 + patch
  }

  /// The major version: 15 for 15.18.
  public var major: Int { number / 10_000 }

  /// Orders by age.
  public static func < (a: ServerVersion, b: ServerVersion) -> Bool { a.number < b.number }
}

extension ServerVersion: CustomStringConvertible {
  /// As PostgreSQL writes it: "15.18", "9.6.24".
  public var description: String {
    major >= 10
      ? "\(major).\(number % 10_000)" : "\(major).\(number / 100 % 100).\(number % 100)"
  }
}
