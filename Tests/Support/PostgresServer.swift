import Glibc
import Synchronization

/// A real PostgreSQL server of its own: fresh data directory, free port, loopback only.
///
/// The superuser is `postgres`, the database too; everybody is trusted unless `hba` says otherwise.
/// The server is stopped and its directory removed when the object goes away, and by the guardian
/// when the test process ends in any other way.
public final class PostgresServer: Sendable {
  /// How `stop` asks the server to go.
  public enum StopMode: String, Sendable {
    /// Waits for the clients.
    case smart
    /// Ends the sessions, writes a checkpoint. Walsenders finish sending first.
    case fast
    /// Ends at once; the next start recovers from the WAL.
    case immediate
  }

  /// Files of a server that speaks TLS; the server gets copies.
  public struct TLS: Sendable {
    let certificate: String
    let key: String
    let clientAuthority: String?

    /// The server's certificate and key, and the CA of the clients' certificates.
    public init(certificate: String, key: String, clientAuthority: String? = nil) {
      self.certificate = certificate
      self.key = key
      self.clientAuthority = clientAuthority
    }
  }

  /// The address that TCP clients use.
  public let host = "127.0.0.1"
  /// The port, the same for TCP and the Unix socket, kept over restarts.
  public let port: Int
  /// The folder of the Unix socket.
  public let socketDirectory: String
  /// The data directory.
  public let dataDirectory: String
  private let directory: TemporaryDirectory
  private let programs: PostgresPrograms

  /// Makes a server and starts it.
  ///
  /// - Parameters:
  ///   - settings: over the defaults, which are wal_level=logical, room for 20 slots, no fsync.
  ///   - hba: the lines of pg_hba.conf.
  ///   - tls: nil is a server without TLS.
  ///   - initdb: more arguments for initdb, e.g. `["--encoding=LATIN1"]`.
  ///   - version: the major version, one of `PostgresPrograms.installed`; nil is the newest of
  ///     the distribution, or what `PG_BIN` names.
  /// - Throws: `SupportError` when there is no PostgreSQL or it does not start.
  public init(
    settings: [String: String] = [:],
    hba: [String] = PostgresServer.trustEverybody, tls: TLS? = nil,
    initdb: [String] = [], version: Int? = nil
  ) throws {
    programs = try version.map(PostgresPrograms.of(version:)) ?? PostgresPrograms.found()
    directory = try TemporaryDirectory("pg", owner: programs.owner)
    port = try FreePort.take()
    socketDirectory = directory.path
    dataDirectory = directory.file("data")
    try programs.makeDataDirectory(dataDirectory, initdb: initdb)
    Guardian.register(.killPIDFile("\(dataDirectory)/postmaster.pid"))

    var all = [
      "listen_addresses": "127.0.0.1", "port": "\(port)",
      "unix_socket_directories": directory.path,
      "wal_level": "logical", "max_wal_senders": "20", "max_replication_slots": "20",
      "max_connections": "100", "fsync": "off", "shared_buffers": "64MB", "max_wal_size": "4GB",
      "log_line_prefix": "%m [%p] ", "timezone": "UTC",
    ]
    if let tls {
      try installCertificates(tls)
      all["ssl"] = "on"
      if tls.clientAuthority != nil { all["ssl_ca_file"] = "root.crt" }
    }
    all.merge(settings) { _, new in new }
    let lines = all.sorted { $0.key < $1.key }.map { "\($0.key) = '\($0.value)'\n" }
    try FileBytes.write(lines.joined(), to: "\(dataDirectory)/postgresql.auto.conf")
    try writeHBA(hba)
    try start()
  }

