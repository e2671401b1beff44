import PGWire
import Support

@testable import Recording

/// A recording's file, and what stands in its blocks behind their checksums.
enum RecordingFuzz: FuzzTarget {
  static let name = "recording"

  /// How much of an input is the fuzzer's own; its first byte says which.
  private enum Form: CaseIterable {
    case file, header, entries, frame
  }

  static var seeds: [[UInt8]] {
    get throws {
      let stream = try Recordings.streams().min { $0.count < $1.count } ?? []
      let file = recording(of: stream)
      let head = RecordingFormat.preambleSize + RecordingFormat.blockHeaderSize
      let size = file[16..<20].reduce(0) { $0 << 8 | Int($1) }
      let fixtures = Fixture.all.filter { $0.scenario == "user-types" }
      return [
        [0, 1] + file, [1, 2] + Array(file[head..<head + size]),
        [2, 3] + Array(file[(head + size + RecordingFormat.blockHeaderSize)...]),
        [3, 4] + [0, 0, 0, 4, 0x28, 0xB5, 0x2F, 0xFD, 4, 0],
      ] + (try fixtures.map { [0, 5] + (try FileBytes.bytes(of: $0.path)) })
    }
  }

  /// A whole file: one connection that streams the bytes.
  private static func recording(of stream: [UInt8]) -> [UInt8] {
    let now = ContinuousClock.now
    var encoder = RecordingEncoder(
      RecordingHeader(
        program: "fuzz", startTime: 0, systemIdentifier: "7", database: "d", slot: "s",
        publications: ["p"]),
      compression: .none, now: now)
    encoder.connected(
      RecordedConnection(
        serverVersion: "15.18", timeline: 1, host: "h", startLSN: .zero, command: "START",
        parameters: [.init(name: "a", value: "b")]), now: now)
    encoder.received(unsafe stream.span.bytes, now: now)
    encoder.disconnected("over", now: now)
    encoder.end(messages: 0, transactions: 0, now: now)
    return encoder.output.copy
  }

  static func run(_ input: [UInt8]) throws(Violation) {
    var input = FuzzInput(input)
    let form = input.choice(Form.allCases)
    var cuts = Cuts(input.byte())
    let file = file(form, input.all())
    let whole = try entries(of: file) { file.count }
    let cut = try entries(of: file) { cuts.next(upTo: 1 << 12, usually: 100) }
    try require(whole == cut, "a file reads as \(whole) in one piece and as \(cut) in parts")
  }

  private static func file(_ form: Form, _ bytes: [UInt8]) -> [UInt8] {
    var file = RecordingFormat.magic + [0, UInt8(RecordingFormat.version), 0, 0]
    let header = [UInt8](repeating: 0, count: 13) + [0, 0]
    switch form {
    case .file: return bytes
    case .header: return file + block(.header, .stored, bytes, size: bytes.count)
    case .entries:
      file += block(.header, .stored, header, size: header.count)
      return file + block(.entries, .stored, bytes, size: bytes.count)
    case .frame:
      // Four bytes of a size, at most a megabyte, then a frame of zstd.
      let size = bytes.prefix(4).reduce(0) { ($0 << 8 | Int($1)) & 0xF_FFFF }
      file += block(.header, .stored, header, size: header.count)
      return file + block(.entries, .zstd, Array(bytes.dropFirst(4)), size: size)
    }
  }

  /// A block whose checksums are right.
  private static func block(
    _ kind: RecordingBlockHeader.Kind, _ encoding: RecordingBlockHeader.Encoding,
    _ stored: [UInt8], size: Int
  ) -> [UInt8] {
    var block = ByteWriter()
    block.append(kind.rawValue)
    block.append(encoding.rawValue)
    block.append(bigEndian: UInt16(0))
    block.append(bigEndian: UInt32(stored.count))
    block.append(bigEndian: UInt32(size))
    block.append(bigEndian: CRC32C.checksum(of: unsafe stored.span.bytes))
    let checksum = CRC32C.checksum(of: block.bytes)
    block.append(bigEndian: checksum)
    return block.bytes.copy + stored
  }

  /// Everything that a file gives, and how it ends.
  private static func entries(of file: [UInt8], size: () -> Int) throws(Violation) -> [String] {
    var decoder = RecordingDecoder()
    var found: [String] = []
    var rest = file[...]
    while true {
      let step: RecordingDecoder.Step
      do throws(RecordingError) { step = try decoder.next() } catch {
        try require("\(error)".isOneLine, "an error is not one line")
        return found + ["\(error)"]
      }
      switch step {
      case .header, .entry: found.append("\(step) \(decoder.received.copy)")
      case .end: return found + ["end"]
      case .needsBytes(let count):
        try require(count > 0, "a decoder needs nothing and gives nothing")
        guard !rest.isEmpty else { return found + ["cut"] }
        let part = rest.prefix(size())
        let written = unsafe decoder.withFreeSpace(minimum: 1) { room in
          let count = min(part.count, room.count)
          for (index, byte) in part.prefix(count).enumerated() { unsafe room[index] = byte }
          return count
        }
        rest = rest.dropFirst(written)
      }
    }
  }
}
