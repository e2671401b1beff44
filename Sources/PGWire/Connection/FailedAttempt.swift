/// One attempt to connect that failed.
public struct FailedAttempt: Hashable, Sendable {
  /// Host and port as configured with the numeric address, or the path of the Unix socket.
  public let address: String
  /// How it was tried: "in clear", "with TLS", "with direct TLS"; nil when it did not come so far.
  public let how: String?
  /// Why it failed.
  public let error: PGError

  /// Makes a record of an attempt.
  public init(address: String, how: String? = nil, error: PGError) {
    self.address = address
    self.how = how
    self.error = error
  }
}

extension FailedAttempt: CustomStringConvertible {
  /// Where, how and why, in one line.
  public var description: String {
    // These say themselves where it was.
    switch error {
    case .connect, .timeout: return error.description
    default: return "\(address)\(how.map { " " + $0 } ?? ""): \(error.description)"
    }
  }
}
