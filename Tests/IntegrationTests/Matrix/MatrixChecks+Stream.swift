import PGWire
import Support

extension MatrixChecks {
  static let stream: [MatrixCheck] = [
    proto(1, since: 10), proto(2, .streaming), proto(3, .twoPhase), proto(4, .parallelStreaming),
    MatrixCheck(.stream, "A protocol that the server lacks is 0A000") { server in
      let code = try server.refusal {
        try StreamTap.attempt(server, StreamTap.options("everything", version: 9))
      }
      return code == "0A000" ? .works() : .absent(code ?? "it is taken")
    }.imitable,
    MatrixCheck(.stream, "Logical messages", .logicalMessages) { server in
      try option(
        server, [("messages", "true")],
        "SELECT pg_logical_emit_message(true, 'note', 'hello')", tags: "BMC")
    },
    MatrixCheck(.stream, "Binary values", .binary) { server in
      try option(server, [("binary", "true")], "INSERT INTO things VALUES (7)", tags: "BRIC") {
        $0.messages("I").first.map { Array($0[8...]) } == [0x62, 0, 0, 0, 4, 0, 0, 0, 7]
      }
    },
    MatrixCheck(.stream, "Changes of a replication origin left out", .originFilter) { server in
      try server.sql("SELECT pg_replication_origin_create('elsewhere')")
      defer { _ = try? server.sql("SELECT pg_replication_origin_drop('elsewhere')") }
      return try option(
        server, [("origin", "none")],
        """
        SELECT pg_replication_origin_session_setup('elsewhere');
        INSERT INTO things VALUES (20);
        SELECT pg_replication_origin_session_reset();
        INSERT INTO things VALUES (21)
        """, tags: "BRIC")
    }.imitable,
    MatrixCheck(
      .stream, "Transactions without a published change are left out", .skipsEmptyTransactions
    ) { server in
      try things(server)
      try server.sql("CREATE TABLE IF NOT EXISTS private (id int)")
      var tap = try StreamTap(server, StreamTap.options("everything"))
      try server.sql("INSERT INTO private VALUES (1)")
      try server.sql("INSERT INTO things VALUES (30)")
      try tap.read("the published row") { $0.everyTag.hasSuffix("IC") }
      let tags = tap.everyTag
      tap.close()
      return tags == "BRIC" ? .works() : .absent(tags == "BCBRIC" ? "sent empty" : tags)
    }.imitable,
  ]

  static let transactions: [MatrixCheck] = [
    MatrixCheck(.stream, "Open transactions streamed", .streaming) { server in
      try large(server, [("streaming", "on")], version: 2, ending: "COMMIT", with: "c") { _ in
        true
      }
    },
    MatrixCheck(.stream, "Parallel streaming: an abort says where", .parallelStreaming) { server in
      try large(server, [("streaming", "parallel")], version: 4, ending: "ROLLBACK", with: "A") {
        $0.count == 1 + 4 + 4 + 8 + 8
      }
    },
    MatrixCheck(.stream, "Without it an abort has only its numbers", .streaming) { server in
      try large(server, [("streaming", "on")], version: 2, ending: "ROLLBACK", with: "A") {
        $0.count == 1 + 4 + 4
      }
    },
    MatrixCheck(.stream, "Prepared transactions", .twoPhase) { server in
      try things(server)
      let isThere = ServerFeature.twoPhase.isAvailable(on: server.version)
      let options = StreamTap.options(
        "everything", version: isThere ? 3 : server.major >= 14 ? 2 : 1, [("two_phase", "on")])
      let code = try server.refusal {
        try StreamTap.attempt(server, options, twoPhase: isThere)
      }
      if let code { return .refused(code) }
      var tap = try StreamTap(server, options, twoPhase: isThere)
      for statement in [
        "BEGIN; INSERT INTO things VALUES (40); PREPARE TRANSACTION 'one'",
        "COMMIT PREPARED 'one'",
        "BEGIN; INSERT INTO things VALUES (41); PREPARE TRANSACTION 'two'",
        "ROLLBACK PREPARED 'two'",
      ] { try server.postgres.psql(statement) }
      try tap.read("the end of the prepared transactions") { $0.tags.hasSuffix("r") }
      let (tags, error) = (tap.tags, tap.error)
      tap.close()
      if let error { return .refused(error.code) }
      return tags == "bRIPKbIPr" ? .works() : .absent(tags)
    }.imitable,
  ]

  private static func things(_ server: MatrixServer) throws {
    guard try server.sql("SELECT FROM pg_publication WHERE pubname = 'everything'").isEmpty else {
      return
    }
    try server.sql(
      """
      CREATE TABLE things (id int); ALTER TABLE things REPLICA IDENTITY FULL;
      CREATE PUBLICATION everything FOR TABLE things
      """)
  }

  private static func proto(_ version: Int, _ feature: ServerFeature) -> MatrixCheck {
    proto(version, since: feature.firstMajor)
  }

  private static func proto(_ version: Int, since: Int) -> MatrixCheck {
    MatrixCheck(.stream, "Protocol \(version)", since: since) { server in
      try things(server)
      return try server.seen {
        try StreamTap.attempt(server, StreamTap.options("everything", version: version))
      }
    }.imitable
  }

  /// What one more option of the plugin does to what `change` writes.
  private static func option(
    _ server: MatrixServer, _ more: [(name: String, value: String)], _ change: String,
    tags: String, also isAsExpected: (borrowing StreamTap) -> Bool = { _ in true }
  ) throws -> Seen {
    try things(server)
    let options = StreamTap.options("everything", more)
    if let code = try server.refusal({ try StreamTap.attempt(server, options) }) {
      return .refused(code)
    }
    var tap = try StreamTap(server, options)
    if change.contains("; ") || change.contains(";\n") {
      try server.postgres.psql(change)
    } else {
      try server.sql(change)
    }
    try tap.read("a transaction with \(more[0].name)") { $0.tags.hasSuffix("C") }
    let (seen, error, isRight) = (tap.tags, tap.error, isAsExpected(tap))
    tap.close()
    if let error { return .refused(error.code) }
    guard seen == tags else { return .absent(seen) }
    return isRight ? .works() : .absent("the messages hold something else")
  }

  /// A transaction that is larger than the server's memory for it.
  private static func large(
    _ server: MatrixServer, _ more: [(name: String, value: String)], version: Int,
    ending: String, with tag: Unicode.Scalar, _ isAsExpected: ([UInt8]) -> Bool
  ) throws -> Seen {
    try things(server)
    // The server checks the version first: what is asked is whether it knows the option.
    let known = [2: 14, 3: 15, 4: 16].filter { $0.value <= server.major }.keys.max() ?? 1
    let options = StreamTap.options("everything", version: min(version, known), more)
    if let code = try server.refusal({ try StreamTap.attempt(server, options) }) {
      return .refused(code)
    }
    var tap = try StreamTap(
      server, options, startup: [("logical_decoding_work_mem", "64kB")])
    let session = try server.postgres.session()
    try session.run("BEGIN; INSERT INTO things SELECT generate_series(1, 5000)")
    // What is not flushed is not decoded.
    try server.sql("CHECKPOINT")
    try tap.read("the beginning of the open transaction") { $0.tags.contains("E") }
    try session.run(ending)
    try tap.read("its end") { !$0.messages(tag).isEmpty }
    let (error, last) = (tap.error, tap.messages(tag).first ?? [])
    let first = tap.tags.first
    tap.close()
    session.close()
    if let error { return .refused(error.code) }
    return first == "S" && isAsExpected(last) ? .works() : .absent("\(last.count) bytes")
  }
}
