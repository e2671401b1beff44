import PGWire
import Testing

@testable import Streamer

@Suite struct EventUUIDTests {
  private let uuid = EventUUID(
    systemIdentifier: 0x0102_0304_0506_0708, database: "é", xid: 0x0A0B_0C0D, commitTime: -2,
    commitLSN: LSN(0x10))

  /// The documented bytes, written out, so that the layout cannot change unnoticed.
  @Test func hasTheDocumentedLayout() {
    let bytes: [UInt8] = [
      1, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 2, 0xC3, 0xA9, 0x0A, 0x0B, 0x0C, 0x0D,
      0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFE, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ]
    var digest = Array(SHA256.digest(of: bytes)[0..<16])
    digest[6] = digest[6] & 0x0F | 0x80
    digest[8] = digest[8] & 0x3F | 0x80
    digest.replaceSubrange(12..<16, with: [0, 1, 0xE2, 0x40])
    var expected = ""
    for (index, byte) in digest.enumerated() {
      if [4, 6, 8, 10].contains(index) { expected += "-" }
      let text = String(byte, radix: 16)
      expected += text.utf8.count == 1 ? "0" + text : text
    }
    #expect(written { uuid.append(ordinal: 123_456, to: &$0) } == expected)
  }

  @Test func extraDeleteDiffersInTheLastBit() {
    let change = written { uuid.append(ordinal: 4, to: &$0) }
    let delete = written { uuid.append(ordinal: 4, isExtraDelete: true, to: &$0) }
    #expect(change.hasSuffix("00000004"))
    #expect(delete.hasSuffix("00000005"))
    #expect(change.dropLast() == delete.dropLast())
  }

  @Test func everyPartCounts() {
    let others = [
      EventUUID(
        systemIdentifier: 1, database: "é", xid: 0x0A0B_0C0D, commitTime: -2, commitLSN: LSN(0x10)),
      EventUUID(
        systemIdentifier: 0x0102_0304_0506_0708, database: "e", xid: 0x0A0B_0C0D, commitTime: -2,
        commitLSN: LSN(0x10)),
      EventUUID(
        systemIdentifier: 0x0102_0304_0506_0708, database: "é", xid: 1, commitTime: -2,
        commitLSN: LSN(0x10)),
      EventUUID(
        systemIdentifier: 0x0102_0304_0506_0708, database: "é", xid: 0x0A0B_0C0D, commitTime: 2,
        commitLSN: LSN(0x10)),
      EventUUID(
        systemIdentifier: 0x0102_0304_0506_0708, database: "é", xid: 0x0A0B_0C0D, commitTime: -2,
        commitLSN: LSN(0x11)),
    ]
    #expect(Set(others + [uuid]).count == 6)
  }

  @Test func snapshotRowsDifferByKey() {
    func row(_ key: String) -> String {
      let bytes = [UInt8](key.utf8)
      let uuid = EventUUID(
        systemIdentifier: 1, database: "d", snapshot: LSN(5), schema: "s", table: "t",
        key: unsafe bytes.span.bytes)
      return written { uuid.append(to: &$0) }
    }
    #expect(row("{\"id\":1}") == row("{\"id\":1}"))
    #expect(row("{\"id\":1}") != row("{\"id\":2}"))
    #expect(row("x").utf8.count == 36)
  }
}
