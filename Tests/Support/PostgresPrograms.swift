import Glibc
import Synchronization

/// The programs of one PostgreSQL version, and the user they may run as.
public struct PostgresPrograms: Sendable {
  let directory: String

  /// The folder of each major version's programs that this machine has.
  ///
  /// The distribution's own in /usr/lib/postgresql, and those that `Scripts/servers` put below
  /// .build/servers or the folder that `PSQL_STREAMER_SERVERS` names.
  public static let installed: [Int: String] = {
    let servers = TestEnvironment["PSQL_STREAMER_SERVERS"] ?? "\(Binary.project)/.build/servers"
    var found: [Int: String] = [:]
    for version in 10...30 {
      let places = ["/usr/lib/postgresql/\(version)/bin", "\(servers)/\(version)/bin"]
      found[version] = places.first { FileBytes.exists("\($0)/initdb") }
    }
    return found
  }()

  /// Those of one major version.
  ///
  /// - Throws: `SupportError` when this machine does not have it.
  static func of(version: Int) throws -> PostgresPrograms {
    guard let directory = installed[version] else {
      throw SupportError("no PostgreSQL \(version): run make servers")
    }
    return PostgresPrograms(directory: directory)
  }

  /// The newest version below /usr/lib/postgresql, or the one in `PG_BIN`.
  static func found() throws -> PostgresPrograms {
    guard let directory = search() else {
      throw SupportError(
        "no PostgreSQL: install the package postgresql, or let PG_BIN name the folder of initdb")
    }
    return PostgresPrograms(directory: directory)
  }

  /// The folder, nil when there is none.
  static func search() -> String? {
    if let named = TestEnvironment["PG_BIN"] { return named }
    let versions = stride(from: 30, through: 10, by: -1)
    return versions.lazy.map { "/usr/lib/postgresql/\($0)/bin" }
      .first { FileBytes.exists("\($0)/initdb") }
  }

  /// Servers refuse to run as root: then they run as `postgres`.
  var owner: String? { geteuid() == 0 ? "postgres" : nil }

  func path(_ name: String) -> String { "\(directory)/\(name)" }

  /// Runs one as the user who may.
  func run(_ name: String, _ arguments: [String]) throws -> Subprocess.Output {
    let line = [path(name)] + arguments
    guard let owner else {
      return try Subprocess.run(line[0], arguments, within: .seconds(180))
    }
    return try Subprocess.run("runuser", ["-u", owner, "--"] + line, within: .seconds(180))
  }

  /// Starts one as the user who may.
  func start(_ name: String, _ arguments: [String]) throws -> Subprocess {
    guard let owner else { return try Subprocess(path(name), arguments) }
    return try Subprocess("runuser", ["-u", owner, "--", path(name)] + arguments)
  }

  /// A data directory as initdb makes it; the usual one is made once and then copied.
  func makeDataDirectory(_ path: String, initdb: [String]) throws {
    let arguments = ["--no-sync", "--username=postgres", "--auth=trust", "--locale=C"]
    guard initdb.isEmpty else {
      try check("initdb", arguments + initdb + ["-D", path])
      return
    }
    let template = try Self.templates.withLock { made throws -> TemporaryDirectory in
      if let known = made[directory] { return known }
      let fresh = try TemporaryDirectory("template", owner: owner)
      try check("initdb", arguments + ["--encoding=UTF8", "-D", fresh.file("data")])
      made[directory] = fresh
      return fresh
    }
    try Subprocess.check("cp", ["-a", "--reflink=auto", template.file("data"), path])
  }

  private func check(_ name: String, _ arguments: [String]) throws {
    let output = try run(name, arguments)
    guard output.termination == .exited(0) else {
      throw SupportError("\(name): \(output.standardOutput)\(output.standardError)")
    }
  }

  private static let templates = Mutex<[String: TemporaryDirectory]>([:])
}

/// Ports that are free now.
public enum FreePort {
  private static let taken = Mutex<Set<Int>>([])

  /// A port on 127.0.0.1 that nobody listens on and that this process did not give out before.
  ///
  /// - Throws: `SupportError` when the kernel has none.
  public static func take() throws -> Int {
    for _ in 0..<100 {
      let port = try probe()
      if taken.withLock({ $0.insert(port).inserted }) { return port }
    }
    throw SupportError("no free port")
  }

  private static func probe() throws -> Int {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    guard descriptor >= 0 else { throw SupportError("no socket: \(lastError())") }
    defer { close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    // SAFETY: sockaddr_in is what the kernel expects behind the sockaddr pointer of AF_INET.
    let result = unsafe withUnsafeMutablePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { general in
        guard unsafe bind(descriptor, general, length) == 0 else { return false }
        return unsafe getsockname(descriptor, general, &length) == 0
      }
    }
    guard result else { throw SupportError("no free port: \(lastError())") }
    return Int(UInt16(bigEndian: address.sin_port))
  }
}
