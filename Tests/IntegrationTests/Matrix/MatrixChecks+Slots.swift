import PGWire
import Support

extension MatrixChecks {
  static let slots: [MatrixCheck] = [
    MatrixCheck(.slots, "Created by the words of the old grammar") { server in
      try server.seen {
        try server.command("CREATE_REPLICATION_SLOT words LOGICAL pgoutput NOEXPORT_SNAPSHOT")
        try server.command(ReplicationCommand.dropSlot("words"))
      }
    }.imitable,
    MatrixCheck(.slots, "Created with options in parentheses", .slotOptionList) { server in
      try server.seen {
        try server.command(
          ReplicationCommand.createSlot("parentheses", serverVersion: 99_00_00))
        try server.command(ReplicationCommand.dropSlot("parentheses"))
      }
    }.imitable,
    MatrixCheck(.slots, "Created as the program does, dropped with and without WAIT") { server in
      for wait in [false, true] {
        let created = try server.command(
          ReplicationCommand.createSlot("plain", serverVersion: server.version.number))
        guard created.first?[first: "consistent_point"].flatMap({ LSN($0) }) != nil,
          try server.slot("plain")?.health == .usable
        else { throw SupportError("the new slot cannot be used") }
        let dropped = try server.command(ReplicationCommand.dropSlot("plain", wait: wait))
        let tags = dropped.map(\.commandTag)
        // Before 13 the command is completed twice.
        let older = ["DROP_REPLICATION_SLOT", "SELECT"]
        guard tags == (server.major < 13 ? older : ["DROP_REPLICATION_SLOT"]) else {
          return .absent("completed by \(tags.joined(separator: " and "))")
        }
      }
      return .works(server.major < 13 ? "DROP completes twice" : "")
    }.imitable,
    MatrixCheck(.slots, "Temporary: gone with the connection, and after any error") { server in
      var connection = try server.open()
      let create = try ReplicationCommand.createSlot(
        "brief", temporary: true, serverVersion: server.version.number)
      _ = try connection.query(create)
      guard try server.slot("brief") != nil else { throw SupportError("no temporary slot") }
      _ = try server.refusal { _ = try connection.query("DROP_REPLICATION_SLOT missing") }
      guard try server.slot("brief") == nil else { return .absent("an error leaves it") }
      _ = try connection.query(create)
      connection.close()
      try eventually("the end of the temporary slot") { try server.slot("brief") == nil }
      return .works()
    },
    MatrixCheck(.slots, "Snapshot exported to another session") { server in
      try server.sql("CREATE TABLE exported (id int)")
      var connection = try server.open()
      let created = try connection.query(
        ReplicationCommand.createSlot(
          "exporting", temporary: true, snapshot: .export, serverVersion: server.version.number))
      try server.sql("INSERT INTO exported VALUES (1)")
      let name = ReplicationCommand.literal(created.first?[first: "snapshot_name"] ?? "")
      var other = try server.open(replication: false)
      _ = try other.query("BEGIN ISOLATION LEVEL REPEATABLE READ")
      _ = try other.query("SET TRANSACTION SNAPSHOT \(name)")
      let rows = try other.query("SELECT count(*) FROM exported")[0].rows
      other.close()
      connection.close()
      return rows == [["0"]] ? .works() : .absent("it shows what came later")
    },
    MatrixCheck(.slots, "Snapshot used by the transaction that creates the slot") { server in
      try server.sql("CREATE TABLE used (id int)")
      var connection = try server.open()
      _ = try connection.query("BEGIN READ ONLY ISOLATION LEVEL REPEATABLE READ")
      _ = try connection.query(
        ReplicationCommand.createSlot(
          "using", temporary: true, snapshot: .use, serverVersion: server.version.number))
      try server.sql("INSERT INTO used VALUES (1)")
      let rows = try connection.query("SELECT count(*) FROM used")[0].rows
      connection.close()
      return rows == [["0"]] ? .works() : .absent("it shows what came later")
    },
    MatrixCheck(.slots, "TWO_PHASE", .twoPhase) { server in
      try server.gated(
        { version throws(PGError) in
          try ReplicationCommand.createSlot("prepared", twoPhase: true, serverVersion: version)
        },
        { command in
          try server.command(command)
          defer { _ = try? server.command(ReplicationCommand.dropSlot("prepared")) }
          guard try server.slot("prepared")?.isTwoPhase == true else {
            throw SupportError("the slot is not two-phase")
          }
        })
    }.imitable,
    MatrixCheck(.slots, "FAILOVER", .failoverSlots) { server in
      try server.gated(
        { version throws(PGError) in
          try ReplicationCommand.createSlot("standing", failover: true, serverVersion: version)
        },
        { command in
          try server.command(command)
          defer { _ = try? server.command(ReplicationCommand.dropSlot("standing")) }
          guard try server.slot("standing")?.isFailover == true else {
            throw SupportError("the slot is not for failover")
          }
        })
    }.imitable,
    MatrixCheck(.slots, "ALTER_REPLICATION_SLOT, FAILOVER", .failoverSlots) { server in
      try server.withSlot("altered") {
        try server.gated(
          { version throws(PGError) in
            try ReplicationCommand.alterSlot("altered", failover: true, serverVersion: version)
          },
          { command in
            try server.command(command)
            guard try server.slot("altered")?.isFailover == true else {
              throw SupportError("the slot was not altered")
            }
          })
      }
    }.imitable,
    MatrixCheck(.slots, "ALTER_REPLICATION_SLOT, TWO_PHASE", .alterTwoPhase) { server in
      try server.withSlot("switched") {
        try server.gated(
          { version throws(PGError) in
            try ReplicationCommand.alterSlot("switched", twoPhase: true, serverVersion: version)
          },
          { command in
            try server.command(command)
            guard try server.slot("switched")?.isTwoPhase == true else {
              throw SupportError("the slot was not altered")
            }
          })
      }
    }.imitable,
    MatrixCheck(.slots, "READ_REPLICATION_SLOT of a physical slot", .readSlot) { server in
      try server.sql("SELECT pg_create_physical_replication_slot('bare', true)")
      defer { _ = try? server.sql("SELECT pg_drop_replication_slot('bare')") }
      return try server.gated(
        { version throws(PGError) in
          try ReplicationCommand.readSlot("bare", serverVersion: version)
        },
        { command in
          guard try server.command(command).first?[first: "slot_type"] == "physical" else {
            throw SupportError("the slot was not read")
          }
        })
    },
  ]
}
