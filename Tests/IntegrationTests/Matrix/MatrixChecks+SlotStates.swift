import PGWire
import Support

extension MatrixChecks {
  static let slotStates: [MatrixCheck] = [
    columns("wal_status, safe_wal_size", .slotWALStatus),
    MatrixCheck(.slots, "pg_replication_slots: two_phase", since: 14) { server in
      try server.seen { try server.sql("SELECT two_phase FROM pg_replication_slots") }
    }.imitable,
    columns("conflicting", .slotsOnStandbys),
    columns("failover, synced, inactive_since, invalidation_reason", .invalidationReason),
    MatrixCheck(
      .slots,
      "Errors: 42710 exists, 42602 name, 42704 missing, 58P01 or 42501 plugin, 55006 active, 55000 database"
    ) { server in
      var seen = try server.withSlot("taken") { try errors(server) }
      // Minor versions since 2026 let only listed libraries be plugins.
      if seen[3] == "42501" { seen[3] = "58P01" }
      let expected = ["42710", "42602", "42704", "58P01", "55006", "55000", "55000"]
      return seen == expected ? .works() : .absent(seen.joined(separator: ", "))
    },
    MatrixCheck(.slots, "No slot free is 53400") { server in
      let create = "CREATE_REPLICATION_SLOT"
      var names: [String] = []
      defer {
        for name in names { _ = try? server.command(ReplicationCommand.dropSlot(name)) }
      }
      for number in 0..<40 {
        let name = "many_\(number)"
        let code = try server.refusal {
          try server.command("\(create) \(name) LOGICAL pgoutput NOEXPORT_SNAPSHOT")
        }
        guard let code else {
          names.append(name)
          continue
        }
        return code == "53400" ? .works() : .absent(code)
      }
      return .absent("there is always one more")
    },
    MatrixCheck(
      .slots, "Invalidated for max_slot_wal_keep_size: 55000 at the start", .slotWALStatus
    ) { server in
      let name = "lagging"
      guard ServerFeature.slotWALStatus.isAvailable(on: server.version) else {
        return try server.seen { try server.sql("SHOW max_slot_wal_keep_size") }
      }
      try server.command(ReplicationCommand.createSlot(name, serverVersion: server.version.number))
      defer { _ = try? server.command(ReplicationCommand.dropSlot(name)) }
      try server.sql("ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'")
      try server.postgres.reload()
      defer {
        _ = try? server.sql("ALTER SYSTEM RESET max_slot_wal_keep_size")
        _ = try? server.postgres.reload()
      }
      try server.sql("CREATE TABLE written (id int)")
      try eventually("the slot's invalidation") {
        for _ in 0..<3 {
          try server.sql("INSERT INTO written VALUES (1)")
          try server.sql("SELECT pg_switch_wal()")
        }
        try server.sql("CHECKPOINT")
        return try server.slot(name)?.health == .lost(.walRemoved)
      }
      return try startRefused(server, name)
    },
    MatrixCheck(.slots, "Invalidated by idle_replication_slot_timeout", since: 18) { server in
      let name = "idle"
      let code = try server.refusal {
        try server.sql("ALTER SYSTEM SET idle_replication_slot_timeout = '1s'")
      }
      if let code { return .refused(code) }
      try server.command(ReplicationCommand.createSlot(name, serverVersion: server.version.number))
      defer { _ = try? server.command(ReplicationCommand.dropSlot(name)) }
      try server.postgres.reload()
      defer {
        _ = try? server.sql("ALTER SYSTEM RESET idle_replication_slot_timeout")
        _ = try? server.postgres.reload()
      }
      try eventually("the slot's invalidation") {
        try server.sql("CHECKPOINT")
        return try server.slot(name)?.health == .lost(.idleTimeout)
      }
      return try startRefused(server, name)
    },
  ]

  /// What starting from an invalidated slot is answered with, in the version's own words.
  private static func startRefused(_ server: MatrixServer, _ name: String) throws -> Seen {
    let error = try server.serverError {
      var connection = try server.open()
      try connection.startCopyBoth(
        ReplicationCommand.start(
          slot: name, at: .zero,
          PgOutputOptions(publications: ["none"]).supported(by: server.version)))
    }
    guard let error else { return .absent("it can be read") }
    guard error.code == "55000" else { return .absent(error.code) }
    return .works("“\(error.message.prefix { $0 != "\"" })…”")
  }

  private static func columns(_ names: String, _ feature: ServerFeature) -> MatrixCheck {
    MatrixCheck(.slots, "pg_replication_slots: \(names)", feature) { server in
      try server.seen { try server.sql("SELECT \(names) FROM pg_replication_slots") }
    }.imitable
  }

  /// The SQLSTATEs of the usual mistakes; the slot `taken` exists.
  private static func errors(_ server: MatrixServer) throws -> [String] {
    func code(_ body: () throws -> Void) throws -> String {
      try server.refusal(body) ?? "none"
    }
    func start(_ connection: inout Connection) throws(PGError) {
      try connection.startCopyBoth(
        ReplicationCommand.start(
          slot: "taken", at: .zero,
          PgOutputOptions(publications: ["none"]).supported(by: server.version)))
    }
    let create = "CREATE_REPLICATION_SLOT"
    var codes = [
      try code { try server.command("\(create) taken LOGICAL pgoutput NOEXPORT_SNAPSHOT") },
      try code { try server.command("\(create) \"Bad Name\" LOGICAL pgoutput") },
      try code { try server.command(ReplicationCommand.dropSlot("missing")) },
      try code { try server.command("\(create) other LOGICAL none NOEXPORT_SNAPSHOT") },
    ]
    var reader = try server.open()
    try start(&reader)
    codes.append(
      try code {
        var second = try server.open()
        try start(&second)
      })
    let stream = ReplicationStream(reader)
    stream.close()
    try eventually("the slot's release") { try server.slot("taken")?.activePID == nil }
    try server.sql("CREATE DATABASE elsewhere")
    codes.append(
      try code {
        var connection = try server.open(database: "elsewhere")
        try start(&connection)
      })
    codes.append(
      try code {
        let parameters = try MatrixServer.parameters(server.postgres.dsn())
        var connection = try Connection.open(parameters, startup: [("replication", "true")])
        try start(&connection)
      })
    return codes
  }
}
