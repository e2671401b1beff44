import PGWire

/// The UUIDs of one transaction's events: the same whenever the transaction is read again.
///
/// Version 8 of RFC 9562, from a SHA-256 over these bytes, integers in network order:
///
///     Byte1   kind: 1 for a transaction, 2 for a row of a snapshot
///     UInt64  system identifier
///     UInt32  length of the database's name, then its UTF-8
///     1: UInt32 xid, Int64 commit time (microseconds from 2000-01-01), UInt64 commit LSN
///     2: UInt64 LSN, and schema, table, key, each as UInt32 length and UTF-8
///
/// The digest's first 16 bytes are taken, version and variant set, and bytes 12 to 15 replaced by
/// the event's ordinal, so one digest serves a whole transaction.
struct EventUUID: Hashable, Sendable, BitwiseCopyable {
  /// Bytes 0 to 7.
  let high: UInt64
  /// Bytes 8 to 15; of a transaction the low half is the place of the ordinal.
  let low: UInt64

  /// The UUIDs of a transaction's events.
  init(
    systemIdentifier: UInt64, database: String, xid: UInt32, commitTime: Int64, commitLSN: LSN
  ) {
    var bytes = Self.start(kind: 1, systemIdentifier, database)
    Self.append(xid, to: &bytes)
    Self.append(commitTime, to: &bytes)
    Self.append(commitLSN.value, to: &bytes)
    self.init(digestOf: bytes)
  }

  /// The UUID of a row of a snapshot at `lsn`; `key` is the row's key as JSON.
  init(
    systemIdentifier: UInt64, database: String, snapshot lsn: LSN, schema: String, table: String,
    key: RawSpan
  ) {
    var bytes = Self.start(kind: 2, systemIdentifier, database)
    Self.append(lsn.value, to: &bytes)
    Self.append(text: schema, to: &bytes)
    Self.append(text: table, to: &bytes)
    Self.append(UInt32(truncatingIfNeeded: key.byteCount), to: &bytes)
    for offset in 0..<key.byteCount { bytes.append(key[offset]) }
    self.init(digestOf: bytes)
  }

  private init(digestOf bytes: [UInt8]) {
    let digest = SHA256.digest(of: bytes)
    var halves: (UInt64, UInt64) = (0, 0)
    for byte in digest[0..<8] { halves.0 = halves.0 << 8 | UInt64(byte) }
    for byte in digest[8..<16] { halves.1 = halves.1 << 8 | UInt64(byte) }
    high = halves.0 & 0xFFFF_FFFF_FFFF_0FFF | 0x8000
    low = halves.1 & 0x3FFF_FFFF_FFFF_FFFF | 0x8000_0000_0000_0000
  }

  private static func start(
    kind: UInt8, _ systemIdentifier: UInt64, _ database: String
  ) -> [UInt8] {
    var bytes = [kind]
    append(systemIdentifier, to: &bytes)
    append(text: database, to: &bytes)
    return bytes
  }

  private static func append<T: FixedWidthInteger>(_ value: T, to bytes: inout [UInt8]) {
    for shift in stride(from: T.bitWidth - 8, through: 0, by: -8) {
      bytes.append(UInt8(truncatingIfNeeded: value >> T(shift)))
    }
  }

  private static func append(text: String, to bytes: inout [UInt8]) {
    append(UInt32(truncatingIfNeeded: text.utf8.count), to: &bytes)
    bytes.append(contentsOf: text.utf8)
  }

  /// Appends what the UUIDs of a transaction's events have in common: the first 28 characters.
  func appendCommon(to text: inout ByteWriter) {
    text.append(hexadecimal: high >> 32, digits: 8)
    text.append(0x2D as UInt8)
    text.append(hexadecimal: high >> 16, digits: 4)
    text.append(0x2D as UInt8)
    text.append(hexadecimal: high, digits: 4)
    text.append(0x2D as UInt8)
    text.append(hexadecimal: low >> 48, digits: 4)
    text.append(0x2D as UInt8)
    text.append(hexadecimal: low >> 32, digits: 4)
  }

  /// Appends the last 8 characters, those of the event with that ordinal.
  ///
  /// Of the ordinal the low 32 bits count. `isExtraDelete` flips the last bit, for the delete that
  /// only one sink sends, where its own key changed (with the ordinal of the change).
  @inline(__always)
  static func append(
    ordinal: UInt64, isExtraDelete: Bool = false, to text: inout ByteWriter
  ) {
    text.append(hexadecimal: ordinal ^ (isExtraDelete ? 1 : 0), digits: 8)
  }

  /// Appends the UUID of the transaction's event with that ordinal: 36 characters.
  func append(ordinal: UInt64, isExtraDelete: Bool = false, to text: inout ByteWriter) {
    appendCommon(to: &text)
    Self.append(ordinal: ordinal, isExtraDelete: isExtraDelete, to: &text)
  }

  /// Appends the UUID without an ordinal, as a snapshot's row has it: 36 characters.
  func append(to text: inout ByteWriter) { append(ordinal: low, to: &text) }
}
