import PGWire
import Support

extension MatrixChecks {
  static let publications: [MatrixCheck] = [
    MatrixCheck(.publications, "TRUNCATE", .truncate) { server in
      try server.sql("CREATE TABLE emptied (id int PRIMARY KEY)")
      return try published(
        server, "CREATE PUBLICATION emptied FOR TABLE emptied WITH (publish = 'truncate')",
        "emptied", "INSERT INTO emptied VALUES (1); TRUNCATE emptied", tags: "BRTC")
    },
    MatrixCheck(.publications, "publish_via_partition_root", .partitionRoot) { server in
      try server.sql(
        """
        CREATE TABLE root (id int PRIMARY KEY) PARTITION BY RANGE (id);
        CREATE TABLE leaf PARTITION OF root FOR VALUES FROM (0) TO (100)
        """)
      return try published(
        server,
        "CREATE PUBLICATION root FOR TABLE root WITH (publish_via_partition_root = true)",
        "root", "INSERT INTO root VALUES (1)", tags: nil
      ) { tap, server in
        let oid = try server.sql("SELECT 'root'::regclass::oid")[0][0].flatMap { UInt32($0) } ?? 0
        return tap.messages("I").first.map { Array($0[1..<5]) } == bytes(oid)
      }
    },
    MatrixCheck(.publications, "Row filters: WHERE (…)", .rowFilters) { server in
      try server.sql("CREATE TABLE filtered (id int PRIMARY KEY)")
      return try published(
        server, "CREATE PUBLICATION filtered FOR TABLE filtered WHERE (id > 1)", "filtered",
        "INSERT INTO filtered VALUES (1), (2), (3)", tags: "BRIIC")
    },
    MatrixCheck(.publications, "Column lists", .columnLists) { server in
      try server.sql("CREATE TABLE narrow (id int PRIMARY KEY, secret text, shown text)")
      return try published(
        server, "CREATE PUBLICATION narrow FOR TABLE narrow (id, shown)", "narrow",
        "INSERT INTO narrow VALUES (1, 'a', 'b')", tags: "BRIC"
      ) { tap, _ in try columns(tap) == ["id", "shown"] }
    },
    MatrixCheck(.publications, "FOR TABLES IN SCHEMA", .schemaPublications) { server in
      try server.sql("CREATE SCHEMA shop; CREATE TABLE shop.orders (id int PRIMARY KEY)")
      return try published(
        server, "CREATE PUBLICATION shop FOR TABLES IN SCHEMA shop", "shop",
        "INSERT INTO shop.orders VALUES (1)", tags: "BRIC")
    },
    MatrixCheck(.publications, "Stored generated columns", .generatedColumns) { server in
      try server.sql(
        "CREATE TABLE computed (id int PRIMARY KEY, twice int GENERATED ALWAYS AS (id * 2) STORED)")
      return try published(
        server,
        """
        CREATE PUBLICATION computed FOR TABLE computed WITH (publish_generated_columns = stored)
        """, "computed", "INSERT INTO computed VALUES (1)", tags: "BRIC"
      ) { tap, _ in try columns(tap) == ["id", "twice"] }
    },
    MatrixCheck(.publications, "ALTER PUBLICATION reaches a stream that runs") { server in
      try server.sql(
        """
        CREATE TABLE early (id int PRIMARY KEY); CREATE TABLE late (id int PRIMARY KEY);
        CREATE PUBLICATION growing FOR TABLE early
        """)
      var tap = try StreamTap(server, StreamTap.options("growing"))
      for statement in [
        "INSERT INTO late VALUES (1)", "ALTER PUBLICATION growing ADD TABLE late",
        "INSERT INTO late VALUES (2)",
      ] { try server.sql(statement) }
      try tap.read("the row of the added table") { $0.tags.hasSuffix("C") }
      let (tags, error) = (tap.tags, tap.error)
      tap.close()
      return tags == "BRIC" ? .works() : .absent(error?.code ?? tags)
    },
    MatrixCheck(
      .publications, "A publication that is missing leaves the changes out, with a notice",
      since: 18
    ) { server in
      try server.sql("CREATE TABLE unheard (id int PRIMARY KEY)")
      var tap = try StreamTap(server, StreamTap.options("nowhere"))
      try server.sql("INSERT INTO unheard VALUES (1)")
      try tap.read("what the server says of the publication") { !$0.notices.isEmpty }
      let (error, notice) = (tap.error?.code, tap.notices.first?.code)
      tap.close()
      if let error { return .refused(error) }
      return .works(notice ?? "")
    },
  ]

  /// Creates a publication, streams what `change` does to it, and compares.
  static func published(
    _ server: MatrixServer, _ create: String, _ name: String, _ change: String, tags: String?,
    also isAsExpected: (borrowing StreamTap, MatrixServer) throws -> Bool = { _, _ in true }
  ) throws -> Seen {
    if let code = try server.refusal({ try server.sql(create) }) { return .refused(code) }
    var tap = try StreamTap(server, StreamTap.options(name))
    for statement in change.split(separator: "; ") { try server.sql(String(statement)) }
    try tap.read("a transaction of \(name)") { $0.tags.hasSuffix("C") }
    let (seen, error) = (tap.tags, tap.error)
    let isRight = try isAsExpected(tap, server)
    tap.close()
    if let error { return .refused(error.code) }
    guard tags == nil || seen == tags else { return .absent(seen) }
    return isRight ? .works() : .absent("the messages hold something else")
  }

  /// The columns of the first table that was described.
  private static func columns(_ tap: borrowing StreamTap) throws -> [String] {
    var decoder = PgOutputDecoder()
    guard let payload = tap.messages("R").first,
      case .relation(let relation) = try decoder.decode(unsafe payload.span.bytes)
    else { return [] }
    return relation.columns.map(\.name)
  }

  private static func bytes(_ value: UInt32) -> [UInt8] {
    (0..<4).map { UInt8(truncatingIfNeeded: value >> (24 - 8 * $0)) }
  }
}
