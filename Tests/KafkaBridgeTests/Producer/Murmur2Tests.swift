import KafkaBridge
import Testing

/// The vectors of Kafka's own test, `UtilsTest.testMurmur2`.
@Suite struct Murmur2Tests {
  @Test(
    arguments: [
      ("21", -973_932_308), ("foobar", -790_332_482), ("a-little-bit-long-string", -985_981_536),
      ("a-little-bit-longer-string", -1_486_304_829),
      ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971), ("abc", 479_470_107),
    ] as [(String, Int32)])
  func hashesAsJavaDoes(key: String, hash: Int32) {
    let bytes = Array(key.utf8)
    #expect(unsafe bytes.withUnsafeBytes { unsafe Murmur2.hash($0) } == hash)
    #expect(unsafe Murmur2.hash(bytes.span.bytes) == hash)
  }

  @Test func clearsTheSignInsteadOfNegating() {
    let bytes = Array("21".utf8)
    let partition = unsafe Murmur2.partition(of: bytes.span.bytes, partitionCount: 7)
    #expect(partition == Int32((-973_932_308 & 0x7fff_ffff) % 7))
  }

  @Test func hashesTheEmptyKey() {
    let bytes: [UInt8] = []
    #expect(unsafe Murmur2.hash(bytes.span.bytes) == 275_646_681)
  }
}
