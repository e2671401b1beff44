/// Whether TLS is used and what of the server's certificate is checked (libpq's `sslmode`).
public enum SSLMode: String, Hashable, Sendable, CaseIterable {
  /// Never TLS.
  case disable
  /// In clear, then TLS if the server refuses that.
  case allow
  /// TLS, then in clear if the server does not have it.
  case prefer
  /// TLS; the certificate is checked only when a root certificate is there.
  case require
  /// TLS, and a certificate that a known authority has signed.
  case verifyCA = "verify-ca"
  /// TLS, and a certificate that a known authority has signed for this very host.
  case verifyFull = "verify-full"
}

/// How TLS is used, from the connection parameters.
public struct TLSConfiguration: Hashable, Sendable {
  /// Versions of TLS, in the order of their age.
  public enum Version: String, Hashable, Sendable, CaseIterable, Comparable {
    case tls1_0 = "TLSv1"
    case tls1_1 = "TLSv1.1"
    case tls1_2 = "TLSv1.2"
    case tls1_3 = "TLSv1.3"

    /// Orders by age.
    public static func < (a: Version, b: Version) -> Bool { a.number < b.number }

    /// OpenSSL's number of the version.
    var number: Int32 {
      switch self {
      case .tls1_0: 0x0301
      case .tls1_1: 0x0302
      case .tls1_2: 0x0303
      case .tls1_3: 0x0304
      }
    }
  }

  /// Where trusted authorities come from.
  public enum Trust: Hashable, Sendable {
    /// The file of this path, PEM.
    case file(String)
    /// The operating system's own.
    case system
  }

  /// What is checked.
  public var mode: SSLMode
  /// How TLS begins.
  public var negotiation: SSLNegotiation
  /// Whether the client's certificate is shown.
  public var certificateMode: SSLCertMode
  /// The authorities; the file may be missing where the mode does without.
  public var trust: Trust?
  /// Whether ``trust`` was named, and not the default path.
  public var isTrustExplicit: Bool
  /// The client's certificate, PEM.
  public var certificateFile: String?
  /// The client's private key, PEM.
  public var keyFile: String?
  /// Whether the certificate was named, and not the default path.
  public var isCertificateExplicit: Bool
  /// The passphrase of the key; a secret.
  public var keyPassword: String?
  /// Revoked certificates: a file, PEM; it may be missing if it is the default one.
  public var revocationFile: String?
  /// Whether ``revocationFile`` or ``revocationDirectory`` was named, and not the default path.
  public var isRevocationExplicit: Bool
  /// Revoked certificates: a directory as `openssl rehash` makes it.
  public var revocationDirectory: String?
  /// The oldest version to speak.
  public var minimumVersion = Version.tls1_2
  /// The newest version to speak; nil for no bound.
  public var maximumVersion: Version?
  /// Whether the host's name is sent in clear at the start (SNI).
  public var sendsServerName = true

  /// Reads the `ssl` family of keywords; `home` has the default files in `.postgresql`.
  init(_ values: [ConnectionKeyword: String], home: String?) throws(PGError) {
    let directory = home.map { $0 + "/.postgresql/" }
    let root = values[.sslrootcert]
    let chosen: SSLMode? = try ConnectionParameters.choice(values, .sslmode)
    if root == "system" {
      guard chosen ?? .verifyFull == .verifyFull else {
        throw .connectionString(
          "weak sslmode=\(values[.sslmode] ?? "") may not be used with sslrootcert=system. Use "
            + "verify-full")
      }
      mode = .verifyFull
      trust = .system
    } else {
      mode = chosen ?? .prefer
      trust = (root ?? directory.map { $0 + "root.crt" }).map { .file($0) }
    }
    isTrustExplicit = root != nil
    negotiation = try ConnectionParameters.choice(values, .sslnegotiation) ?? .postgres
    // Without SSLRequest there is no way to do without TLS.
    guard negotiation == .postgres || mode >= .require else {
      throw .connectionString(
        "weak sslmode=\(mode.rawValue) may not be used with sslnegotiation=direct. Use require, "
          + "verify-ca or verify-full")
    }
    certificateMode = try ConnectionParameters.choice(values, .sslcertmode) ?? .allow
    certificateFile = values[.sslcert] ?? directory.map { $0 + "postgresql.crt" }
    keyFile = values[.sslkey] ?? directory.map { $0 + "postgresql.key" }
    isCertificateExplicit = values[.sslcert] != nil
    keyPassword = values[.sslpassword]
    revocationDirectory = values[.sslcrldir]
    isRevocationExplicit = values[.sslcrl] != nil || revocationDirectory != nil
    revocationFile =
      values[.sslcrl] ?? (isRevocationExplicit ? nil : directory.map { $0 + "root.crl" })
    minimumVersion = try Self.version(values, .sslMinProtocolVersion) ?? .tls1_2
    maximumVersion = try Self.version(values, .sslMaxProtocolVersion)
    if let maximumVersion, maximumVersion < minimumVersion {
      throw .connectionString("ssl_max_protocol_version lies below ssl_min_protocol_version")
    }
    sendsServerName = try ConnectionParameters.integer(values, .sslsni) ?? 1 != 0
  }

  private static func version(
    _ values: [ConnectionKeyword: String], _ keyword: ConnectionKeyword
  ) throws(PGError) -> Version? {
    guard let text = values[keyword] else { return nil }
    let found = Version.allCases.first { $0.rawValue.lowercased() == text.lowercased() }
    guard let found else {
      let words = Version.allCases.map(\.rawValue).joined(separator: ", ")
      throw .connectionString("\(keyword.rawValue)=\(text) is unknown. Use one of \(words)")
    }
    return found
  }
}
