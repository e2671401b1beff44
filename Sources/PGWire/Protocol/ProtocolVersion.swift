/// A version of the frontend/backend protocol (manual: "Frontend/Backend Protocol").
///
/// 3.1 was never made, and nobody speaks less than 3.0 any more.
public struct ProtocolVersion: Hashable, Comparable, Sendable {
  /// The number of the StartupMessage: major in the high half, minor in the low one.
  public let number: Int32

  /// Makes the version with that number.
  public init(number: Int32) { self.number = number }

  /// What every server and pooler speaks.
  public static let v3_0 = ProtocolVersion(number: 0x0003_0000)
  /// PostgreSQL 18: longer keys for CancelRequests.
  public static let v3_2 = ProtocolVersion(number: 0x0003_0002)
  /// The newest that this client speaks.
  public static let latest = v3_2

  /// Reads `3.0`, `3.2` or `latest`; nil for anything else.
  public init?(_ text: String) {
    switch text {
    case "3.0": self = .v3_0
    case "3.2": self = .v3_2
    case "latest": self = .latest
    default: return nil
    }
  }

  /// Orders by age.
  public static func < (a: ProtocolVersion, b: ProtocolVersion) -> Bool { a.number < b.number }
}

extension ProtocolVersion: CustomStringConvertible {
  /// "3.2".
  public var description: String { "\(number >> 16).\(number & 0xFFFF)" }
}
