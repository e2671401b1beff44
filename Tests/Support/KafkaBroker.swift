import Glibc
import Synchronization

/// A real Kafka broker of its own, started by the kit's script (`KAFKA_KIT`).
public final class KafkaBroker: Sendable {
  /// HOST:PORT of the plain-text listener, kept over restarts.
  public let bootstrap: String
  /// HOST:PORT by listener (SASL_PLAINTEXT, SASL_SSL, SSL, MTLS), empty without `secure`.
  public let listeners: [String: String]
  /// Where the kit puts ca.crt, client.crt, client.key and other-ca.crt of a secure broker.
  public var tlsDirectory: String { directory.file("kafka/tls") }
  private let directory: TemporaryDirectory
  private let script: String

  /// Formats and starts a broker, and waits until it answers.
  ///
  /// - Parameters:
  ///   - secure: with TLS and SASL listeners.
  ///   - port: where it listens; nil for any free port.
  ///   - properties: more lines for server.properties.
  /// - Throws: `SupportError` when there is no kit or the broker does not start.
  public init(secure: Bool = false, port: Int? = nil, properties: [String] = []) throws {
    guard let kit = KafkaKit.directory else { throw SupportError(KafkaKit.reasonToSkip) }
    script = "\(kit)/kafka"
    directory = try TemporaryDirectory("kafka")
    var environment: [String: String] = [:]
    if !properties.isEmpty {
      let extra = directory.file("extra.properties")
      try FileBytes.write(properties.map { "\($0)\n" }.joined(), to: extra)
      environment["KAFKA_EXTRA"] = extra
    }
    Guardian.register(.killPIDFile(directory.file("kafka/pid")))
    let options = secure ? ["--secure"] : []
    let output = try Subprocess.check(
      "sh",
      [script, "start"] + options + [directory.file("kafka")] + (port.map { ["\($0)"] } ?? []),
      environment: environment,
      within: .seconds(180))
    let lines = output.split(separator: "\n").map(String.init)
    guard let first = lines.first else { throw SupportError("the kit printed no address") }
    bootstrap = first
    var found: [String: String] = [:]
    for line in lines.dropFirst() {
      let parts = line.split(separator: "=", maxSplits: 1)
      if parts.count == 2 { found[String(parts[0])] = String(parts[1]) }
    }
    listeners = found
  }

  deinit { _ = try? Subprocess.run("sh", [script, "kill", directory.file("kafka")]) }

  /// Starts it again after `stop` or `kill`.
  ///
  /// - Throws: `SupportError` when it does not come up.
  public func start() throws {
    try Subprocess.check(
      "sh", [script, "start", directory.file("kafka")], within: .seconds(180))
  }

  /// Stops it cleanly.
  ///
  /// - Throws: `SupportError` when it does not end.
  public func stop() throws {
    try Subprocess.check("sh", [script, "stop", directory.file("kafka")])
  }

  /// SIGKILL: a crash.
  ///
  /// - Throws: `SupportError` when it is not running.
  public func kill() throws {
    try Subprocess.check("sh", [script, "kill", directory.file("kafka")])
  }

  /// SIGSTOP: it keeps its connections, accepts others and answers nobody.
  ///
  /// - Throws: `SupportError` when it is not running.
  public func freeze() throws { try signal("STOP") }

  /// Lets a frozen broker go on.
  ///
  /// - Throws: `SupportError` when it is not running.
  public func thaw() throws { try signal("CONT") }

  private func signal(_ name: String) throws {
    let process = try FileBytes.text(of: directory.file("kafka/pid"))
    try Subprocess.check("kill", ["-\(name)", process.split(separator: "\n").joined()])
  }

  /// Runs one of Kafka's own tools, as in `tool("topics", ["--list"])`; the address is added.
  ///
  /// - Throws: `SupportError` with what the tool printed.
  @discardableResult public func tool(_ name: String, _ arguments: [String]) throws -> String {
    try Subprocess.check(
      "sh", [script, "run", name, "--bootstrap-server", bootstrap] + arguments,
      within: .seconds(120))
  }

  /// Creates a topic.
  ///
  /// - Throws: `SupportError` when the broker refuses.
  public func createTopic(_ name: String, partitions: Int = 4) throws {
    try tool(
      "topics",
      ["--create", "--if-not-exists", "--topic", name, "--partitions", "\(partitions)"])
  }

  /// Everything in a topic now, by partition and offset, in the order of kcat's reading.
  ///
  /// - Throws: `SupportError` when kcat fails.
  public func records(_ topic: String, within limit: Duration = .seconds(120)) throws
    -> [KafkaRecord]
  {
    let text = try Subprocess.check(
      "kcat",
      [
        "-C", "-q", "-e", "-b", bootstrap, "-t", topic, "-o", "beginning",
        "-X", "allow.auto.create.topics=false", "-X", "fetch.wait.max.ms=10",
        "-f", "%p %o %K %S %k%s\n",
      ], within: limit)
    return try KafkaRecord.parse(text)
  }
}

/// The kit that holds Kafka.
public enum KafkaKit {
  /// Its folder: `KAFKA_KIT`, else ../shared/kafka beside the project; nil when there is none.
  public static var directory: String? {
    let candidate = TestEnvironment["KAFKA_KIT"] ?? "\(Binary.project)/../shared/kafka"
    return FileBytes.exists("\(candidate)/kafka") ? candidate : nil
  }

  static let reasonToSkip =
    "no Kafka kit: set KAFKA_KIT to the folder of the kafka script (default ../shared/kafka)"
}
