import PGWire
import Support

/// A recording of what a server sent while it streamed: Fixtures/pgoutput/SCENARIO.VERSION.bin, and
/// beside it the same as readable text, .trace.
struct Fixture: Sendable, CustomStringConvertible {
  let scenario: String
  let version: Int

  var description: String { "\(scenario).\(version)" }

  private static let directory = "\(Binary.project)/Fixtures/pgoutput"

  /// All that are recorded.
  static let all: [Fixture] = {
    let versions = [13, 15, 16, 17, 18]
    return FixtureScenario.all.flatMap { scenario in
      versions.map { Fixture(scenario: scenario.name, version: $0) }
        .filter { FileBytes.exists($0.path("bin")) }
    }
  }()

  private func path(_ end: String) -> String { "\(Self.directory)/\(self).\(end)" }

  /// The server's bytes.
  func bytes() throws -> [UInt8] { try FileBytes.bytes(of: path("bin")) }

  /// Their text.
  func trace() throws -> String { try FileBytes.text(of: path("trace")) }

  /// Replaces both.
  func write(_ bytes: [UInt8], trace: String) throws {
    try Subprocess.check("mkdir", ["-p", Self.directory])
    try FileBytes.write(bytes: bytes, to: path("bin"))
    try FileBytes.write(trace, to: path("trace"))
  }

  /// Where the messages lie in the bytes.
  func frames(_ bytes: [UInt8]) throws -> [MessageFrame] {
    var frames: [MessageFrame] = []
    var offset = 0
    while case .complete(let frame) = try MessageFrame.scan(
      unsafe bytes.span.bytes, at: offset)
    {
      frames.append(frame)
      offset = frame.end
    }
    guard offset == bytes.count else { throw SupportError("\(self) ends in mid-message") }
    return frames
  }
}