  /// Makes a standby that follows a server by streaming, through a physical slot `standby` there.
  ///
  /// - Parameters:
  ///   - primary: the server to follow.
  ///   - settings: over those that it copies from the primary.
  /// - Throws: `SupportError` when the copy cannot be made or the standby does not start.
  public init(standbyOf primary: PostgresServer, settings: [String: String] = [:]) throws {
    programs = primary.programs
    directory = try TemporaryDirectory("pg", owner: programs.owner)
    port = try FreePort.take()
    socketDirectory = directory.path
    dataDirectory = directory.file("data")
    try primary.psql("SELECT pg_create_physical_replication_slot('standby', true)")
    let copied = try programs.run(
      "pg_basebackup",
      [
        "-D", dataDirectory, "-h", primary.socketDirectory, "-p", "\(primary.port)", "-U",
        "postgres",
        "-c", "fast", "-X", "stream", "-S", "standby", "--no-sync",
      ])
    guard copied.termination == .exited(0) else {
      throw SupportError("pg_basebackup: \(copied.standardError)")
    }
    Guardian.register(.killPIDFile("\(dataDirectory)/postmaster.pid"))
    let file = "\(dataDirectory)/postgresql.auto.conf"
    // The last of two lines counts.
    try FileBytes.write(
      FileBytes.text(of: file) + """
        port = '\(port)'
        unix_socket_directories = '\(directory.path)'
        hot_standby_feedback = 'on'
        primary_slot_name = 'standby'
        primary_conninfo = 'host=127.0.0.1 port=\(primary.port) user=postgres dbname=postgres'

        """ + settings.sorted { $0.key < $1.key }.map { "\($0.key) = '\($0.value)'\n" }.joined(),
      to: file)
    try FileBytes.write("", to: "\(dataDirectory)/standby.signal")
    try start()
  }

  deinit {
    _ = try? programs.run("pg_ctl", ["-D", dataDirectory, "-m", "immediate", "-w", "stop"])
  }

  /// pg_hba.conf lines that let everybody in.
  public static let trustEverybody = [
    "local all all trust", "host all all 127.0.0.1/32 trust",
    "local replication all trust", "host replication all 127.0.0.1/32 trust",
  ]

  /// A keyword/value connection string over TCP.
  public func dsn(
    user: String = "postgres", password: String? = nil, database: String = "postgres",
    more: String = "sslmode=disable", port: Int? = nil
  ) -> String {
    let secret = password.map { " password=\($0)" } ?? ""
    return "host=\(host) port=\(port ?? self.port) user=\(user)\(secret) dbname=\(database) \(more)"
  }

  /// Runs SQL with psql and returns the rows, unaligned: columns parted by `|`, rows by newlines.
  ///
  /// Each statement commits on its own unless the text says BEGIN.
  ///
  /// - Throws: `SupportError` with psql's message at the first failing statement.
  @discardableResult public func psql(
    _ sql: String, database: String = "postgres", user: String = "postgres",
    within limit: Duration = .seconds(120)
  ) throws -> String {
    let output = try Subprocess.check(
      programs.path("psql"), psqlArguments(database: database, user: user) + ["-f", "-"],
      input: sql, within: limit)
    return output.hasSuffix("\n") ? String(output.dropLast()) : output
  }

  /// A session that stays open, for transactions that interleave.
  ///
  /// - Throws: `SupportError` when psql cannot be started.
  public func session(
    database: String = "postgres", user: String = "postgres"
  ) throws -> PostgresSession {
    try PostgresSession(
      psql: programs.path("psql"), arguments: psqlArguments(database: database, user: user))
  }

  /// The path of a program of this server's version, like pgbench or pg_recvlogical.
  public func program(_ name: String) -> String { programs.path(name) }

  /// Starts it again after `stop` or `kill`, and waits until it accepts connections.
  ///
  /// - Throws: `SupportError` with the end of the server's log.
  public func start() throws {
    let log = directory.file("log")
    let output = try programs.run(
      "pg_ctl", ["-D", dataDirectory, "-l", log, "-w", "-t", "120", "start"])
    guard output.termination == .exited(0) else {
      throw SupportError("PostgreSQL did not start:\n\(self.log.suffix(2_000))")
    }
  }

  /// Stops it and waits for the end.
  ///
  /// - Throws: `SupportError` when it does not stop within two minutes.
  public func stop(_ mode: StopMode = .fast) throws {
    let output = try programs.run(
      "pg_ctl", ["-D", dataDirectory, "-m", mode.rawValue, "-w", "-t", "110", "stop"])
    guard output.termination == .exited(0) else {
      throw SupportError("PostgreSQL did not stop: \(output.standardOutput)\(output.standardError)")
    }
  }

  /// Asks it to stop and returns at once; the process ends when the server has stopped.
  ///
  /// For what must go on while the server stops: it waits for its walsenders' clients.
  ///
  /// - Throws: `SupportError` when pg_ctl cannot be started.
  public func beginStop(_ mode: StopMode = .fast) throws -> Subprocess {
    try programs.start(
      "pg_ctl", ["-D", dataDirectory, "-m", mode.rawValue, "-w", "-t", "110", "stop"])
  }

