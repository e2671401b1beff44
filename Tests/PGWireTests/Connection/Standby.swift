import Glibc
import Support

/// A hot standby of a server, made by pg_basebackup; it is killed with the object.
final class Standby: Sendable {
  let port: Int
  private let directory: TemporaryDirectory
  private let process: Subprocess

  init(of primary: PostgresServer) throws {
    port = try FreePort.take()
    directory = try TemporaryDirectory("standby", owner: geteuid() == 0 ? "postgres" : nil)
    let data = directory.file("data")
    let backup = Self.line(
      primary.program("pg_basebackup"),
      [
        "-h", primary.socketDirectory, "-p", "\(primary.port)", "-U", "postgres", "-D", data, "-R",
        "-X", "stream", "-c", "fast",
      ])
    try Subprocess.check(backup.program, backup.arguments)
    let server = Self.line(
      primary.program("postgres"), ["-D", data, "-p", "\(port)", "-k", directory.path])
    process = try Subprocess(server.program, server.arguments)
    let ready = [
      "-h", directory.path, "-p", "\(port)", "-U", "postgres", "-d", "postgres", "-q",
    ]
    let program = primary.program("pg_isready")
    try eventually("a standby") {
      try Subprocess.run(program, ready).termination == .exited(0)
    }
  }

  /// Servers do not run as root.
  private static func line(
    _ program: String, _ arguments: [String]
  ) -> (program: String, arguments: [String]) {
    geteuid() == 0
      ? ("runuser", ["-u", "postgres", "--", program] + arguments) : (program, arguments)
  }
}
