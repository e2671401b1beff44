import Glibc
import PGWire

/// A recording in a file, read entry by entry.
///
/// A file that its writer did not finish (a crash, a full disk) is read up to its last whole block
/// and says so: ``ending``. It may grow while it is read.
public struct RecordingReader: ~Copyable {
  /// How a recording ends.
  public enum Ending: Hashable, Sendable {
    /// With its end marker, whose totals these are.
    case complete(RecordingTotals)
    /// Without: what follows its last whole block, which ends at `offset`, is no whole block.
    case cut(offset: Int)
  }

  /// The facts of the whole recording.
  public let header: RecordingHeader
  /// How the recording ends, once ``next()`` has given nil.
  public private(set) var ending: Ending?
  private var decoder: RecordingDecoder
  private let descriptor: CInt

  /// Opens the file at `path` and reads its header.
  ///
  /// Throws ``RecordingError``.
  public init(opening path: String) throws(RecordingError) {
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else {
      throw RecordingError(.system(operation: "cannot open it", errno: errno), offset: 0, block: 0)
    }
    var decoder = RecordingDecoder()
    do throws(RecordingError) {
      header = try Self.header(&decoder, descriptor)
    } catch {
      close(descriptor)
      throw error
    }
    self.decoder = decoder
    self.descriptor = descriptor
  }

  deinit { close(descriptor) }

  /// The bytes of the entry that ``next()`` gave last, when it is a `received` one.
  public var received: RawSpan {
    @_lifetime(borrow self) get { decoder.received }
  }

  /// How many bytes of the file belong to blocks that were read whole.
  public var offset: Int { decoder.offset }

  /// How large the file is now, in bytes; 0 when it cannot be said.
  public var fileSize: Int {
    var status = stat()
    return unsafe fstat(descriptor, &status) == 0 ? Int(status.st_size) : 0
  }

  /// The next entry; nil at the end, which ``ending`` describes.
  ///
  /// After a cut it may be called again: it looks whether the file has grown. Throws
  /// ``RecordingError`` for what is malformed; what came before stands.
  public mutating func next() throws(RecordingError) -> RecordingEntry? {
    while true {
      switch try decoder.next() {
      case .entry(let entry):
        ending = nil
        return entry
      case .needsBytes(let count):
        guard try Self.read(count, into: &decoder, from: descriptor) else {
          ending = .cut(offset: decoder.offset)
          return nil
        }
      case .header: break
      case .end:
        guard try !Self.read(1, into: &decoder, from: descriptor) else { continue }
        ending = decoder.totals.map { .complete($0) }
        return nil
      }
    }
  }

  private static func header(
    _ decoder: inout RecordingDecoder, _ descriptor: CInt
  ) throws(RecordingError) -> RecordingHeader {
    while true {
      switch try decoder.next() {
      case .header(let header): return header
      case .needsBytes(let count):
        guard try read(count, into: &decoder, from: descriptor) else {
          throw RecordingError(.cutHeader, offset: decoder.offset, block: 0)
        }
      case .entry, .end: preconditionFailure("a recording's first block is its header")
      }
    }
  }

  /// Reads what is there; false at the file's end.
  private static func read(
    _ count: Int, into decoder: inout RecordingDecoder, from descriptor: CInt
  ) throws(RecordingError) -> Bool {
    let place = (decoder.offset, decoder.block)
    let taken = try unsafe decoder.withFreeSpace(minimum: count) {
      (room) throws(RecordingError) -> Int in
      while true {
        // SAFETY: read(2) writes no more than the room.
        let count = unsafe Glibc.read(descriptor, room.baseAddress, room.count)
        if count >= 0 { return count }
        guard errno == EINTR else {
          throw RecordingError(
            .system(operation: "cannot read it", errno: errno), offset: place.0, block: place.1)
        }
      }
    }
    return taken > 0
  }
}
