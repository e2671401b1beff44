import Testing

@testable import PGWire

/// verify-full's rules for names, which are libpq's.
struct CertificateNamesTests {
  private func names(
    _ dns: [String] = [], addresses: [[UInt8]] = [], common: String? = nil
  ) -> CertificateNames {
    CertificateNames(
      dnsNames: dns.map { Array($0.utf8) }, addresses: addresses,
      commonName: common.map { Array($0.utf8) })
  }

  @Test(arguments: [
    ("db.example.com", "db.example.com", true), ("DB.Example.com", "db.eXample.COM", true),
    ("*.example.com", "db.example.com", true), ("*.example.com", "a.db.example.com", false),
    ("*.example.com", "example.com", false), ("*.example.com", ".example.com", false),
    ("d*.example.com", "db.example.com", false), ("*.*.com", "db.example.com", false),
    ("*", "db", false), ("*.", "db.", false), ("db.example.com", "db.example.com.", false),
    ("*.localdomain", "db.localdomain", true), ("", "db", false),
  ])
  func dnsNames(pattern: String, host: String, expected: Bool) throws {
    #expect(try names([pattern]).matches(host) == expected)
    #expect(try names(common: pattern).matches(host) == expected)
  }

  @Test func commonNameCountsOnlyWithoutNamesOfTheHostsKind() throws {
    #expect(try !names(["other"], common: "db").matches("db"))
    #expect(try names(addresses: [[10, 0, 0, 1]], common: "db").matches("db"))
    #expect(try names(["other"], common: "10.0.0.1").matches("10.0.0.1"))
    #expect(try !names(addresses: [[10, 0, 0, 2]], common: "10.0.0.1").matches("10.0.0.1"))
    #expect(try !names().matches("db"))
  }

  @Test func addresses() throws {
    let v6: [UInt8] = [0x20, 1, 0xD, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]
    #expect(try names(addresses: [[10, 0, 0, 1]]).matches("10.0.0.1"))
    #expect(try !names(addresses: [[10, 0, 0, 1]]).matches("10.0.0.2"))
    #expect(try names(addresses: [v6]).matches("2001:db8::1"))
    #expect(try names(["10.0.0.1"]).matches("10.0.0.1"))
    #expect(throws: PGError.self) { try names(addresses: [[10, 0]]).matches("10.0.0.1") }
  }

  @Test func zeroBytesAreRefused() {
    #expect(throws: PGError.self) { try names(["db\0.evil.com"]).matches("db") }
  }

  @Test func theErrorSaysWhatAndWhatToDo() {
    #expect(
      throws: PGError.tls(
        "the server's certificate is for \"a\", \"10.0.0.1\", not for host \"b\". Connect by a "
          + "name in the certificate (hostaddr may give the address), or use sslmode=verify-ca")
    ) { try names(["a"], addresses: [[10, 0, 0, 1]]).check("b") }
  }
}
