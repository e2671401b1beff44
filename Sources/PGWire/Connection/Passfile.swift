/// A password file (manual: "The Password File").
///
/// Each line is `host:port:database:user:password`; the first that fits gives the password.
public struct Passfile: Hashable, Sendable {
  private let lines: [[UInt8]]

  /// Takes the file's contents.
  public init(_ contents: [UInt8]) {
    lines = contents.split(separator: UInt8(ascii: "\n")).map { line in
      line.last == UInt8(ascii: "\r") ? Array(line.dropLast()) : Array(line)
    }
  }

  /// The password for this connection; nil when no line fits.
  ///
  /// `host` is the name as configured, `localhost` for the default socket directory.
  public func password(host: String, port: UInt16, database: String, user: String) -> String? {
    let wanted = [host, String(port), database, user].map { Array($0.utf8) }
    lines: for line in lines where line.first != UInt8(ascii: "#") {
      var rest = line[...]
      for field in wanted {
        guard let found = Self.field(&rest) else { continue lines }
        guard found.isWildcard || found.text == field else { continue lines }
      }
      return String(decoding: Self.password(rest), as: UTF8.self)
    }
    return nil
  }

  /// Reads up to an unescaped colon and past it; nil when the line ends first.
  private static func field(
    _ rest: inout ArraySlice<UInt8>
  ) -> (text: [UInt8], isWildcard: Bool)? {
    let isWildcard = rest.starts(with: [UInt8(ascii: "*"), UInt8(ascii: ":")])
    var text: [UInt8] = []
    while let byte = rest.popFirst() {
      if byte == UInt8(ascii: ":") { return (text, isWildcard) }
      if byte == UInt8(ascii: "\\"), let escaped = rest.popFirst() {
        text.append(escaped)
      } else {
        text.append(byte)
      }
    }
    return nil
  }

  private static func password(_ text: ArraySlice<UInt8>) -> [UInt8] {
    var rest = text
    var password: [UInt8] = []
    while let byte = rest.popFirst(), byte != UInt8(ascii: ":") {
      if byte == UInt8(ascii: "\\"), let escaped = rest.popFirst() {
        password.append(escaped)
      } else {
        password.append(byte)
      }
    }
    return password
  }
}

extension Passfile: CustomStringConvertible {
  /// How many lines there are; nothing of what they say.
  public var description: String { "passfile with \(lines.count) lines" }
}
