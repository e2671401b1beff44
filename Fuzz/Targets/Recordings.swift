import Glibc
import PGWire
import Support

/// What real servers sent, as seeds.
enum Recordings {
  /// The streams of `Fixtures/pgoutput`, whole.
  static func streams() throws -> [[UInt8]] {
    try Fixture.all.map { try $0.bytes() }
  }

  /// Their messages: tag and body.
  static func messages() throws -> [(tag: MessageTag, body: [UInt8])] {
    var messages: [(tag: MessageTag, body: [UInt8])] = []
    for stream in try streams() {
      var offset = 0
      while case .complete(let frame) = try MessageFrame.scan(unsafe stream.span.bytes, at: offset)
      {
        messages.append((frame.tag, Array(stream[frame.body])))
        offset = frame.end
      }
    }
    return messages
  }

  /// The names of a folder's files, sorted; none when there is no such folder.
  static func names(in folder: String) -> [String] {
    guard let directory = unsafe opendir(folder) else { return [] }
    defer { unsafe closedir(directory) }
    var names: [String] = []
    while let entry = unsafe readdir(directory) {
      let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { pointer in
        unsafe pointer.withMemoryRebound(to: CChar.self, capacity: 256) {
          unsafe String(cString: $0)
        }
      }
      if !name.hasPrefix(".") { names.append(name) }
    }
    return names.sorted()
  }
}
