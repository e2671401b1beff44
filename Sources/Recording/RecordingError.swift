import Glibc
public import PGWire

/// Why a recording cannot be read or written, and where.
public struct RecordingError: Error, Hashable, Sendable {
  /// What was wrong.
  public enum Reason: Hashable, Sendable {
    /// The file does not begin as a recording does.
    case notARecording
    /// The file has a version of the format that this program does not know.
    case unknownVersion(UInt16)
    /// The file ends before its header does.
    case cutHeader
    /// What precedes a block's bytes does not have the checksum that it names.
    case damagedBlockHeader
    /// A block's bytes do not have the checksum that its header names.
    case damagedBlock
    /// A block's zstd frame cannot be opened, or has another size than its header names.
    case damagedFrame
    /// A size is zero or beyond ``RecordingFormat/blockLimit``.
    case badSize(Int)
    /// A kind, encoding or flag that this version of the format does not have.
    case unknownCode(UInt8)
    /// An entry is malformed; its error's offset counts from the start of the block's contents.
    case malformed(DecodingError)
    /// The end marker names other totals than the entries before it have.
    case wrongTotals
    /// Something follows the end marker.
    case trailingBytes
    /// The operating system refused; the number is its errno.
    case system(operation: StaticText, errno: Int32)
  }

  /// What was wrong.
  public let reason: Reason
  /// Where the block begins in the file, in bytes.
  public let offset: Int
  /// The number of the block: 0 is the header.
  public let block: Int

  /// Makes an error of the block of that number, which begins at `offset`.
  public init(_ reason: Reason, offset: Int, block: Int) {
    self.reason = reason
    self.offset = offset
    self.block = block
  }
}

extension RecordingError: CustomStringConvertible {
  /// One clause that says what was wrong and where.
  public var description: String {
    let place = "block \(block) at offset \(offset)"
    return switch reason {
    case .notARecording: "the file is no recording: its first bytes are others"
    case .unknownVersion(let version):
      "the recording has format \(version), this program reads \(RecordingFormat.version)"
    case .cutHeader: "the file ends before its header does"
    case .damagedBlockHeader: "\(place): its header is damaged"
    case .damagedBlock: "\(place): its bytes are damaged"
    case .damagedFrame: "\(place): its zstd frame is damaged"
    case .badSize(let size): "\(place): size \(size) is out of range"
    case .unknownCode(let code): "\(place): code \(code) is unknown here"
    case .malformed(let error): "\(place): an entry is malformed: \(error)"
    case .wrongTotals: "\(place): the end marker names other totals than the entries have"
    case .trailingBytes: "something follows the end marker, at offset \(offset)"
    case .system(let operation, let number):
      "\(operation): \(unsafe String(cString: strerror(number)))"
    }
  }
}
