import Glibc
import PGWire

/// Writes a recording to a file of its own.
///
/// Blocks are written when they are full, and at the latest ``RecordingFormat/blockInterval`` after
/// their first entry, for which the owner calls ``writeIfDue(now:)``. When the disk is full the file
/// ends with its last whole block.
public struct RecordingWriter: ~Copyable {
  /// How many bytes the file has.
  public private(set) var size = 0
  private var encoder: RecordingEncoder
  private let descriptor: CInt
  private var due: ContinuousClock.Instant?

  /// Creates the file at `path`, which must not exist, and writes the header durably.
  ///
  /// Throws ``RecordingError``.
  public init(
    creating path: String, _ header: RecordingHeader, compression: RecordingEncoder.Compression,
    now: ContinuousClock.Instant
  ) throws(RecordingError) {
    let descriptor = unsafe open(path, O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    let failure = errno
    self.descriptor = descriptor
    encoder = RecordingEncoder(header, compression: compression, now: now)
    guard descriptor >= 0 else {
      throw RecordingError(
        .system(operation: "cannot create it", errno: failure), offset: 0, block: 0)
    }
    try write()
    try sync()
    Self.syncDirectory(of: path)
  }

  deinit { if descriptor >= 0 { close(descriptor) } }

  /// When ``writeIfDue(now:)`` has something to do; nil when nothing waits.
  public var deadline: ContinuousClock.Instant? { due }

  /// A connection begins to stream.
  public mutating func connected(
    _ connection: RecordedConnection, now: ContinuousClock.Instant
  ) throws(RecordingError) {
    encoder.connected(connection, now: now)
    try added(now)
  }

  /// The server sent bytes: any piece of its stream.
  public mutating func received(
    _ bytes: RawSpan, now: ContinuousClock.Instant
  ) throws(RecordingError) {
    encoder.received(bytes, now: now)
    try added(now)
  }

  /// The catalog's answer about the table whose Relation message comes next.
  public mutating func relation(
    _ relation: RecordedRelation, now: ContinuousClock.Instant
  ) throws(RecordingError) {
    try encoder.relation(relation, now: now)
    try added(now)
  }

  /// The connection ended; `cause` says why in one line.
  public mutating func disconnected(
    _ cause: String, now: ContinuousClock.Instant
  ) throws(RecordingError) {
    encoder.disconnected(cause, now: now)
    try added(now)
  }

  /// Writes the block whose time has come.
  public mutating func writeIfDue(now: ContinuousClock.Instant) throws(RecordingError) {
    guard let due, now >= due else { return }
    encoder.endBlock()
    try write()
  }

  /// Writes everything that was recorded and makes it durable.
  public mutating func flush() throws(RecordingError) {
    encoder.endBlock()
    try write()
    try sync()
  }

  /// Writes the end marker and makes the whole file durable; nothing may follow.
  public mutating func end(
    messages: Int, transactions: Int, now: ContinuousClock.Instant
  ) throws(RecordingError) {
    encoder.end(messages: messages, transactions: transactions, now: now)
    try flush()
  }

  private mutating func added(_ now: ContinuousClock.Instant) throws(RecordingError) {
    if encoder.output.byteCount > 0 { try write() }
    due = encoder.hasOpenBlock ? due ?? now + RecordingFormat.blockInterval : nil
  }

  /// Writes the closed blocks; when that fails, the file is cut to those it had.
  private mutating func write() throws(RecordingError) {
    if !encoder.hasOpenBlock { due = nil }
    var written = 0
    let failure = Self.write(encoder.output, to: descriptor, &written)
    if let failure {
      _ = ftruncate(descriptor, size)
      throw RecordingError(
        .system(operation: "cannot write it", errno: failure), offset: size, block: 0)
    }
    size += written
    encoder.removeOutput()
  }

  /// Writes all bytes, and says why it could not.
  private static func write(
    _ bytes: RawSpan, to descriptor: CInt, _ written: inout Int
  ) -> CInt? {
    // SAFETY: written stays below the count.
    unsafe bytes.withUnsafeBytes { buffer in
      while written < buffer.count {
        let count = unsafe Glibc.write(
          descriptor, buffer.baseAddress.map { unsafe $0 + written }, buffer.count - written)
        if count >= 0 { written += count } else if errno != EINTR { return errno }
      }
      return nil
    }
  }

  private func sync() throws(RecordingError) {
    guard fdatasync(descriptor) == 0 else {
      throw RecordingError(
        .system(operation: "cannot fdatasync it", errno: errno), offset: size, block: 0)
    }
  }

  /// Makes the file's name durable, where the file system can.
  private static func syncDirectory(of path: String) {
    let end = path.lastIndex(of: "/")
    let directory = end.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
    let descriptor = unsafe open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { return }
    _ = fsync(descriptor)
    close(descriptor)
  }
}
