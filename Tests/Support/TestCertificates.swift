/// A small certificate authority made by openssl, for tests of TLS.
public final class TestCertificates: Sendable {
  private let directory: TemporaryDirectory

  /// Makes the authority `ca`, an unrelated `other-ca`, and certificates signed by `ca`.
  ///
  /// - Parameters:
  ///   - serverNames: the server's subjectAltName, e.g. `"DNS:localhost,IP:127.0.0.1"`.
  ///   - clientName: the common name of the client's certificate.
  /// - Throws: `SupportError` when openssl fails.
  public init(
    serverNames: String = "DNS:localhost,IP:127.0.0.1", clientName: String = "postgres"
  ) throws {
    directory = try TemporaryDirectory("tls")
    for authority in ["ca", "other-ca"] {
      try openssl(
        "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj",
        "/CN=\(authority)", "-keyout", path("\(authority).key"), "-out", path("\(authority).crt"))
    }
    try FileBytes.write("subjectAltName=\(serverNames)\n", to: path("server.ext"))
    try FileBytes.write("subjectAltName=DNS:client\n", to: path("client.ext"))
    for (name, subject) in [("server", "server"), ("client", clientName)] {
      try openssl(
        "req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=\(subject)", "-keyout",
        path("\(name).key"), "-out", path("\(name).csr"))
      try openssl(
        "x509", "-req", "-in", path("\(name).csr"), "-CA", path("ca.crt"), "-CAkey",
        path("ca.key"), "-CAcreateserial", "-days", "30", "-extfile", path("\(name).ext"),
        "-out", path("\(name).crt"))
      try Subprocess.check("chmod", ["600", path("\(name).key")])
    }
  }

  /// The certificate that signed the others.
  public var authority: String { path("ca.crt") }
  /// A certificate that signed nothing.
  public var otherAuthority: String { path("other-ca.crt") }
  /// The server's certificate.
  public var serverCertificate: String { path("server.crt") }
  /// The server's key.
  public var serverKey: String { path("server.key") }
  /// The client's certificate.
  public var clientCertificate: String { path("client.crt") }
  /// The client's key.
  public var clientKey: String { path("client.key") }

  private func path(_ name: String) -> String { directory.file(name) }

  private func openssl(_ arguments: String...) throws {
    try Subprocess.check("openssl", arguments)
  }
}
