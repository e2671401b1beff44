import Glibc
import PGWire
import Support

extension MatrixChecks {
  static let service: [MatrixCheck] = [
    MatrixCheck(.service, "`check` finds nothing that `run` would refuse") { server in
      let service = try MatrixService(server, "checked")
      let output = try service.check()
      guard output.termination == .exited(0) else {
        throw SupportError(output.standardOutput + output.standardError)
      }
      return .works()
    },
    MatrixCheck(.service, "Rows streamed and confirmed, empty transactions confirmed") { server in
      let service = try MatrixService(server, "streamed")
      try server.sql("CREATE TABLE IF NOT EXISTS private (id int)")
      let streamer = try service.startStreaming()
      for id in 1...3 {
        try server.sql("INSERT INTO private VALUES (\(id))")
        try server.sql("INSERT INTO streamed VALUES (\(id))")
      }
      try service.waitForRows(3, streamer)
      let delivered = try server.slot(service.slot)?.confirmedFlushLSN ?? .zero
      try server.sql("INSERT INTO private VALUES (4)")
      try eventually("the confirmation of what holds no row") {
        try server.slot(service.slot)?.confirmedFlushLSN ?? .zero > delivered
      }
      try service.stop(streamer)
      return try service.rows() == [1, 2, 3] ? .works() : .absent("other rows")
    }.imitable,
    MatrixCheck(.service, "`failover = true`: an existing slot is altered", .failoverSlots) {
      server in
      let service = try MatrixService(server, "failing_over", source: ["failover = true"])
      try server.command(
        ReplicationCommand.createSlot(service.slot, serverVersion: server.version.number))
      guard ServerFeature.failoverSlots.isAvailable(on: server.version) else {
        let ended = try service.start()
        guard try ended.wait(within: .seconds(60)) == .exited(3),
          ended.standardError.contains("failover slots cannot be had")
        else { throw SupportError("not refused: \(ended.standardError)") }
        return .absent("refused before the start")
      }
      let streamer = try service.startStreaming()
      let isFailover = try server.slot(service.slot)?.isFailover
      try service.stop(streamer)
      return isFailover == true ? .works() : .absent("it was not altered")
    },
    MatrixCheck(.service, "An invalidated slot: the reason and the remedy", .slotWALStatus) {
      server in
      guard ServerFeature.slotWALStatus.isAvailable(on: server.version) else {
        return .absent("slots are not invalidated")
      }
      let service = try MatrixService(server, "lost")
      try server.command(
        ReplicationCommand.createSlot(service.slot, serverVersion: server.version.number))
      try server.sql("ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'")
      try server.postgres.reload()
      defer {
        _ = try? server.sql("ALTER SYSTEM RESET max_slot_wal_keep_size")
        _ = try? server.postgres.reload()
      }
      try eventually("the slot's invalidation") {
        for _ in 0..<3 {
          try server.sql("INSERT INTO lost VALUES ((SELECT count(*) FROM lost))")
          try server.sql("SELECT pg_switch_wal()")
        }
        try server.sql("CHECKPOINT")
        return try server.slot(service.slot)?.walStatus == "lost"
      }
      let output = try service.check()
      let ended = try service.start()
      let code = try ended.wait(within: .seconds(60))
      for text in [output.standardOutput, ended.standardError] {
        guard text.contains("was invalidated: the server has removed WAL"),
          text.contains("pg_drop_replication_slot"), text.contains("max_slot_wal_keep_size")
        else { throw SupportError("no reason or no remedy: \(text)") }
      }
      return output.termination == .exited(3) && code == .exited(3)
        ? .works() : .absent("ended with \(code)")
    },
    MatrixCheck(
      .service, "Each row once, over restarts of the program and a fast stop of the server"
    ) { server in
      let service = try MatrixService(server, "delivered")
      var streamer = try service.startStreaming()
      try service.insert(1...200)
      try service.waitForRows(200, streamer)
      try service.stop(streamer)
      try service.insert(201...300)
      streamer = try service.startStreaming()
      try service.waitForRows(300, streamer)
      // The server waits with its end until the program has confirmed everything.
      try server.postgres.restart(.fast)
      try service.insert(301...400)
      try service.waitForRows(400, streamer)
      try service.stop(streamer)
      let rows = try service.rows()
      return rows == Array(1...400) ? .works() : .absent("\(rows.count) rows for 400")
    },
  ]
}

