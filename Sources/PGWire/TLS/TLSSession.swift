import COpenSSL

/// TLS over one non-blocking descriptor that somebody else owns.
///
/// OpenSSL writes with write(2): the program must ignore SIGPIPE.
@safe struct TLSSession: ~Copyable {
  private static let protocolName = Array("postgresql".utf8)
  private let session: OpaquePointer
  private let configuration: TLSConfiguration
  private let verifies: Bool

  /// Makes a session; `hostName` is sent as SNI when it is a name and not an address.
  static func make(
    _ configuration: TLSConfiguration, descriptor: Int32, hostName: String?
  ) throws(PGError) -> TLSSession {
    let context = try TLSContext.make(configuration)
    guard let session = unsafe SSL_new(context.pointer) else {
      throw .tls("OpenSSL gives no session: \(TLSError.takeReason() ?? "out of memory")")
    }
    let made = unsafe TLSSession(session, configuration, verifies: context.verifies)
    guard unsafe SSL_set_fd(session, descriptor) == 1 else {
      throw .tls("OpenSSL does not take the socket: \(TLSError.takeReason() ?? "unknown")")
    }
    // Servers before 17 know no ALPN and ignore it. Unlike its other functions, this one of
    // OpenSSL returns 0 for success; a failure would only mean that nothing is sent.
    let protocols = [UInt8(protocolName.count)] + protocolName
    _ = unsafe SSL_set_alpn_protos(session, protocols, UInt32(protocols.count))
    if configuration.sendsServerName, let hostName, !hostName.isEmpty,
      IPAddress.parse(hostName) == nil
    {
      guard unsafe copenssl_set_server_name(session, hostName) == 1 else {
        throw .tls("host name \(hostName) cannot be sent as SNI. Set sslsni=0")
      }
    }
    unsafe SSL_set_connect_state(session)
    return made
  }

  private init(
    _ session: OpaquePointer, _ configuration: TLSConfiguration, verifies: Bool
  ) {
    unsafe self.session = session
    self.configuration = configuration
    self.verifies = verifies
  }

  deinit { unsafe SSL_free(session) }

  /// Goes on with the handshake; `.done(0)` when it is complete and the authority was checked.
  func handshake() throws(PGError) -> Transport.Progress {
    ERR_clear_error()
    let result = unsafe SSL_do_handshake(session)
    if result == 1 { return .done(0) }
    switch unsafe SSL_get_error(session, result) {
    case SSL_ERROR_WANT_READ: return .wants(.readable)
    case SSL_ERROR_WANT_WRITE: return .wants(.writable)
    default: break
    }
    let verification = unsafe SSL_get_verify_result(session)
    if verifies, verification != Int(X509_V_OK) {
      ERR_clear_error()
      throw TLSError.certificateRefused(verification, trust: configuration.trust)
    }
    guard let reason = TLSError.takeReason() else { return .closed }
    throw .garbled("the handshake failed: \(reason). Check versions and certificates on both sides")
  }

  /// Checks the name in the certificate when the mode asks for it.
  ///
  /// Nil for a connection by address alone, which verify-full refuses.
  func checkHostName(_ hostName: String?) throws(PGError) {
    guard configuration.mode == .verifyFull else { return }
    guard let hostName, !hostName.isEmpty else {
      throw .tls("sslmode=verify-full needs a host name. Set host beside hostaddr")
    }
    try unsafe CertificateNames(of: session).check(hostName)
  }

  /// Checks the protocol that was agreed upon by ALPN.
  ///
  /// Servers before 17 know no ALPN and choose none, which only direct TLS cannot accept: without it
  /// the peer might take the bytes for another protocol's.
  func checkProtocol() throws(PGError) {
    var start: UnsafePointer<UInt8>?
    var count: UInt32 = 0
    unsafe SSL_get0_alpn_selected(session, &start, &count)
    // SAFETY: the bytes belong to the session, which outlives the copy.
    let chosen = unsafe Array(UnsafeBufferPointer(start: start, count: Int(count)))
    if chosen == Self.protocolName { return }
    guard chosen.isEmpty else {
      throw .tls("the server chose another protocol than PostgreSQL's by ALPN. Check host and port")
    }
    guard configuration.negotiation == .postgres else {
      throw .tls(
        "direct SSL connection was established without ALPN protocol negotiation extension. Use "
          + "sslnegotiation=postgres, or check what terminates TLS in front of the server")
    }
  }

