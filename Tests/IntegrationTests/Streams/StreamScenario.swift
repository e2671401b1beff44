import Glibc
import Support

/// Several streamers that read the same transactions from one server by different protocols, each
/// into a file of its own: what they write is compared byte by byte.
final class StreamScenario: Sendable {
  /// One streamer: its lines in the source's table.
  struct Reader: Sendable {
    let name: String
    let lines: [String]
    let process: Subprocess
    let output: String
  }

  let postgres: PostgresServer
  let directory: TemporaryDirectory
  let readers: [Reader]

  /// Starts a server that streams what takes more than 64 kB, and the streamers.
  ///
  /// - Throws: `SupportError` when one of them does not start.
  init(version: Int?, tables: String, readers lines: [(name: String, lines: [String])]) throws {
    let postgres = try PostgresServer(
      settings: ["logical_decoding_work_mem": "64kB", "max_prepared_transactions": "20"],
      version: version)
    self.postgres = postgres
    let directory = try TemporaryDirectory("streams")
    self.directory = directory
    try postgres.psql("CREATE PUBLICATION everything FOR ALL TABLES; \(tables)")
    readers = try lines.map { name, lines in
      let output = directory.file("\(name).ndjson")
      let file = directory.file("\(name).toml")
      try FileBytes.write(
        """
        store = "\(directory.file(name)).sqlite"
        http = "127.0.0.1:\(try FreePort.take())"
        shutdownTimeout = "60s"
        [source.pg]
        type = "postgres"
        dsn = "\(postgres.dsn())"
        publication = "everything"
        replicationSlot = "\(name)"
        debug = true
        startRetryInterval = "100ms"
        \(lines.joined(separator: "\n"))
        [sink.out]
        type = "file"
        sources = ["pg"]
        path = "\(output)"
        """, to: file)
      return Reader(
        name: name, lines: lines,
        process: try Subprocess(Binary.psqlStreamer, ["run", "--config", file]),
        output: output)
    }
    try eventually(within: .seconds(60), "all slots in use") {
      for reader in self.readers { try Scenario.requireAlive(reader.process) }
      return try activeSlots() == readers.count
    }
  }

  private func activeSlots() throws -> Int { try postgres.readSlots() }

  /// Waits until every slot has confirmed all that was written, stops the streamers, and gives what
  /// each wrote, in the readers' order.
  func finish() throws -> [String] {
    let target = try postgres.psql("SELECT pg_current_wal_lsn()")
    try eventually(within: .seconds(120), "the confirmation of \(target)") {
      for reader in readers { try Scenario.requireAlive(reader.process) }
      return try postgres.psql(
        """
        SELECT count(*) FROM pg_replication_slots WHERE confirmed_flush_lsn >= '\(target)'
        """) == "\(readers.count)"
    }
    return try readers.map { reader in
      reader.process.send(SIGTERM)
      guard try reader.process.wait(within: .seconds(60)) == .exited(0) else {
        throw SupportError("\(reader.name):\n\(reader.process.standardError.suffix(3_000))")
      }
      return try FileBytes.text(of: reader.output)
    }
  }

  /// How many transactions a reader has read from what it had kept.
  func streamed(_ name: String) -> Int { count("a streamed transaction has been read", name) }

  /// How often a text stands in a reader's log.
  func count(_ text: String, _ name: String) -> Int {
    let log = readers.first { $0.name == name }?.process.standardError ?? ""
    return log.split(separator: "\n").count { $0.contains(text) }
  }
}

extension String {
  /// Where two outputs differ first, for a failure's text; nil when they are the same.
  func firstDifference(from other: String) -> String? {
    if self == other { return nil }
    let (mine, theirs) = (split(separator: "\n"), other.split(separator: "\n"))
    for (number, (one, two)) in zip(mine, theirs).enumerated() where one != two {
      return "line \(number + 1):\n\(one.prefix(400))\n\(two.prefix(400))"
    }
    return "\(mine.count) lines and \(theirs.count)"
  }
}
