import COpenSSL
import Glibc

/// OpenSSL's settings for one connection, made from a ``TLSConfiguration``.
@safe struct TLSContext: ~Copyable {
  let pointer: OpaquePointer
  /// Whether the server's certificate is checked against an authority.
  private(set) var verifies = false

  private init(adopting pointer: OpaquePointer) { unsafe self.pointer = pointer }

  deinit { unsafe SSL_CTX_free(pointer) }

  /// Reads all files that the configuration names.
  static func make(_ configuration: TLSConfiguration) throws(PGError) -> TLSContext {
    guard let pointer = unsafe SSL_CTX_new(TLS_client_method()) else {
      throw .tls("OpenSSL gives no context: \(TLSError.takeReason() ?? "out of memory")")
    }
    var context = unsafe TLSContext(adopting: pointer)
    unsafe copenssl_set_usual_options(pointer)
    _ = unsafe copenssl_set_socket_like_writes(pointer)
    let minimum = unsafe copenssl_set_min_version(pointer, configuration.minimumVersion.number)
    let maximum = unsafe copenssl_set_max_version(
      pointer, configuration.maximumVersion?.number ?? 0)
    guard minimum == 1, maximum == 1 else {
      throw .tls("OpenSSL refuses these versions. Check ssl_min_protocol_version")
    }
    if configuration.certificateMode == .require {
      unsafe copenssl_note_certificate_requests(pointer)
    }
    try context.loadTrust(configuration)
    try context.loadCertificate(configuration)
    return context
  }

  private mutating func loadTrust(_ configuration: TLSConfiguration) throws(PGError) {
    switch configuration.trust {
    case .system:
      guard unsafe SSL_CTX_set_default_verify_paths(pointer) == 1 else {
        throw .tls("the system's authorities cannot be read. Install ca-certificates")
      }
      verifies = true
    case .file(let path) where isReadable(path):
      guard configuration.mode >= .require else { return }
      guard unsafe SSL_CTX_load_verify_locations(pointer, path, nil) == 1 else {
        throw .tls(
          "sslrootcert (\(path)) cannot be read: \(TLSError.takeReason() ?? "unknown"). It must be "
            + "a PEM file of certificates")
      }
      verifies = true
    case .file, nil:
      try checkMissingTrust(configuration)
    }
    guard verifies else { return }
    unsafe SSL_CTX_set_verify(pointer, SSL_VERIFY_PEER, nil)
    try loadRevocations(configuration)
  }

  private func checkMissingTrust(_ configuration: TLSConfiguration) throws(PGError) {
    guard configuration.mode >= .verifyCA else { return }
    let path = if case .file(let path) = configuration.trust { " (\(path))" } else { "" }
    throw .tls(
      "sslmode=\(configuration.mode.rawValue) needs the authority's certificate, and sslrootcert"
        + "\(path) cannot be read. Put it there, or use sslrootcert=system")
  }

  private func loadRevocations(_ configuration: TLSConfiguration) throws(PGError) {
    let (file, directory) = (configuration.revocationFile, configuration.revocationDirectory)
    guard file != nil || directory != nil else { return }
    if let file, !configuration.isRevocationExplicit, !isReadable(file) { return }
    let store = unsafe SSL_CTX_get_cert_store(pointer)
    guard unsafe X509_STORE_load_locations(store, file, directory) == 1 else {
      throw .tls("sslcrl cannot be read: \(TLSError.takeReason() ?? "unknown")")
    }
    let flags = UInt(X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL)
    _ = unsafe X509_STORE_set_flags(store, flags)
  }

  private func loadCertificate(_ configuration: TLSConfiguration) throws(PGError) {
    guard configuration.certificateMode != .disable,
      let certificate = configuration.certificateFile
    else { return }
    guard isReadable(certificate) else {
      guard configuration.isCertificateExplicit else { return }
      throw .tls("sslcert (\(certificate)) cannot be read: \(systemError())")
    }
    guard unsafe SSL_CTX_use_certificate_chain_file(pointer, certificate) == 1 else {
      throw .tls(
        "sslcert (\(certificate)) is no certificate in PEM: \(TLSError.takeReason() ?? "unknown")")
    }
    guard let key = configuration.keyFile else {
      throw .tls("there is a client certificate, but no key. Set sslkey")
    }
    try Self.checkKeyFile(key)
    // An empty passphrase, since OpenSSL would ask the terminal for one otherwise.
    let passphrase = configuration.keyPassword ?? ""
    let loaded = unsafe passphrase.withCString { text in
      // SAFETY: the text outlives its use: the reference to it is taken back at once.
      unsafe copenssl_set_passphrase(pointer, text)
      let loaded = unsafe SSL_CTX_use_PrivateKey_file(pointer, key, SSL_FILETYPE_PEM)
      unsafe copenssl_set_passphrase(pointer, nil)
      return loaded
    }
    guard loaded == 1 else {
      throw .tls(
        "sslkey (\(key)) cannot be loaded: \(TLSError.takeReason() ?? "unknown"). Check that it is "
          + "the certificate's key, in PEM, and sslpassword if it is encrypted")
    }
    guard unsafe SSL_CTX_check_private_key(pointer) == 1 else {
      ERR_clear_error()
      throw .tls("sslkey (\(key)) does not belong to sslcert (\(certificate)). Check both")
    }
  }

  /// Others must not be able to read a private key; root may lend it to a group.
  private static func checkKeyFile(_ path: String) throws(PGError) {
    var status = stat()
    guard unsafe stat(path, &status) == 0 else {
      throw .tls("sslkey (\(path)) cannot be read: \(systemError())")
    }
    guard status.st_mode & S_IFMT == S_IFREG else {
      throw .tls("sslkey (\(path)) is no plain file. Name the file with the private key")
    }
    let forbidden: mode_t = status.st_uid == 0 ? 0o037 : 0o077
    guard status.st_mode & forbidden == 0 else {
      throw .tls("sslkey (\(path)) can be read by others. Run chmod 0600 on it")
    }
  }
}

extension SSLMode: Comparable {
  /// Orders by strictness.
  public static func < (a: SSLMode, b: SSLMode) -> Bool { a.strictness < b.strictness }

  private var strictness: Int { Self.allCases.firstIndex(of: self) ?? 0 }
}