  /// What became of the client's certificate, for sslcertmode=require.
  var certificateUse: AuthenticationRules.CertificateUse {
    AuthenticationRules.CertificateUse(
      isRequested: unsafe copenssl_was_certificate_requested(session) != 0,
      isSent: unsafe SSL_get_certificate(session) != nil)
  }

  /// Reads decrypted bytes.
  func read(
    into buffer: UnsafeMutableRawBufferPointer, phase: ConnectionPhase
  ) throws(PGError) -> Transport.Progress {
    ERR_clear_error()
    var count = 0
    // SAFETY: OpenSSL writes at most the buffer's size.
    let result = unsafe SSL_read_ex(session, buffer.baseAddress, buffer.count, &count)
    if result == 1 { return .done(count) }
    return try judge(result, phase: phase)
  }

  /// Encrypts and writes a part of the bytes; what was not taken must be offered again.
  func write(_ bytes: RawSpan, phase: ConnectionPhase) throws(PGError) -> Transport.Progress {
    ERR_clear_error()
    var count = 0
    // SAFETY: the pointer does not leave the closure.
    let result = unsafe bytes.withUnsafeBytes {
      unsafe SSL_write_ex(session, $0.baseAddress, $0.count, &count)
    }
    if result == 1 { return .done(count) }
    return try judge(result, phase: phase)
  }

  /// Tells the peer that nothing more will come; it may be gone already.
  func shutDown() {
    ERR_clear_error()
    _ = unsafe SSL_shutdown(session)
    ERR_clear_error()
  }

  /// The hash of the server's certificate for channel binding (RFC 5929, tls-server-end-point).
  ///
  /// Nil when the certificate's signature has no hash of its own.
  func serverEndPoint() throws(PGError) -> [UInt8]? {
    guard let certificate = unsafe SSL_get1_peer_certificate(session) else { return nil }
    defer { unsafe X509_free(certificate) }
    var digest: Int32 = 0
    guard unsafe X509_get_signature_info(certificate, &digest, nil, nil, nil) == 1 else {
      ERR_clear_error()
      return nil
    }
    // The RFC replaces the two broken ones.
    if digest == NID_md5 || digest == NID_sha1 { digest = NID_sha256 }
    guard digest != NID_undef, let name = unsafe OBJ_nid2sn(digest),
      let type = unsafe EVP_get_digestbyname(name)
    else {
      ERR_clear_error()
      return nil
    }
    var hash = [UInt8](repeating: 0, count: Int(EVP_MAX_MD_SIZE))
    var length: UInt32 = 0
    // SAFETY: a digest has at most EVP_MAX_MD_SIZE bytes.
    guard unsafe X509_digest(certificate, type, &hash, &length) == 1 else {
      throw .tls(
        "the certificate's hash fails: \(TLSError.takeReason() ?? "unknown"). Set "
          + "channel_binding=disable")
    }
    return Array(hash.prefix(Int(length)))
  }

  private func judge(_ result: Int32, phase: ConnectionPhase) throws(PGError) -> Transport.Progress
  {
    switch unsafe SSL_get_error(session, result) {
    case SSL_ERROR_WANT_READ: return .wants(.readable)
    case SSL_ERROR_WANT_WRITE: return .wants(.writable)
    case SSL_ERROR_ZERO_RETURN:
      return .closed
    default: break
    }
    let alert = TLSError.alert
    guard let reason = TLSError.takeReason() else { return .closed }
    // In TLS 1.3 a server judges our certificate only after the handshake.
    if phase == .startup, let alert {
      if TLSError.isOfBytes(alert) { throw .garbled("the server ended it: \(reason)") }
      throw .tls("the server ended it: \(reason). Check sslcert and sslkey, and the server's log")
    }
    throw .transport(reason: "TLS: \(reason)", phase: phase)
  }
}
