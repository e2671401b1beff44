import Glibc

/// The byte stream to a server: a socket, with or without TLS on top.
///
/// It never blocks but in ``wait(for:until:what:)``. With TLS, bytes may wait inside OpenSSL that the
/// descriptor does not show: read until ``Outcome/wouldBlock`` before sleeping on ``descriptor``.
public struct Transport: ~Copyable {
  /// What one call did.
  public enum Outcome: Hashable, Sendable {
    /// That many bytes, at least one.
    case bytes(Int)
    /// Nothing could be done now; ``waitsFor`` says what to wait for.
    case wouldBlock
    /// The peer has closed its side.
    case closed
  }

  /// What a descriptor has to become before a call is worth repeating.
  public enum Readiness: Hashable, Sendable {
    /// There are bytes to read.
    case readable
    /// There is room to write.
    case writable
  }

  /// What a call on the socket or on TLS did.
  enum Progress: Hashable, Sendable {
    /// That many bytes; 0 for a finished handshake.
    case done(Int)
    /// The descriptor has to become ready first.
    case wants(Readiness)
    /// The peer has ended TLS or closed the connection.
    case closed
  }

  // Not private: the release linker needs its metadata in modules that keep a transport.
  enum Layer: ~Copyable {
    case clear
    case tls(TLSSession)
  }

  // Before the socket: properties go in order, and TLS must let go of the descriptor first.
  private var layer: Layer
  private let socket: Socket
  /// What the connection is doing, for errors.
  public var phase: ConnectionPhase
  /// What the last ``Outcome/wouldBlock`` waits for; with TLS a read may have to write first.
  public private(set) var waitsFor = Readiness.readable

  /// Takes over a connected socket, in clear.
  init(_ socket: consuming Socket, phase: ConnectionPhase) {
    self.layer = .clear
    self.socket = socket
    self.phase = phase
  }

  /// The descriptor, for poll and epoll; it stays this transport's own.
  public var descriptor: Int32 { socket.descriptor }

  /// Whether TLS is on.
  public var isEncrypted: Bool {
    switch layer {
    case .clear: false
    case .tls: true
    }
  }

  /// Puts TLS on top; the session has been made for this descriptor and has done its handshake.
  mutating func secure(with session: consuming TLSSession) {
    layer = .tls(session)
  }

  /// Tells the peer that TLS ends; without TLS there is nothing to say.
  mutating func shutDown() {
    switch layer {
    case .clear: break
    case .tls(let session): session.shutDown()
    }
  }

  /// What SCRAM can bind itself to.
  func bindingMaterial() throws(PGError) -> BindingMaterial {
    switch layer {
    case .clear: .clear
    case .tls(let session): .tls(serverEndPoint: try session.serverEndPoint())
    }
  }

  /// What became of the client's certificate; in clear there is none.
  var certificateUse: AuthenticationRules.CertificateUse {
    switch layer {
    case .clear: .init()
    case .tls(let session): session.certificateUse
    }
  }

  /// Reads what is there, at most as much as the buffer holds; it must not be empty.
  public mutating func read(
    into buffer: UnsafeMutableRawBufferPointer
  ) throws(PGError) -> Outcome {
    let progress =
      switch layer {
      case .clear: try unsafe socket.read(into: buffer, phase: phase)
      case .tls(let session): try unsafe session.read(into: buffer, phase: phase)
      }
    return note(progress)
  }

  /// Writes as much as goes without blocking; `bytes` must not be empty.
  public mutating func write(_ bytes: RawSpan) throws(PGError) -> Outcome {
    let progress =
      switch layer {
      case .clear: try socket.write(bytes, phase: phase)
      case .tls(let session): try session.write(bytes, phase: phase)
      }
    return note(progress)
  }

  private mutating func note(_ progress: Progress) -> Outcome {
    switch progress {
    case .done(let count): return .bytes(count)
    case .closed: return .closed
    case .wants(let readiness):
      waitsFor = readiness
      return .wouldBlock
    }
  }

  /// Blocks until the descriptor is ready; throws ``PGError/timeout(_:)`` about `what`.
  func wait(
    for readiness: Readiness, until deadline: Deadline, what: String
  ) throws(PGError) {
    let events = Int16(readiness == .readable ? POLLIN : POLLOUT)
    guard try socket.wait(for: events, until: deadline, phase: phase) else { throw .timeout(what) }
  }

  /// Blocks until there is something to read or, when it is asked for or TLS needs it, room to write;
  /// false when time is up.
  func wait(orToWrite writes: Bool, until deadline: Deadline) throws(PGError) -> Bool {
    let events = writes || waitsFor == .writable ? POLLIN | POLLOUT : POLLIN
    return try socket.wait(for: Int16(events), until: deadline, phase: phase)
  }

  /// Writes everything, blocking until the deadline.
  mutating func writeAll(
    _ bytes: RawSpan, until deadline: Deadline, what: String
  ) throws(PGError) {
    var done = 0
    while done < bytes.byteCount {
      switch try write(bytes.extracting(done..<bytes.byteCount)) {
      case .bytes(let count): done += count
      case .closed: throw .closed(phase)
      case .wouldBlock: try wait(for: waitsFor, until: deadline, what: what)
      }
    }
  }

  /// Receives at least `minimum` more bytes into the buffer, blocking until the deadline.
  ///
  /// False when the peer closed its side first.
  mutating func receive(
    _ minimum: Int, into input: inout InputBuffer, until deadline: Deadline, what: String
  ) throws(PGError) -> Bool {
    var missing = minimum
    while missing > 0 {
      // A peer that never lets the socket run dry must not hold us longer than a silent one.
      guard !deadline.hasPassed else { throw .timeout(what) }
      var outcome = Outcome.wouldBlock
      let count = try unsafe input.withFreeSpace(minimum: missing) { space throws(PGError) -> Int in
        outcome = try unsafe read(into: space)
        if case .bytes(let count) = outcome { return count }
        return 0
      }
      missing -= count
      switch outcome {
      case .bytes: break
      case .closed: return false
      case .wouldBlock: try wait(for: waitsFor, until: deadline, what: what)
      }
    }
    return true
  }
}
