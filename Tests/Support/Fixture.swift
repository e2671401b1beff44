import Glibc
public import PGWire
import Recording

/// A recording of what a real server sent while it streamed: Fixtures/pgoutput/SCENARIO.VERSION.rec
/// (docs/RECORDING.md), and beside it the messages as readable text, .trace.
public struct Fixture: Sendable, CustomStringConvertible {
  /// What was done on the server.
  public let scenario: String
  /// The server's major version.
  public let version: Int

  /// "SCENARIO.VERSION".
  public var description: String { "\(scenario).\(version)" }

  private static let directory = "\(Binary.project)/Fixtures/pgoutput"

  /// All that are recorded, by name.
  public static let all: [Fixture] = {
    names(in: directory).compactMap { name in
      let parts = name.split(separator: ".")
      guard parts.count == 3, parts[2] == "rec", let version = Int(parts[1]) else { return nil }
      return Fixture(scenario: String(parts[0]), version: version)
    }
  }()

  /// Names a fixture, recorded or not.
  public init(scenario: String, version: Int) {
    self.scenario = scenario
    self.version = version
  }

  /// Where its file lies.
  public var path: String { "\(Self.directory)/\(self).rec" }

  /// The server's bytes, of all connections.
  ///
  /// - Throws: `RecordingError` when the file is damaged.
  public func bytes() throws -> [UInt8] {
    var reader = try RecordingReader(opening: path)
    var bytes: [UInt8] = []
    while try reader.next() != nil {
      // SAFETY: the pointer does not leave the closure.
      bytes += unsafe reader.received.withUnsafeBytes { unsafe Array($0) }
    }
    guard case .complete = reader.ending else { throw SupportError("\(self) is cut off") }
    return bytes
  }

  /// Their text.
  ///
  /// - Throws: `SupportError` when it cannot be read.
  public func trace() throws -> String { try FileBytes.text(of: "\(Self.directory)/\(self).trace") }

  /// Replaces both.
  ///
  /// - Throws: `SupportError` when they cannot be written.
  public func write(recording: [UInt8], trace: String) throws {
    try Subprocess.check("mkdir", ["-p", Self.directory])
    try FileBytes.write(bytes: recording, to: path)
    try FileBytes.write(trace, to: "\(Self.directory)/\(self).trace")
  }

  /// Where the messages lie in the bytes.
  ///
  /// - Throws: `SupportError` when the bytes end within one.
  public func frames(_ bytes: [UInt8]) throws -> [MessageFrame] {
    var frames: [MessageFrame] = []
    var offset = 0
    while case .complete(let frame) = try MessageFrame.scan(unsafe bytes.span.bytes, at: offset) {
      frames.append(frame)
      offset = frame.end
    }
    guard offset == bytes.count else { throw SupportError("\(self) ends in mid-message") }
    return frames
  }

  /// The names of a folder's files, sorted; none when there is no such folder.
  private static func names(in folder: String) -> [String] {
    guard let directory = unsafe opendir(folder) else { return [] }
    defer { unsafe closedir(directory) }
    var names: [String] = []
    while let entry = unsafe readdir(directory) {
      // SAFETY: the kernel ends a name with a zero; the pointer does not leave the closure.
      let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { pointer in
        unsafe pointer.withMemoryRebound(to: CChar.self, capacity: 256) {
          unsafe String(cString: $0)
        }
      }
      names.append(name)
    }
    return names.sorted()
  }
}