/// The program between one table of a server and a file.
final class MatrixService {
  let slot: String
  private let server: MatrixServer
  private let table: String
  private let directory: TemporaryDirectory
  private let source: [String]
  private let dsn: String

  /// Makes the table and its publication, which has its name, unless they are there already.
  init(
    _ server: MatrixServer, _ table: String, source: [String] = [], isThere: Bool = false
  ) throws {
    self.server = server
    self.table = table
    self.source = source
    slot = "service_\(table)"
    dsn = server.dsn()
    directory = try TemporaryDirectory("matrix")
    guard !isThere else { return }
    try server.sql(
      "CREATE TABLE \(table) (id int PRIMARY KEY); CREATE PUBLICATION \(table) FOR TABLE \(table)")
  }

  deinit {
    _ = try? server.sql(
      "SELECT pg_drop_replication_slot('\(slot)') FROM pg_replication_slots "
        + "WHERE slot_name = '\(slot)'")
  }

  private func configuration(_ dsn: String?) throws -> String {
    let file = directory.file("psql-streamer.toml")
    try FileBytes.write(
      """
      store = "\(directory.file("positions.sqlite"))"
      http = "127.0.0.1:0"
      [source.pg]
      type = "postgres"
      dsn = "\(dsn ?? self.dsn)"
      publication = "\(table)"
      replicationSlot = "\(slot)"
      startRetryInterval = "100ms"
      \(source.joined(separator: "\n"))
      [sink.out]
      type = "file"
      sources = ["pg"]
      path = "\(directory.file("rows"))"
      """, to: file)
    return file
  }

  /// Runs `check`.
  func check(dsn: String? = nil) throws -> Subprocess.Output {
    try Subprocess.run(Binary.psqlStreamer, ["check", "--config", configuration(dsn)])
  }

  /// Starts the program.
  func start(dsn: String? = nil) throws -> Subprocess {
    try Subprocess(Binary.psqlStreamer, ["run", "--config", configuration(dsn)])
  }

  /// Starts the program and waits until it streams.
  func startStreaming() throws -> Subprocess {
    let streamer = try start()
    try eventually("the slot \(slot) in use") {
      try Scenario.requireAlive(streamer)
      return try server.slot(slot)?.activePID != nil
    }
    return streamer
  }

  /// SIGTERM, and a clean end.
  func stop(_ streamer: Subprocess) throws {
    streamer.send(SIGTERM)
    guard try streamer.wait(within: .seconds(60)) == .exited(0) else {
      throw SupportError("no clean end: \(streamer.standardError.suffix(1_000))")
    }
    try eventually("the slot's release") { try server.slot(slot)?.activePID == nil }
  }

  func insert(_ ids: ClosedRange<Int>) throws {
    try server.sql(
      "INSERT INTO \(table) SELECT generate_series(\(ids.lowerBound), \(ids.upperBound))")
  }

  func waitForRows(_ count: Int, _ streamer: Subprocess) throws {
    try eventually("\(count) rows in the file") {
      try Scenario.requireAlive(streamer)
      return try rows().count >= count
    }
  }

  /// The rows in the file, in its order.
  func rows() throws -> [Int] { try events().compactMap { $0["Columns"]?["id"]?.int } }

  /// The events in the file.
  func events() throws -> [JSON] {
    guard FileBytes.exists(directory.file("rows")) else { return [] }
    let lines = try FileBytes.text(of: directory.file("rows")).split(separator: "\n")
    return try lines.compactMap { line in
      guard line.hasSuffix("}") else { return nil }
      let record = try JSON(String(line))
      return record["value"] ?? record
    }
  }
}
