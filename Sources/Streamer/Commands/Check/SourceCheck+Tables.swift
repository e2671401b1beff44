import PGWire

extension SourceCheck {
  /// How many tables may have a finding of their own.
  private static let shownTables = 100

  /// A published table with what decides how useful its events are.
  private struct PublishedTable {
    let schema: String
    let name: String
    let identity: Relation.ReplicaIdentity
    let hasPrimaryKey: Bool
    let hasLargeValues: Bool
    let generated: String?

    init?(row: [String?]) {
      guard row.count == 6, let schema = row[0], let name = row[1],
        let identity = row[2]?.utf8.first.flatMap(Relation.ReplicaIdentity.init(rawValue:))
      else { return nil }
      self.schema = schema
      self.name = name
      self.identity = identity
      hasPrimaryKey = row[3] == "t"
      hasLargeValues = row[4] == "t"
      generated = row[5]
    }

    var qualifiedName: String { "\(schema).\(name)" }
  }

  /// Examines the publication and what it covers; gives the tables.
  func examinePublication(
    _ connection: inout Connection, _ report: inout CheckReport
  ) throws(PGError) -> [(schema: String, name: String)] {
    let literal = ReplicationCommand.literal(source.publication)
    let truncate = connection.serverVersion.major >= 11 ? "pubtruncate" : "true"
    let rows = try ask(
      &connection,
      """
      SELECT pubinsert, pubupdate, pubdelete, \(truncate) \
      FROM pg_catalog.pg_publication WHERE pubname = \(literal)
      """)
    guard let kinds = rows.first else {
      report.add(missingPublication)
      return []
    }
    let tables = try ask(&connection, Self.tablesQuery(literal, connection.serverVersion.major))
      .compactMap(PublishedTable.init(row:))
    let names = zip(["insert", "update", "delete", "truncate"], kinds)
    let left = names.filter { $0.1 != "t" }.map(\.0)
    let list = Self.list(tables.map(\.qualifiedName))
    let found =
      "\"\(source.publication)\" covers \(CheckReport.count(tables.count, "table"))\(list)"
    if !left.isEmpty {
      report.add(
        .init(
          "publication", target, .warn, "\(found); without \(left.joined(separator: ", "))",
          "ALTER PUBLICATION … SET (publish = 'insert, update, delete, truncate') for all."))
    } else {
      report.add(
        .init(
          "publication", target, tables.isEmpty ? .warn : .ok, found,
          tables.isEmpty ? "ALTER PUBLICATION \(source.publication) ADD TABLE …" : nil))
    }
    examine(tables, changesRows: kinds[1] == "t" || kinds[2] == "t", &report)
    return tables.map { ($0.schema, $0.name) }
  }

  private var missingPublication: CheckFinding {
    let found = "\"\(source.publication)\" does not exist"
    if source.createPublication {
      let of = source.tables.isEmpty ? "all tables" : source.tables.joined(separator: ", ")
      return CheckFinding("publication", target, .ok, "\(found); it will be created for \(of)")
    }
    return CheckFinding(
      "publication", target, .fail, found,
      "CREATE PUBLICATION \(ReplicationCommand.pasted(source.publication)) FOR ALL TABLES; or set "
        + "createPublication = true.")
  }

  private static func tablesQuery(_ publication: String, _ major: Int) -> String {
    let column =
      "pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"
    let generated =
      major >= 12
      ? "(SELECT string_agg(a.attname, ', ') FROM \(column) AND a.attgenerated <> '')" : "NULL"
    return """
      SELECT n.nspname, c.relname, c.relreplident, EXISTS (SELECT FROM pg_catalog.pg_index i \
      WHERE i.indrelid = c.oid AND i.indisprimary AND i.indimmediate), \
      EXISTS (SELECT FROM \(column) AND a.attstorage IN ('x', 'e')), \(generated) \
      FROM pg_catalog.pg_publication_tables p \
      JOIN pg_catalog.pg_namespace n ON n.nspname = p.schemaname \
      JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = p.tablename \
      WHERE p.pubname = \(publication) ORDER BY 1, 2
      """
  }

  /// Tables that want a person's eye have a finding each, the others share one.
  private func examine(
    _ tables: [PublishedTable], changesRows: Bool, _ report: inout CheckReport
  ) {
    var findings: [CheckFinding] = []
    for table in tables {
      if let identity = identity(of: table, changesRows: changesRows) { findings.append(identity) }
      if let generated = table.generated {
        findings.append(
          CheckFinding(
            "generated columns", "table \(table.qualifiedName)", .warn,
            "not published: \(generated)", "Compute them again where the events are read."))
      }
    }
    let keyed = tables.count { identity(of: $0, changesRows: changesRows) == nil }
    if keyed > 0 {
      report.add(
        .init(
          "replica identity", target, .ok,
          "\(CheckReport.count(keyed, "table")) with a key that events carry"))
    }
    for finding in findings.prefix(Self.shownTables) { report.add(finding) }
    if findings.count > Self.shownTables {
      report.add(
        .init("tables", target, .warn, "\(findings.count - Self.shownTables) more such findings"))
    }
    let large = tables.filter { $0.hasLargeValues && $0.identity != .full }
    guard changesRows, !large.isEmpty else { return }
    report.add(
      .init(
        "TOAST", target, .ok,
        "\(CheckReport.count(large.count, "table")) with large values that an update does not send again: the event "
          + "names them under Unchanged",
        "ALTER TABLE … REPLICA IDENTITY FULL where readers need whole rows."))
  }

  private func identity(of table: PublishedTable, changesRows: Bool) -> CheckFinding? {
    func warn(_ found: String, _ remedy: String) -> CheckFinding {
      CheckFinding("replica identity", "table \(table.qualifiedName)", .warn, found, remedy)
    }
    switch table.identity {
    case .index: return nil
    case .primaryKey where table.hasPrimaryKey: return nil
    case .primaryKey, .nothing:
      let why = table.identity == .nothing ? "replica identity nothing" : "no primary key"
      let refused = changesRows ? ", and the server refuses updates and deletes on it" : ""
      if table.identity == .nothing, table.hasPrimaryKey, !changesRows { return nil }
      return warn(
        table.hasPrimaryKey ? why + refused : "\(why): records have no key\(refused)",
        table.hasPrimaryKey
          ? "ALTER TABLE … REPLICA IDENTITY DEFAULT."
          : "Add a primary key, or ALTER TABLE … REPLICA IDENTITY FULL.")
    case .full where table.hasPrimaryKey: return nil
    case .full: return warn("whole rows, no primary key: records have no key", "Add a primary key.")
    }
  }

  /// ": a, b, c" with ten names at most.
  private static func list(_ names: [String]) -> String {
    guard !names.isEmpty else { return "" }
    let more = names.count > 10 ? ", … (\(names.count - 10) more)" : ""
    return ": " + names.prefix(10).joined(separator: ", ") + more
  }
}
