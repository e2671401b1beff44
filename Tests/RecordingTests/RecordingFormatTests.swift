import PGWire
import Recording
import Support
import Testing

/// The file format: what was written is read, whatever is cut off is noticed, whatever is damaged is
/// an error that names the place.
@Suite struct RecordingFormatTests {
  static let compressions: [RecordingEncoder.Compression] = [.none, .zstd(level: 3)]

  @Test(arguments: compressions)
  func whatIsWrittenIsRead(_ compression: RecordingEncoder.Compression) throws {
    var random = SeededRandom("\(#function) \(compression)")
    for round in 0..<20 {
      let size = round == 0 ? 300_000 : 1000
      let recording = RandomRecording(
        round == 0 ? 8 : 100, compression: compression, size: size, using: &random)
      let decoded = DecodedRecording(
        recording.bytes, pieces: Int.random(in: 1...100_000, using: &random))
      #expect(decoded.error == nil && !decoded.entries.isEmpty)
      #expect(decoded.isComplete && decoded.offset == recording.bytes.count)
      #expect(decoded.header == recording.header)
      #expect(decoded.stream == recording.entries.flatMap(\.bytes))
      let isRising = zip(decoded.times, decoded.times.dropFirst()).allSatisfy { $0 <= $1 }
      #expect(isRising)
      // Large pieces may be written as several entries; all else is as it was.
      let others = decoded.entries.map(\.content).filter { !Self.isReceived($0) }
      #expect(
        others.dropLast() == recording.entries.map(\.content).filter { !Self.isReceived($0) }[...])
      let connections = others.count { if case .connected = $0 { true } else { false } }
      let totals = RecordingTotals(
        bytes: decoded.stream.count, messages: 3, transactions: 2, connections: connections)
      #expect(others.last == .end(totals))
    }
  }

  private static func isReceived(_ content: RecordingEntry.Content) -> Bool {
    if case .received = content { true } else { false }
  }

  /// A file that ends anywhere gives its whole blocks and is not taken for complete.
  @Test(arguments: compressions)
  func everyCut(_ compression: RecordingEncoder.Compression) throws {
    var random = SeededRandom("\(#function) \(compression)")
    let recording = RandomRecording(20, compression: compression, size: 40, using: &random)
    let whole = DecodedRecording(recording.bytes)
    for length in 0..<recording.bytes.count {
      let cut = DecodedRecording(Array(recording.bytes[..<length]))
      #expect(cut.error == nil && !cut.isComplete, "\(length) bytes")
      #expect(cut.offset <= length)
      #expect(cut.entries.map(\.content) == whole.entries.prefix(cut.entries.count).map(\.content))
    }
  }

  /// Any damaged byte is noticed, at its own block; what precedes it is read.
  @Test(arguments: compressions)
  func everyByteDamaged(_ compression: RecordingEncoder.Compression) throws {
    var random = SeededRandom("\(#function) \(compression)")
    let recording = RandomRecording(20, compression: compression, size: 40, using: &random)
    let whole = DecodedRecording(recording.bytes)
    var bytes = recording.bytes
    for index in bytes.indices {
      let original = bytes[index]
      for damaged in [0, 0xFF, original ^ 0x80, original ^ 1] as [UInt8] where damaged != original {
        bytes[index] = damaged
        let decoded = DecodedRecording(bytes)
        let error = try #require(decoded.error, "byte \(index) as \(damaged)")
        #expect(error.offset <= index && !error.description.contains("\n"))
        let contents = decoded.entries.map(\.content)
        #expect(contents == whole.entries.prefix(contents.count).map(\.content))
      }
      bytes[index] = original
    }
  }

  /// With checksums mended behind the damage, the entries' own rules are what is left: never a trap.
  @Test func damagedContentsNeverTrap() throws {
    var random = SeededRandom(#function)
    for _ in 0..<20 {
      let recording = RandomRecording(20, compression: .none, size: 30, using: &random)
      for _ in 0..<100 {
        var bytes = recording.bytes
        let blocks = BlockPlace.all(in: bytes)
        guard let block = blocks.randomElement(using: &random),
          let index = block.contents.randomElement(using: &random)
        else { continue }
        bytes[index] = UInt8.random(in: 0...255, using: &random)
        block.mendChecksums(of: &bytes)
        let decoded = DecodedRecording(bytes)
        // A time that was raised is noticed at a later entry only.
        if let error = decoded.error { #expect(error.offset >= block.start) }
      }
    }
  }

  @Test func otherFilesAreNoRecordings() {
    #expect(DecodedRecording(Array("[source.db1]\n".utf8)).error?.reason == .notARecording)
    #expect(DecodedRecording([0x28, 0xB5, 0x2F, 0xFD]).error?.reason == .notARecording)
    var random = SeededRandom(seed: 1)
    var later = RandomRecording(3, compression: .none, size: 9, using: &random).bytes
    later[9] = 2
    #expect(DecodedRecording(later).error?.reason == .unknownVersion(2))
  }

  @Test func nothingFollowsTheEnd() {
    var random = SeededRandom(seed: 1)
    let bytes = RandomRecording(3, compression: .none, size: 9, using: &random).bytes
    for tail in [[0], [0x42], bytes] as [[UInt8]] {
      let decoded = DecodedRecording(bytes + tail)
      #expect(decoded.error?.reason == .trailingBytes)
      #expect(decoded.error?.offset == bytes.count)
    }
  }

  /// A size that nobody could have written is refused before memory is reserved for it.
  @Test func hugeSizesAreRefused() throws {
    var random = SeededRandom(seed: 1)
    let bytes = RandomRecording(9, compression: .zstd(level: 3), size: 9, using: &random).bytes
    let block = try #require(BlockPlace.all(in: bytes).last)
    for field in [block.start + 4, block.start + 8] {
      for size in [[0, 0, 0, 0], [0xFF, 0xFF, 0xFF, 0xFF], [1, 0, 0, 1]] as [[UInt8]] {
        var damaged = bytes
        damaged.replaceSubrange(field..<field + 4, with: size)
        block.mendChecksums(of: &damaged)
        let reason = DecodedRecording(damaged).error?.reason
        guard case .badSize = reason else {
          Issue.record("\(String(describing: reason)) for a size of \(size)")
          continue
        }
      }
    }
  }

  /// The totals are compared with what was read.
  @Test func aMissingBlockIsNoticedAtTheEnd() throws {
    var random = SeededRandom(seed: 2)
    let bytes = RandomRecording(200, compression: .none, size: 40, using: &random).bytes
    let blocks = BlockPlace.all(in: bytes)
    let missing = try #require(blocks.dropFirst(2).dropLast().first)
    let decoded = DecodedRecording(Array(bytes[..<missing.start] + bytes[missing.end...]))
    #expect(decoded.error != nil)
  }

  /// CRC-32C's check value (RFC 3720: "123456789"), and every length against the plain algorithm.
  @Test func checksum() {
    let digits = Array("123456789".utf8)
    #expect(CRC32C.checksum(of: unsafe digits.span.bytes) == 0xE306_9283)
    let bytes = (0..<70).map { UInt8($0 &* 37 & 0xFF) }
    for end in 0..<bytes.count {
      var expected = UInt32.max
      for byte in bytes[..<end] {
        expected ^= UInt32(byte)
        for _ in 0..<8 { expected = expected >> 1 ^ (expected & 1 == 1 ? 0x82F6_3B78 : 0) }
      }
      let part = Array(bytes[..<end])
      #expect(CRC32C.checksum(of: unsafe part.span.bytes) == ~expected)
    }
  }
}

/// Where a block of a file lies; for files that are known to be whole.
struct BlockPlace {
  let start: Int
  let end: Int
  var contents: Range<Int> { start + RecordingFormat.blockHeaderSize..<end }

  static func all(in bytes: [UInt8]) -> [BlockPlace] {
    var places: [BlockPlace] = []
    var offset = RecordingFormat.preambleSize
    while offset < bytes.count {
      let size = bytes[offset + 4..<offset + 8].reduce(0) { $0 << 8 | Int($1) }
      let end = offset + RecordingFormat.blockHeaderSize + size
      places.append(BlockPlace(start: offset, end: end))
      offset = end
    }
    return places
  }

  /// Makes both checksums fit what stands there now.
  func mendChecksums(of bytes: inout [UInt8]) {
    func mend(_ range: Range<Int>, at offset: Int) {
      let part = Array(bytes[range])
      let sum = CRC32C.checksum(of: unsafe part.span.bytes)
      for index in 0..<4 { bytes[offset + index] = UInt8(sum >> (24 - 8 * UInt32(index)) & 0xFF) }
    }
    mend(contents, at: start + 12)
    mend(start..<start + 16, at: start + 16)
  }
}
