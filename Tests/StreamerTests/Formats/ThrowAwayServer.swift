import Foundation
import Glibc
import Support
import Testing

/// A PostgreSQL 15 of its own for a suite, in a new directory, reached over a Unix socket only.
final class ThrowAwayServer: Sendable {
  /// The server of the suite that runs.
  @TaskLocal static var current: ThrowAwayServer?

  static let binaries = "/usr/lib/postgresql/15/bin"
  static let isInstalled =
    !Requirement.isUnitRun
    && FileManager.default.isExecutableFile(atPath: binaries + "/initdb")
  static let missing: Comment = "PostgreSQL 15 is not installed (apt-get install postgresql)"

  struct Failure: Error, CustomStringConvertible {
    let description: String
  }

  /// The settings of the replication connection, so that psql shows what pgoutput sends.
  private static let settings = [
    "DateStyle=ISO,MDY", "IntervalStyle=postgres", "extra_float_digits=3", "bytea_output=hex",
    "TimeZone=UTC", "lc_monetary=C",
  ]

  let directory: String

  init() throws {
    directory = NSTemporaryDirectory() + "/psql-streamer-" + UUID().uuidString.prefix(8)
    try FileManager.default.createDirectory(
      atPath: directory, withIntermediateDirectories: true,
      attributes: [.posixPermissions: 0o700])
    if getuid() == 0 { try run("chown", ["postgres", directory]) }
    try asServer(
      "initdb",
      [
        "-D", directory + "/data", "-U", "postgres", "-A", "trust", "-E", "UTF8",
        "--locale=C.UTF-8", "--no-sync",
      ])
    try asServer(
      "pg_ctl",
      [
        "-D", directory + "/data", "-w", "-l", directory + "/log", "-o",
        "-k \(directory) -c listen_addresses= -c fsync=off", "start",
      ])
  }

  func stop() {
    try? asServer("pg_ctl", ["-D", directory + "/data", "-m", "immediate", "stop"])
    try? FileManager.default.removeItem(atPath: directory)
  }

  /// Runs SQL of which one statement gives rows, of so many columns.
  func rows(_ sql: String, columns: Int) throws -> [[String?]] {
    let file = directory + "-" + UUID().uuidString + ".sql"
    try sql.write(toFile: file, atomically: false, encoding: .utf8)
    defer { try? FileManager.default.removeItem(atPath: file) }
    let null = "\u{2400}null"
    let output = try run(
      Self.binaries + "/psql",
      [
        "-X", "-q", "-A", "-t", "-z", "-0", "-v", "ON_ERROR_STOP=1", "-P", "null=" + null,
        "-h", directory, "-U", "postgres", "-d", "postgres", "-f", file,
      ],
      environment: [
        "PGOPTIONS": Self.settings.map { "-c " + $0 }.joined(separator: " "),
        "PGCLIENTENCODING": "UTF8",
      ])
    // Each field ends with a zero byte.
    let fields = output.split(separator: "\0", omittingEmptySubsequences: false).dropLast()
      .map { $0 == null ? nil : String($0) }
    guard fields.count % columns == 0 else {
      throw Failure(description: "\(fields.count) fields do not make rows of \(columns)")
    }
    return stride(from: 0, to: fields.count, by: columns).map { Array(fields[$0..<$0 + columns]) }
  }

  private func asServer(_ program: String, _ arguments: [String]) throws {
    let path = Self.binaries + "/" + program
    if getuid() == 0 {
      try run("runuser", ["-u", "postgres", "--", path] + arguments)
    } else {
      try run(path, arguments)
    }
  }

  /// Runs a program to its end and gives what it wrote to its standard output.
  ///
  /// Output goes to files: the server that pg_ctl starts would keep a pipe open, and Foundation's
  /// Process waits for such a descendant too.
  @discardableResult
  private func run(
    _ program: String, _ arguments: [String], environment: [String: String] = [:]
  ) throws -> String {
    let output = directory + "-" + UUID().uuidString
    let errors = output + ".errors"
    defer {
      _ = unsafe unlink(output)
      _ = unsafe unlink(errors)
    }
    var actions = unsafe posix_spawn_file_actions_t()
    unsafe posix_spawn_file_actions_init(&actions)
    defer { _ = unsafe posix_spawn_file_actions_destroy(&actions) }
    let flags = O_WRONLY | O_CREAT | O_TRUNC
    unsafe posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    unsafe posix_spawn_file_actions_addopen(&actions, 1, output, flags, 0o600)
    unsafe posix_spawn_file_actions_addopen(&actions, 2, errors, flags, 0o600)
    let settings = environment.map { "\($0.key)=\($0.value)" }
    let words = ["env", "-C", "/"] + settings + [program] + arguments
    var strings = unsafe words.map { unsafe strdup($0) }
    unsafe strings.append(nil)
    defer { for index in unsafe strings.indices { unsafe free(strings[index]) } }
    var child: pid_t = 0
    guard unsafe posix_spawn(&child, "/usr/bin/env", &actions, nil, strings, environ) == 0 else {
      throw Failure(description: "\(program) does not start")
    }
    var status: Int32 = 0
    while unsafe waitpid(child, &status, 0) == -1, errno == EINTR {}
    guard status == 0 else {
      let text = try String(contentsOfFile: errors, encoding: .utf8)
      throw Failure(description: "\(program): \(text)")
    }
    return try String(contentsOfFile: output, encoding: .utf8)
  }
}

/// Starts a server before a suite's first test and stops it after the last one.
struct ThrowAwayServerTrait: SuiteTrait, TestScoping {
  func provideScope(
    for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
  ) async throws {
    let server = try ThrowAwayServer()
    defer { server.stop() }
    try await ThrowAwayServer.$current.withValue(server) { try await function() }
  }
}

extension Trait where Self == ThrowAwayServerTrait {
  /// A PostgreSQL 15 of the suite's own.
  static var throwAwayServer: ThrowAwayServerTrait { ThrowAwayServerTrait() }
}
