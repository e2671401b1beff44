import Glibc
import Support
import Synchronization

/// A database, a topic, and the configuration of one streamer between them.
final class Scenario: Sendable {
  let postgres: PostgresServer
  let broker: KafkaBroker
  /// The database's name, that of the slot, and of the topic.
  let name: String
  let directory: TemporaryDirectory
  let httpPort: Int
  let slot: String
  private let lines: Lines
  private let network: ChaosNetwork?
  private let replication: Int
  private let prefix: [String]
  private let launched = Mutex<[Subprocess]>([])

  /// Lines that a test adds to the parts of the configuration; `{name}` stands for the scenario's.
  struct Lines: Sendable {
    /// The store's path instead of one in the scenario's directory.
    var store: String?
    /// How the program reaches PostgreSQL.
    var connection = "sslmode=disable"
    var top: [String] = []
    var source: [String] = []
    var sink: [String] = []
    /// More tables, at the end of the file.
    var more: [String] = []
  }

  private static let counter = Atomic<Int>(0)

  /// Creates the database, the publication of all its tables, and the tables.
  ///
  /// The program is started by `prefix`, a command that executes what follows it.
  ///
  /// - Throws: `SupportError` when a server cannot be had.
  init(
    _ title: String, postgres: PostgresServer? = nil, broker: KafkaBroker? = nil,
    through network: ChaosNetwork? = nil, by prefix: [String] = [],
    lines: Lines = Lines(), tables: String, replication: Int = 1
  ) throws {
    self.prefix = prefix
    self.network = network
    self.replication = replication
    let number = Self.counter.add(1, ordering: .relaxed).newValue
    name = "\(title)_\(number)"
    slot = name
    self.postgres = try postgres ?? Integration.postgres
    self.broker = try broker ?? network?.broker ?? Integration.kafka
    directory = try TemporaryDirectory("run")
    httpPort = try FreePort.take()
    self.lines = lines
    try self.postgres.psql("CREATE DATABASE \(name)")
    try psql("CREATE PUBLICATION everything FOR ALL TABLES; \(tables)")
  }

  deinit {
    // The shared server has a limited number of slots.
    _ = try? postgres.psql(
      """
      SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots
        WHERE slot_name = '\(slot)' AND active;
      SELECT pg_sleep(0.2);
      SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots
        WHERE slot_name = '\(slot)'
      """)
  }

  /// The file's text.
  var configuration: String {
    """
    store = "\(lines.store ?? directory.file("positions.sqlite"))"
    http = "127.0.0.1:\(httpPort)"
    \(lines.top.joined(separator: "\n"))

    [source.pg]
    type = "postgres"
    dsn = "\(postgres.dsn(database: name, more: lines.connection, port: network?.postgres.port))"
    publication = "everything"
    replicationSlot = "\(slot)"
    startRetryInterval = "200ms"
    \(lines.source.joined(separator: "\n"))

    [sink.out]
    type = "kafka"
    sources = ["pg"]
    hosts = "\(broker.bootstrap.replacing(",", with: " "))"
    topicFallback = "\(name)"
    createTopics = "create"
    topics = { partitions = 4, replication = \(replication) }
    \(lines.sink.joined(separator: "\n").replacing("{name}", with: name))

    \(lines.more.joined(separator: "\n"))
    """
  }

  /// Runs SQL in the scenario's database.
  @discardableResult func psql(_ sql: String) throws -> String {
    try postgres.psql(sql, database: name)
  }

  /// Starts the program and returns when it streams.
  func start() throws -> Subprocess {
    let streamer = try launch()
    try eventually(within: .seconds(180), "the slot \(slot) in use") {
      try Self.requireAlive(streamer)
      return try self.postgres.readSlots("slot_name = '\(slot)'") == 1
    }
    return streamer
  }

  /// Starts the program and does not wait.
  func launch(environment: [String: String] = [:]) throws -> Subprocess {
    let file = directory.file("psql-streamer.toml")
    try FileBytes.write(configuration, to: file)
    let line = prefix + [Binary.psqlStreamer, "run", "--config", file]
    let streamer = try Subprocess(line[0], Array(line.dropFirst()), environment: environment)
    launched.withLock { $0.append(streamer) }
    return streamer
  }

  /// What all streamers of this scenario logged beyond the ordinary, for the report of a failure.
  var warnings: String {
    launched.withLock { all in
      all.enumerated().map { number, streamer in
        let lines = streamer.standardError.split(separator: "\n")
          .filter { !$0.contains("level=info") }
        return "streamer \(number + 1):\n\(lines.joined(separator: "\n"))"
      }.joined(separator: "\n")
    }
  }

  /// SIGTERM, then the exit code of a clean stop is expected by the caller.
  func stop(_ streamer: Subprocess) throws -> Subprocess.Termination {
    streamer.send(SIGTERM)
    return try streamer.wait(within: .seconds(60))
  }

  /// Waits until the slot has confirmed everything that the server has written by now.
  func waitUntilConfirmed(_ streamer: Subprocess, within limit: Duration = .seconds(120)) throws {
    let target = try postgres.psql("SELECT pg_current_wal_lsn()")
    try eventually(within: limit, "the confirmation of \(target) by \(slot)") {
      try Self.requireAlive(streamer)
      return try isConfirmed(target)
    }
  }

  /// Whether the slot's confirmed_flush_lsn has reached a position.
  func isConfirmed(_ position: String) throws -> Bool {
    try postgres.psql(
      """
      SELECT confirmed_flush_lsn >= '\(position)' FROM pg_replication_slots
        WHERE slot_name = '\(slot)'
      """) == "t"
  }

  /// All events of the topic.
  func events() throws -> [Event] {
    try broker.records(name).map { try Event($0) }
  }

  /// Waits for that many events and returns them.
  func events(
    _ count: Int, from streamer: Subprocess, within limit: Duration = .seconds(180)
  ) throws -> [Event] {
    var found: [Event] = []
    try eventually(
      within: limit, every: .milliseconds(200),
      "\(count) events (there are \(found.count); \(warnings))"
    ) {
      try Self.requireAlive(streamer)
      guard try topicExists() else { return false }
      found = try events()
      return found.count >= count
    }
    return found
  }

  /// The body of a GET, with the status line's number.
  func get(_ path: String) throws -> (status: Int, body: String) {
    try Self.get(path, port: httpPort)
  }

  /// The body of a GET from a port of this machine, with the status line's number.
  static func get(_ path: String, port: Int) throws -> (status: Int, body: String) {
    let program = """
      import sys, urllib.request, urllib.error
      try: answer = urllib.request.urlopen(sys.argv[1], timeout=10)
      except urllib.error.HTTPError as error: answer = error
      print(answer.status); sys.stdout.write(answer.read().decode())
      """
    let text = try Subprocess.check(
      "python3", ["-c", program, "http://127.0.0.1:\(port)\(path)"])
    let parts = text.split(separator: "\n", maxSplits: 1)
    return (Int(parts.first ?? "") ?? 0, parts.count > 1 ? String(parts[1]) : "")
  }

  private func topicExists() throws -> Bool {
    let list = try Subprocess.check(
      "kcat", ["-L", "-J", "-b", broker.bootstrap, "-X", "allow.auto.create.topics=false"])
    let topics = try JSON(list)["topics"]?.elements ?? []
    return topics.contains { $0["topic"]?.string == name }
  }

  static func requireAlive(_ streamer: Subprocess) throws {
    guard let ended = streamer.poll() else { return }
    throw SupportError("psql-streamer ended (\(ended)):\n\(streamer.standardError.suffix(3_000))")
  }
}
