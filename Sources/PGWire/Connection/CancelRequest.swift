/// Asks a server to cancel what one of its sessions is doing.
///
/// It goes by a connection of its own to the address of that session, over TLS if that had it, from
/// any thread. The server does not say whether there was anything to cancel: the session itself
/// then fails with SQLSTATE 57014.
public struct CancelRequest: Sendable {
  private let endpoint: ServerEndpoint
  /// How it goes: as its session went, never with less.
  let encryption: Encryption
  private let key: BackendKeyData

  /// Makes it for a session that was reached in this way.
  init(_ endpoint: ServerEndpoint, _ encryption: Encryption, _ key: BackendKeyData) {
    self.endpoint = endpoint
    self.encryption = encryption
    self.key = key
  }

  /// Sends the request and waits until the server has taken it, which it shows by closing.
  ///
  /// Throws ``PGError`` when the server cannot be reached in time, or answers.
  public func send(timeout: Duration = .seconds(10)) throws(PGError) {
    let deadline = Deadline(after: timeout)
    var stage = AttemptStage.connecting
    var transport = try endpoint.open(encryption, until: deadline, stage: &stage)
    var request = ByteWriter(capacity: 272)
    FrontendMessage.cancelRequest(key, into: &request)
    let what = "waiting for \(endpoint.address) to take a CancelRequest"
    try transport.writeAll(request.bytes, until: deadline, what: what)
    var answer = InputBuffer(capacity: 64)
    guard try transport.receive(1, into: &answer, until: deadline, what: what) else { return }
    throw .protocol(
      DecodingError(.violation("a CancelRequest has no answer"), at: 0), phase: .startup, tag: nil)
  }
}

extension CancelRequest: CustomStringConvertible {
  /// Which process where; the key stays secret.
  public var description: String { "cancel request for \(key) at \(endpoint.address)" }
}
