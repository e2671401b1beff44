import COpenSSL

/// The names that a server's certificate stands for, and libpq's rules for comparing them.
struct CertificateNames: Hashable, Sendable {
  /// The dNSName entries of the subject's alternative names.
  var dnsNames: [[UInt8]] = []
  /// The iPAddress entries: 4 or 16 bytes each.
  var addresses: [[UInt8]] = []
  /// The subject's first common name.
  var commonName: [UInt8]?

  /// Throws an error that says what the certificate is for, unless it is for this host.
  func check(_ hostName: String) throws(PGError) {
    if try matches(hostName) { return }
    throw .tls(
      "the server's certificate is for \(listed), not for host \"\(hostName)\". Connect by a name "
        + "in the certificate (hostaddr may give the address), or use sslmode=verify-ca")
  }

  /// Whether one of the names is the host's.
  ///
  /// The common name counts only when no alternative name is of the host's own kind.
  func matches(_ hostName: String) throws(PGError) -> Bool {
    let address = IPAddress.parse(hostName)
    for name in dnsNames where try Self.matches(pattern: name, host: hostName) { return true }
    if let address, addresses.contains(address) { return true }
    if addresses.contains(where: { $0.count != 4 && $0.count != 16 }) {
      throw .tls("the server's certificate holds a malformed IP address. Renew it")
    }
    let hasOwnKind = address == nil ? !dnsNames.isEmpty : !addresses.isEmpty
    guard !hasOwnKind, let commonName else { return false }
    return try Self.matches(pattern: commonName, host: hostName)
  }

  /// Equality without regard to case, or `*.` for exactly one label at the start.
  private static func matches(pattern: [UInt8], host: String) throws(PGError) -> Bool {
    guard !pattern.contains(0) else {
      throw .tls("a name in the server's certificate holds a zero byte: somebody is cheating")
    }
    let host = host.utf8.map(lowercased)
    let pattern = pattern.map(lowercased)
    if host == pattern { return true }
    let dot = UInt8(ascii: ".")
    guard pattern.count >= 3, pattern[0] == UInt8(ascii: "*"), pattern[1] == dot else {
      return false
    }
    // What "*" stands for is one label, not empty and without a dot.
    guard let end = host.firstIndex(of: dot), end > 0 else { return false }
    return host[end...] == pattern[1...]
  }

  private static func lowercased(_ byte: UInt8) -> UInt8 {
    (0x41...0x5A).contains(byte) ? byte | 0x20 : byte
  }

  private var listed: String {
    var names = dnsNames.map { String(decoding: $0, as: UTF8.self) }
    names += addresses.map(IPAddress.text)
    if names.isEmpty, let commonName { names.append(String(decoding: commonName, as: UTF8.self)) }
    if names.isEmpty { return "no host at all" }
    return names.prefix(5).map { "\"\($0)\"" }.joined(separator: ", ")
      + (names.count > 5 ? " and \(names.count - 5) more" : "")
  }
}

extension CertificateNames {
  /// Reads the names of the peer's certificate.
  init(of session: OpaquePointer) throws(PGError) {
    guard let certificate = unsafe SSL_get1_peer_certificate(session) else {
      throw .tls("the server has shown no certificate. Give it one, or use sslmode=require")
    }
    defer { unsafe X509_free(certificate) }
    if let list = unsafe copenssl_alternative_names(certificate) {
      defer { unsafe copenssl_names_free(list) }
      for index in 0..<(unsafe copenssl_names_count(list)) {
        let name = unsafe copenssl_names_at(list, index)
        // SAFETY: the bytes belong to the list, which outlives the copy.
        let bytes = unsafe Array(
          UnsafeBufferPointer(start: name.bytes, count: Int(name.count)))
        if unsafe name.type == GEN_DNS { dnsNames.append(bytes) }
        if unsafe name.type == GEN_IPADD { addresses.append(bytes) }
      }
    }
    let subject = unsafe X509_get_subject_name(certificate)
    let index = unsafe X509_NAME_get_index_by_NID(subject, NID_commonName, -1)
    guard index >= 0, let entry = unsafe X509_NAME_get_entry(subject, index),
      let data = unsafe X509_NAME_ENTRY_get_data(entry)
    else { return }
    // SAFETY: the bytes belong to the certificate, which outlives the copy.
    unsafe commonName = Array(
      UnsafeBufferPointer(start: ASN1_STRING_get0_data(data), count: Int(ASN1_STRING_length(data))))
  }
}
