import Glibc
import Support
import Synchronization

/// A database, a configuration file, and the program that runs it; its sinks need no other server
/// unless the test adds one.
final class LocalRun: Sendable {
  let postgres: PostgresServer
  /// The server that the program reads: the same, or a standby of it.
  let source: PostgresServer
  /// The database's name, and that of the slot.
  let name: String
  let directory: TemporaryDirectory
  let httpPort: Int
  private let lines: Mutex<Scenario.Lines>

  private static let counter = Atomic<Int>(0)

  /// Creates the database, the publication of all its tables, and the tables.
  ///
  /// Without sinks in `lines.more` everything goes to the file ``events``.
  ///
  /// - Throws: `SupportError` when the server cannot be had.
  init(
    _ title: String, postgres: PostgresServer? = nil, standby: PostgresServer? = nil,
    encoding: String? = nil, lines: Scenario.Lines = Scenario.Lines(), tables: String
  ) throws {
    let number = Self.counter.add(1, ordering: .relaxed).newValue
    name = "local_\(title)_\(number)"
    let server = try postgres ?? Integration.postgres
    self.postgres = server
    source = standby ?? server
    directory = try TemporaryDirectory("local")
    httpPort = try FreePort.take()
    self.lines = Mutex(lines)
    let encoded = encoding.map { " ENCODING '\($0)' TEMPLATE template0" } ?? ""
    try self.postgres.psql("CREATE DATABASE \(name)\(encoded)")
    try psql("CREATE PUBLICATION everything FOR ALL TABLES; \(tables)")
  }

  deinit {
    // The shared server has a limited number of slots.
    _ = try? source.psql(
      """
      SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots
        WHERE slot_name = '\(name)' AND active;
      SELECT pg_sleep(0.2);
      SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots
        WHERE slot_name = '\(name)'
      """)
  }

  /// Where events go.
  var events: String { directory.file("events") }

  /// Where positions are stored.
  var store: String { directory.file("store/positions.sqlite") }

  private var configuration: String {
    let lines = lines.withLock { $0 }
    let sinks =
      lines.more.isEmpty
      ? ["[sink.out]", #"type = "file""#, #"sources = ["pg"]"#, "path = \"\(events)\""]
      : lines.more
    return """
      store = "\(store)"
      http = "127.0.0.1:\(httpPort)"
      \(lines.top.joined(separator: "\n"))

      [source.pg]
      type = "postgres"
      dsn = "\(source.dsn(database: name))"
      publication = "everything"
      replicationSlot = "\(name)"
      startRetryInterval = "50ms"
      \(lines.source.joined(separator: "\n"))

      \(sinks.joined(separator: "\n"))
      """
  }

  /// Changes the file that the next start reads.
  func change(_ body: (inout Scenario.Lines) -> Void) { lines.withLock { body(&$0) } }

  /// A sink that writes events into a file of its own.
  func fileSink(_ sink: String) -> String {
    """
    [sink.\(sink)]
    type = "file"
    sources = ["pg"]
    path = "\(directory.file(sink))"
    """
  }

  /// Runs SQL in the database.
  @discardableResult func psql(_ sql: String) throws -> String {
    try postgres.psql(sql, database: name)
  }

  /// Starts the program, by a command that executes what follows it, and does not wait.
  func launch(by prefix: [String] = []) throws -> Subprocess {
    let file = directory.file("psql-streamer.toml")
    try Subprocess.check("mkdir", ["-p", directory.file("store")])
    try FileBytes.write(configuration, to: file)
    let line = prefix + [Binary.psqlStreamer, "run", "--config", file]
    return try Subprocess(line[0], Array(line.dropFirst()))
  }

  /// Starts the program and returns when it streams.
  func start(by prefix: [String] = []) throws -> Subprocess {
    let streamer = try launch(by: prefix)
    try eventually(within: .seconds(180), "the slot \(name) in use") {
      try Scenario.requireAlive(streamer)
      return try self.walsender() != ""
    }
    return streamer
  }

  /// SIGTERM, then the exit code of a clean stop is expected by the caller.
  func stop(_ streamer: Subprocess) throws -> Subprocess.Termination {
    streamer.send(SIGTERM)
    return try streamer.wait(within: .seconds(60))
  }

  /// The number of the server's process that serves the program; empty for none.
  func walsender() throws -> String {
    try source.psql(
      "SELECT active_pid FROM pg_replication_slots WHERE slot_name = '\(name)' AND active"
        + " AND confirmed_flush_lsn IS NOT NULL")
  }

  /// Waits until the slot has confirmed everything that the server has written by now.
  func waitUntilConfirmed(_ streamer: Subprocess, within limit: Duration = .seconds(60)) throws {
    let target = try postgres.psql("SELECT pg_current_wal_lsn()")
    try eventually(within: limit, "the confirmation of \(target)") {
      try Scenario.requireAlive(streamer)
      return try self.source.psql(
        """
        SELECT confirmed_flush_lsn >= '\(target)' FROM pg_replication_slots
          WHERE slot_name = '\(self.name)'
        """) == "t"
    }
  }

  /// The events in the file of a sink, one for each whole line.
  func events(of sink: String = "events") throws -> [JSON] {
    let file = directory.file(sink)
    guard FileBytes.exists(file) else { return [] }
    let text = try FileBytes.text(of: file)
    guard let end = text.lastIndex(of: "\n") else { return [] }
    return try text[..<end].split(separator: "\n").map { try JSON(String($0)) }
  }

  /// Waits for that many events.
  func events(_ count: Int, from streamer: Subprocess) throws -> [JSON] {
    var found: [JSON] = []
    try eventually("\(count) events (there are \(found.count))") {
      try Scenario.requireAlive(streamer)
      found = try self.events()
      return found.count >= count
    }
    return found
  }

  /// A metric's value, by its whole line before the value.
  func metric(_ series: String) throws -> Double? {
    let text = try Scenario.get("/metrics", port: httpPort).body
    let line = text.split(separator: "\n").first { $0.hasPrefix(series + " ") }
    return line.flatMap { Double($0.dropFirst(series.count + 1)) }
  }

  /// The positions in the store, each as `SINK LSN`.
  func positions() throws -> [String] {
    let text = try Subprocess.check(
      "python3",
      [
        "-c",
        """
        import sqlite3, sys
        rows = sqlite3.connect(sys.argv[1]).execute("SELECT sink, lsn FROM position ORDER BY sink")
        for row in rows: print(*row)
        """, store,
      ])
    return text.split(separator: "\n").map(String.init)
  }
}

extension Subprocess {
  /// A number of the process's /proc/…/status, as `VmHWM`, in kB.
  func status(_ field: String) throws -> Int {
    let text = try FileBytes.text(of: "/proc/\(processID)/status")
    let line = text.split(separator: "\n").first { $0.hasPrefix("\(field):") }
    guard let number = line?.split(separator: " ").dropFirst().first, let value = Int(number) else {
      throw SupportError("/proc has no \(field) of \(processID)")
    }
    return value
  }
}
