import PGWire
import Testing

@Suite struct SHA256Tests {
  /// FIPS 180-2, appendix B.1.
  @Test func digestOfABC() {
    let digest = SHA256.digest(of: Array("abc".utf8))
    let hex = digest.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    #expect(hex == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
  }

  @Test func digestOfNothing() {
    #expect(SHA256.digest(of: []).prefix(4) == [0xE3, 0xB0, 0xC4, 0x42])
  }
}
