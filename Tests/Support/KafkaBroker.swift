import Glibc
import Synchronization

/// A real Kafka of its own, started by the kit's script (`KAFKA_KIT`): one broker, or several and a controller.
public final class KafkaBroker: Sendable {
  /// HOST:PORT of the plain-text listener of each broker, parted by commas; kept over restarts.
  public let bootstrap: String
  /// HOST:PORT by listener (SASL_PLAINTEXT, SASL_SSL, SSL, MTLS), empty without `secure`.
  public let listeners: [String: String]
  /// Where the kit puts ca.crt, client.crt, client.key and other-ca.crt of a secure broker.
  public var tlsDirectory: String { directory.file("kafka/tls") }
  private let directory: TemporaryDirectory
  private let script: String
  // A broker of a test ends before the second compiler has earned what it costs.
  private static let environment = ["KAFKA_TIER": TestEnvironment["KAFKA_TIER"] ?? "1"]

  /// A process of it.
  public enum Node: Sendable, Equatable {
    /// The only process there is, or all of them.
    case all
    /// A broker of several, from 1.
    case broker(Int)
    /// What elects the leaders, where there are several brokers.
    case controller

    /// The kit's name for it.
    fileprivate var name: [String] {
      switch self {
      case .all: []
      case .broker(let number): ["\(number)"]
      case .controller: ["controller"]
      }
    }
  }

  /// Formats and starts it, and waits until it answers.
  ///
  /// - Parameters:
  ///   - secure: with TLS and SASL listeners.
  ///   - brokers: how many; more than one have a controller of their own, and topics up to three replicas.
  ///   - port: where it listens; nil for any free port.
  ///   - properties: more lines for server.properties.
  /// - Throws: `SupportError` when there is no kit or the broker does not start.
  public init(
    secure: Bool = false, brokers: Int = 1, port: Int? = nil, properties: [String] = []
  ) throws {
    guard let kit = KafkaKit.directory else { throw SupportError(KafkaKit.reasonToSkip) }
    script = "\(kit)/kafka"
    directory = try TemporaryDirectory("kafka")
    var environment = Self.environment
    if !properties.isEmpty {
      let extra = directory.file("extra.properties")
      try FileBytes.write(properties.map { "\($0)\n" }.joined(), to: extra)
      environment["KAFKA_EXTRA"] = extra
    }
    let nodes: [Node] =
      brokers > 1 ? (1...brokers).map { .broker($0) } + [.controller] : [.all]
    for node in nodes { Guardian.register(.killPIDFile(Self.file(node, in: directory))) }
    let options =
      (secure ? ["--secure"] : []) + (brokers > 1 ? ["--brokers", "\(brokers)"] : [])
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

  /// Starts again what `stop` or `kill` ended.
  ///
  /// - Throws: `SupportError` when it does not come up.
  public func start() throws {
    try Subprocess.check(
      "sh", [script, "start", directory.file("kafka")], environment: Self.environment,
      within: .seconds(180))
  }

  /// Stops it cleanly; a broker of several hands its partitions to the others first.
  ///
  /// - Throws: `SupportError` when it does not end.
  public func stop(_ node: Node = .all) throws {
    try Subprocess.check("sh", [script, "stop", directory.file("kafka")] + node.name)
  }

  /// SIGKILL: a crash.
  ///
  /// - Throws: `SupportError` when it is not running.
  public func kill(_ node: Node = .all) throws {
    try Subprocess.check("sh", [script, "kill", directory.file("kafka")] + node.name)
  }

  /// SIGSTOP: it keeps its connections, accepts others and answers nobody.
  ///
  /// A busy machine stops its threads one after the other, and one of them may still answer: it waits
  /// for all of them.
  ///
  /// - Throws: `SupportError` when it is not running.
  public func freeze(_ node: Node = .all) throws {
    try signal("STOP", node)
    try Subprocess.check(
      "sh",
      [
        "-c",
        "for i in $(seq 200); do grep -L 'State:.T' /proc/$1/task/*/status | grep -q . || exit 0; "
          + "sleep 0.05; done; echo some threads run on >&2; exit 1", "sh", try process(node),
      ])
  }

  /// Lets a frozen broker go on.
  ///
  /// - Throws: `SupportError` when it is not running.
  public func thaw(_ node: Node = .all) throws { try signal("CONT", node) }

  private func signal(_ name: String, _ node: Node) throws {
    try Subprocess.check("kill", ["-\(name)", try process(node)])
  }

  /// The number of its process.
  ///
  /// - Throws: `SupportError` when it is not running.
  public func process(_ node: Node = .all) throws -> String {
    try FileBytes.text(of: Self.file(node, in: directory)).split(separator: "\n").joined()
  }

  /// Where the kit writes a process' number.
  private static func file(_ node: Node, in directory: TemporaryDirectory) -> String {
    directory.file((["kafka"] + node.name + ["pid"]).joined(separator: "/"))
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
