import Glibc
import Testing

/// One end of a pipe, closed when the last owner lets it go.
final class PipeEnds: Sendable {
  private let descriptor: Int32

  private init(_ descriptor: Int32) { self.descriptor = descriptor }

  deinit { close(descriptor) }

  /// The end to read from and the end to write to.
  static func make() throws -> (gate: PipeEnds, key: PipeEnds) {
    var ends: [Int32] = [-1, -1]
    try #require(unsafe pipe(&ends) == 0)
    return (PipeEnds(ends[0]), PipeEnds(ends[1]))
  }

  /// Blocks until a byte comes.
  func waitForByte() {
    var byte: UInt8 = 0
    // SAFETY: there is room for the one byte.
    _ = unsafe read(descriptor, &byte, 1)
  }

  /// Lets whoever waits go on.
  func sendByte() {
    var byte: UInt8 = 1
    // SAFETY: one byte is there.
    _ = unsafe write(descriptor, &byte, 1)
  }
}
