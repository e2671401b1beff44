import Glibc
import Support

/// A hot standby of a server, made by pg_basebackup.
final class Standby: Sendable {
  let port: Int
  private let directory: TemporaryDirectory
  private let primary: PostgresServer

  init(of primary: PostgresServer) throws {
    self.primary = primary
    port = try FreePort.take()
    directory = try TemporaryDirectory("standby", owner: geteuid() == 0 ? "postgres" : nil)
    try Self.run(
      primary.program("pg_basebackup"),
      [
        "-h", primary.socketDirectory, "-p", "\(primary.port)", "-U", "postgres", "-D",
        directory.file("data"), "-R", "-X", "stream", "-c", "fast",
      ])
    try Self.run(
      primary.program("pg_ctl"),
      [
        "-D", directory.file("data"), "-l", directory.file("log"), "-w", "-t", "60", "-o",
        "-p \(port) -k \(directory.path)", "start",
      ])
  }

  deinit {
    try? Self.run(
      primary.program("pg_ctl"), ["-D", directory.file("data"), "-m", "immediate", "-w", "stop"])
  }

  private static func run(_ program: String, _ arguments: [String]) throws {
    guard geteuid() == 0 else {
      try Subprocess.check(program, arguments)
      return
    }
    try Subprocess.check("runuser", ["-u", "postgres", "--", program] + arguments)
  }
}
