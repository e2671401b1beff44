/// The constants of the file format (docs/RECORDING.md).
///
/// ```
/// File      Preamble  Block (the header)  Block …
/// Preamble  Byte8 magic  Int16 version  Int16 flags (0)
/// Block     Byte1 kind  Byte1 encoding  Int16 flags (0)  Int32 stored size  Int32 contents' size
///           Int32 CRC-32C of the stored bytes  Int32 CRC-32C of the 16 bytes before
///           Byten the stored bytes
/// ```
/// Integers are in network order, as in PostgreSQL's protocol.
public enum RecordingFormat {
  /// The first bytes of every recording: "PGREC", CR, LF, Control-Z, which a transfer as text
  /// would damage.
  public static let magic: [UInt8] = [0x50, 0x47, 0x52, 0x45, 0x43, 0x0D, 0x0A, 0x1A]
  /// The version of the format that is written, and the only one that is read.
  public static let version: UInt16 = 1
  /// The size of magic, version and flags, in bytes.
  public static let preambleSize = 12
  /// The size of what precedes a block's stored bytes, in bytes.
  public static let blockHeaderSize = 20
  /// The size of what precedes an entry's body, in bytes.
  public static let entryHeaderSize = 13
  /// The largest stored or contents' size of a block that is read, in bytes.
  public static let blockLimit = 16 << 20
  /// The contents' size at which a block is written, in bytes.
  public static let blockSize = 256 << 10
  /// How long contents may wait before their block is written.
  public static let blockInterval = Duration.seconds(1)
}

/// What stands before a block's stored bytes.
struct RecordingBlockHeader {
  /// What a block holds.
  enum Kind: UInt8 {
    /// The facts of the whole recording; the first block and no other.
    case header = 0x48  // 'H'
    /// Entries.
    case entries = 0x42  // 'B'
  }

  /// How the stored bytes become the contents.
  enum Encoding: UInt8 {
    /// They are the contents.
    case stored = 0x73  // 's'
    /// They are one zstd frame with its own checksum.
    case zstd = 0x7A  // 'z'
  }

  let kind: Kind
  let encoding: Encoding
  let storedSize: Int
  let contentSize: Int
  let checksum: UInt32
}
