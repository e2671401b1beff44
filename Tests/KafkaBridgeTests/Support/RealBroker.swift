import Glibc
import Support
import Testing

/// A real Kafka broker for the tests of a suite, started by the script of the kit.
///
/// The kit is the folder in the environment's `KAFKA_KIT`, or `shared/kafka` beside the package.
struct RealBroker: Sendable {
  /// The broker of the running suite.
  @TaskLocal static var current: RealBroker?

  /// The plain listener.
  let bootstrapServers: String
  /// The other listeners by name, "SASL_PLAINTEXT", "SSL" and so on.
  let listeners: [String: String]
  /// The broker's folder; `tls` in it holds the certificates.
  let folder: String
  private let root: String

  /// The kit's script, nil when there is none.
  static let script: String? = {
    if Requirement.isUnitRun { return nil }
    var folders: [String] = []
    if let set = unsafe getenv("KAFKA_KIT") { folders.append(unsafe String(cString: set)) }
    let package = #filePath.split(separator: "/").dropLast(4).joined(separator: "/")
    folders.append("/\(package)/../shared/kafka")
    return folders.map { $0 + "/kafka" }.first { unsafe access($0, X_OK) == 0 }
  }()

  /// Starts a broker in a new temporary folder.
  static func start(script: String) throws -> RealBroker {
    var template = Array("/tmp/kafka-tests-XXXXXX".utf8CString)
    _ = unsafe try #require(mkdtemp(&template))
    let folder = String(
      decoding: template.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    let lines = try run("'\(script)' start --secure '\(folder)/broker'").split(separator: "\n")
    let first = try #require(lines.first)
    var listeners: [String: String] = [:]
    for line in lines.dropFirst() {
      let parts = line.split(separator: "=", maxSplits: 1)
      if parts.count == 2 { listeners[String(parts[0])] = String(parts[1]) }
    }
    return RealBroker(
      bootstrapServers: String(first), listeners: listeners, folder: "\(folder)/broker",
      root: folder)
  }

  /// Stops the broker and removes its folder.
  func stop(script: String) throws {
    _ = try RealBroker.run("'\(script)' stop '\(folder)' && rm -rf '\(root)'")
  }

  /// Ends the broker like a crash and starts it again at the same addresses.
  func crashAndRestart() throws {
    let script = try #require(RealBroker.script)
    _ = try RealBroker.run("'\(script)' kill '\(folder)' && '\(script)' start '\(folder)'")
  }

  /// Stops the broker's process, or lets it go on.
  func freeze(_ isFrozen: Bool) throws {
    let process = "$(cat '\(folder)/pid')"
    guard isFrozen else { return _ = try RealBroker.run("kill -CONT \(process)") }
    // A busy machine stops its threads one after the other, and one of them may still answer.
    _ = try RealBroker.run(
      "kill -STOP \(process) && for i in $(seq 200); do "
        + "grep -L 'State:.T' /proc/\(process)/task/*/status | grep -q . || break; sleep 0.05; done"
    )
  }

  /// Runs a shell command and returns what it printed.
  private static func run(_ command: String) throws -> String {
    let pipe = unsafe try #require(popen(command, "r"))
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 4096)
    while case let count = unsafe fread(&chunk, 1, chunk.count, pipe), count > 0 {
      bytes.append(contentsOf: chunk.prefix(count))
    }
    let status = unsafe pclose(pipe)
    try #require(status == 0, "\(command) ended with status \(status)")
    return String(decoding: bytes, as: UTF8.self)
  }
}

/// Starts a broker before a suite and stops it afterwards.
struct RealBrokerTrait: SuiteTrait, TestScoping {
  func provideScope(
    for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
  ) async throws {
    guard let script = RealBroker.script else { return }
    let broker = try RealBroker.start(script: script)
    defer { #expect(throws: Never.self) { try broker.stop(script: script) } }
    try await RealBroker.$current.withValue(broker) { try await function() }
  }
}

extension Trait where Self == RealBrokerTrait {
  /// A broker for the suite; use it with ``Testing/Trait/enabled(if:_:sourceLocation:)``.
  static var realBroker: RealBrokerTrait { RealBrokerTrait() }
}
