import PGWire
import Testing

@testable import Streamer

/// Masks, byte for byte as Debezium's: the digests are what its own classes (3.6.1,
/// `MaskStrings.HashValueConverter`, salt "CzQMA0cB5K") make of these values.
@Suite struct ValueMaskTests {
  private static let mail = "alice@example.com"
  private static let world = "Grüße, 世界 😀"
  private static let long = String(repeating: "x", count: 300)

  private func masked(
    _ mask: String, _ text: String?, type: UInt32 = 25, modifier: Int32 = -1
  ) throws -> String? {
    let column = Relation.Column(name: "c", type: type, modifier: modifier)
    let mask = ColumnMask(try #require(ValueMask(mask)), for: column)
    var row = ByteWriter()
    if let text {
      mask.append(unsafe Array(text.utf8).span.bytes, to: &row)
    } else {
      mask.appendNull(to: &row)
    }
    let change = Change.rewritten(.insert, of: 1, .none, in: row, boundary: 0, columns: (0, 1))
    guard case .text(let result) = change.new.value(at: 0) else { return nil }
    return result.text
  }

  @Test(arguments: [
    ("", "38bc986eb4a5475fab16ac693f6c1b4c2445600da5c5aec3d04301e48d6d0d68"),
    (mail, "7404d2ed8506279b8038b571358626038ec8d8c769c367caf81eec0c02d58d97"),
    (world, "16b8fc6eeb496e4ae28bcc35232b2b013b095d81b9581803077395a61118e971"),
    (long, "9e99869e0f51b3a508ae279fbf4f658637862e740edc2e75de076c10da8d5e51"),
  ]) func aHashIsDebeziumsSecond(value: String, digest: String) throws {
    #expect(try masked("hash:SHA-256:CzQMA0cB5K", value) == digest)
  }

  @Test(arguments: [
    ("", "7b061bc77caec9afdc6b986ab6c4de894d58006b32ac0f7ea728404a5cf3a9e5"),
    (mail, "7d2ad8f83758f463ec20938c870cf0068a399d3fa46f3a4e6621a68927ead495"),
    (world, "14561824274a172f7dfa57df06f0133433de03fb210bc62ec3c21960430aadf9"),
    (long, "3f24b597a6006f068534fd699dee8c1946979a5344f0ef87fd82b80ec042320c"),
  ]) func aHashOfJavaIsDebeziumsFirst(value: String, digest: String) throws {
    #expect(try masked("hash-java:SHA-256:CzQMA0cB5K", value) == digest)
  }

  /// A string of more than 65 535 bytes has another header.
  @Test func aLongStringHasJavasLongHeader() throws {
    #expect(
      try masked("hash-java:SHA-256:s", String(repeating: "y", count: 70_000))
        == "06908483a1fd0546ecec73d7acd242868c269aa6f17826a7ee07bf881e598113")
  }

  @Test func otherAlgorithmsAreThere() throws {
    #expect(try masked("hash:MD5:CzQMA0cB5K", Self.world) == "d8fa871f49ba3965ba51fd101b319e14")
    #expect(
      try masked("hash-java:MD5:CzQMA0cB5K", Self.mail) == "40632574fdaab1db240ef9ac617f5974")
    #expect(
      try masked("hash:SHA-512:CzQMA0cB5K", Self.mail)?.hasPrefix("29f7a92d140018d2dad85e7a3d6eb9")
        == true)
  }

  /// As Debezium cuts it.
  @Test func aHashFitsIntoItsColumn() throws {
    #expect(
      try masked("hash:SHA-256:CzQMA0cB5K", Self.mail, type: 1043, modifier: 20 + 4)
        == "7404d2ed8506279b8038")
    #expect(try masked("hash:SHA-256:CzQMA0cB5K", nil) == nil)
  }

  @Test func starsStandAlsoForNull() throws {
    #expect(try masked("stars:5", Self.mail) == "*****")
    #expect(try masked("stars:5", nil) == "*****")
    #expect(try masked("stars:0", Self.mail) == "")
  }

  /// Java counts an emoji as two characters.
  @Test func truncationCountsAsJavaDoes() throws {
    #expect(try masked("truncate:3", "äöüß") == "äöü")
    #expect(try masked("truncate:3", "ab😀") == "ab")
    #expect(try masked("truncate:4", "ab😀c") == "ab😀")
    #expect(try masked("truncate:9", "abc") == "abc")
    #expect(try masked("truncate:0", "abc") == "")
    #expect(try masked("truncate:3", nil) == nil)
  }

  @Test func whatIsRedactedIsNull() throws { #expect(try masked("redact", Self.mail) == nil) }

  @Test(arguments: [
    "", "hash", "hash:SHA-256", "hash:SHA-256:", "hash:NONE-1:s", "stars", "stars:x", "stars:-1",
    "truncate:", "redact:1", "shred",
  ]) func whatIsNoMaskIsRefused(text: String) { #expect(ValueMask(text) == nil) }
}