  /// Stops and starts it.
  ///
  /// - Throws: as `stop` and `start`.
  public func restart(_ mode: StopMode = .fast) throws {
    try stop(mode)
    try start()
  }

  /// Stops it, lets the numbers of its transactions begin again behind 2³², and starts it.
  ///
  /// - Throws: as `stop` and `start`, and when pg_resetwal refuses.
  public func beginSecondEpoch() throws {
    try stop()
    let output = try programs.run("pg_resetwal", ["-e", "1", "-D", dataDirectory])
    guard output.termination == .exited(0) else {
      throw SupportError("pg_resetwal: \(output.standardOutput)\(output.standardError)")
    }
    try start()
  }

  /// SIGKILL for the postmaster: a crash, after which its children end by themselves.
  ///
  /// - Throws: `SupportError` when it is not running.
  public func kill() throws {
    let pid = try postmaster()
    _ = Glibc.kill(pid, SIGKILL)
    // The lock on shared memory goes with the last child.
    try eventually(within: .seconds(30), "the end of PostgreSQL's processes") {
      try Subprocess.run("pgrep", ["-g", "\(pid)"]).termination != .exited(0)
        && Glibc.kill(pid, 0) != 0
    }
  }

  /// SIGSTOP for each of its processes: they keep their connections and answer nobody.
  ///
  /// - Throws: `SupportError` when it is not running.
  public func freeze() throws {
    let pid = try postmaster()
    // The postmaster first: it has no more children then.
    try Subprocess.check("sh", ["-c", "kill -STOP $1; pkill -STOP -P $1", "sh", "\(pid)"])
  }

  /// Lets a frozen server go on.
  ///
  /// - Throws: `SupportError` when it is not running.
  public func thaw() throws {
    try Subprocess.check(
      "sh", ["-c", "pkill -CONT -P $1; kill -CONT $1", "sh", "\(try postmaster())"])
  }

  private func postmaster() throws -> pid_t {
    let file = try FileBytes.text(of: "\(dataDirectory)/postmaster.pid")
    guard let line = file.split(separator: "\n").first, let pid = pid_t(line) else {
      throw SupportError("PostgreSQL is not running")
    }
    return pid
  }

  /// Reads the configuration files again.
  ///
  /// - Throws: `SupportError` when the server is not running.
  public func reload() throws {
    try psql("SELECT pg_reload_conf()")
  }

  /// Replaces pg_hba.conf; takes effect at the next start or `reload`.
  ///
  /// - Throws: `SupportError` when the file cannot be written.
  public func writeHBA(_ lines: [String]) throws {
    try FileBytes.write(
      lines.map { "\($0)\n" }.joined(), to: "\(dataDirectory)/pg_hba.conf")
  }

  /// What the server logged so far.
  public var log: String { (try? FileBytes.text(of: directory.file("log"))) ?? "" }

  /// The server's major version, 15 for one.
  ///
  /// - Throws: `SupportError` when it cannot be asked.
  public func majorVersion() throws -> Int {
    (Int(try psql("SHOW server_version_num")) ?? 0) / 10_000
  }

  /// How many slots somebody reads who has come as far as their stream.
  ///
  /// A slot that is being made is in use as well, and what is committed meanwhile is no part of it: who
  /// waits to write rows waits for its confirmed_flush_lsn.
  ///
  /// - Throws: `SupportError` when it cannot be asked.
  public func readSlots(_ condition: String = "true") throws -> Int {
    let count = try psql(
      """
      SELECT count(*) FROM pg_replication_slots
        WHERE active AND confirmed_flush_lsn IS NOT NULL AND \(condition)
      """)
    return Int(count) ?? 0
  }

  private func psqlArguments(database: String, user: String) -> [String] {
    [
      "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1",
      "-h", socketDirectory, "-p", "\(port)", "-U", user, "-d", database,
    ]
  }

  private func installCertificates(_ tls: TLS) throws {
    try FileBytes.write(
      FileBytes.text(of: tls.certificate), to: "\(dataDirectory)/server.crt")
    try FileBytes.write(
      FileBytes.text(of: tls.key), to: "\(dataDirectory)/server.key", mode: 0o600)
    if let authority = tls.clientAuthority {
      try FileBytes.write(FileBytes.text(of: authority), to: "\(dataDirectory)/root.crt")
    }
    if let owner = programs.owner {
      try Subprocess.check("chown", [owner, "\(dataDirectory)/server.key"])
    }
  }
}
