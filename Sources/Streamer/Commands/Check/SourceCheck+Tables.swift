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
    /// Generated columns that are not published.
    let unpublished: String?
    /// What of the table's key is not published.
    let keyLeftOut: String?
    /// Whether the publication's column list leaves it out, so that the server refuses updates and
    /// deletes unless the whole row is the identity; else it is generated.
    let isKeyUnlisted: Bool
    /// Partitions that are published as this table and whose identity is not the whole row.
    let partialPartitions: String?
    /// Why the server refuses updates and deletes; nil when it takes them.
    let refusal: String?
    let isRoot: Bool
    /// Whether only some of its rows are published.
    let isFiltered: Bool

    init?(row: [String?]) {
      guard row.count == 12, let schema = row[0], let name = row[1],
        let identity = row[2]?.utf8.first.flatMap(Relation.ReplicaIdentity.init(rawValue:))
      else { return nil }
      self.schema = schema
      self.name = name
      self.identity = identity
      hasPrimaryKey = row[3] == "t"
      hasLargeValues = row[4] == "t"
      unpublished = row[5]
      keyLeftOut = row[6]
      partialPartitions = row[7]
      refusal = row[8]
      isRoot = row[9] == "t"
      isFiltered = row[10] == "t"
      isKeyUnlisted = row[11] == "t"
    }

    var qualifiedName: String { "\(schema).\(name)" }
  }

  /// Examines the publication and what it covers; gives the tables.
  func examinePublication(
    _ connection: inout Connection, _ report: inout CheckReport
  ) throws(PGError) -> [(schema: String, name: String)] {
    let literal = ReplicationCommand.literal(source.publication)
    let publication = ReplicationCommand.pasted(source.publication)
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
    var isWhole = true
    let tables = try PostgresSession.measuring { (detail) throws(PGError) in
      isWhole = detail == .measured
      let sql = Self.tablesQuery(literal, connection.serverVersion.major, isWhole: isWhole)
      return try connection.query(PostgresSession.impatient + sql, timeout: Self.patience)
        .last?.rows ?? []
    }.compactMap(PublishedTable.init(row:))
    if !isWhole {
      report.add(
        .init(
          "locks", target, .warn,
          "somebody holds a lock on a published table: row filters and partitions were not looked at",
          "Ask again when it is free: SELECT * FROM pg_locks WHERE mode = 'AccessExclusiveLock'."))
    }
    let names = zip(["insert", "update", "delete", "truncate"], kinds)
    let left = names.filter { $0.1 != "t" }.map(\.0)
    let list = Self.list(tables.map(\.qualifiedName))
    let found =
      "\"\(source.publication)\" covers \(CheckReport.count(tables.count, "table"))\(list)"
    if !left.isEmpty {
      report.add(
        .init(
          "publication", target, .warn, "\(found); without \(left.joined(separator: ", "))",
          "ALTER PUBLICATION \(publication) SET (publish = 'insert, update, delete, truncate') for all."
        ))
    } else {
      report.add(
        .init(
          "publication", target, tables.isEmpty ? .warn : .ok, found,
          tables.isEmpty ? "ALTER PUBLICATION \(publication) ADD TABLE …" : nil))
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
      "\(Publication.suggestion(source.publication)); or set createPublication = true.")
  }

  /// The tables with what is to be known of them; what needs their locks only when all is asked for.
  private static func tablesQuery(_ publication: String, _ major: Int, isWhole: Bool) -> String {
    let column =
      "pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"
    // From 15 on the server itself says which columns it publishes, and from 18 on generated ones may be.
    let isLeftOut = "AND NOT a.attname = ANY (p.attnames)"
    let generated =
      major >= 12
      ? "(SELECT string_agg(a.attname, ', ') FROM \(column) AND a.attgenerated <> '' "
        + "\(major >= 18 ? isLeftOut : ""))"
      : "NULL"
    let ofKey =
      "AND EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND i.indislive "
      + "AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1]) AND CASE c.relreplident "
      + "WHEN 'i' THEN i.indisreplident ELSE i.indisprimary AND i.indimmediate END)"
    // Before 17 the server names generated columns too, which it does not publish.
    let isUnsent =
      switch major {
      case 18...: isLeftOut
      case 15...: "AND (NOT a.attname = ANY (p.attnames) OR a.attgenerated <> '')"
      default: "AND a.attgenerated <> ''"
      }
    let key =
      major >= 12
      ? "(SELECT string_agg(a.attname, ', ') FROM \(column) \(isUnsent) \(ofKey))" : "NULL"
    let isKeyUnlisted =
      major >= 15
      ? "EXISTS (SELECT FROM \(column) \(isLeftOut) AND a.attgenerated = '' \(ofKey))" : "false"
    let partitions =
      major >= 13 && isWhole
      ? "(SELECT string_agg(l.oid::regclass::text, ', ' ORDER BY l.oid) "
        + "FROM pg_catalog.pg_partition_tree(c.oid) t JOIN pg_catalog.pg_class l ON l.oid = t.relid "
        + "WHERE c.relkind = 'p' AND c.relreplident = 'f' AND t.isleaf AND l.relkind = 'r' "
        + "AND l.relreplident <> 'f')"
      : "NULL"
    let refusal =
      major >= 18
      ? "CASE WHEN c.relreplident = 'f' AND EXISTS (SELECT FROM \(column) AND a.attgenerated = 'v') "
        + "THEN 'the whole row is its identity, and it has virtual generated columns' "
        + "WHEN EXISTS (SELECT FROM \(column) AND a.attgenerated <> '' "
        + "AND NOT a.attname = ANY (p.attnames) AND EXISTS (SELECT FROM pg_catalog.pg_index i "
        + "WHERE i.indrelid = c.oid AND a.attnum = ANY (i.indkey) AND CASE c.relreplident "
        + "WHEN 'd' THEN i.indisprimary WHEN 'i' THEN i.indisreplident ELSE false END)) "
        + "THEN 'its identity has a generated column that is not published' END"
      : "NULL"
    return """
      SELECT n.nspname, c.relname, c.relreplident, EXISTS (SELECT FROM pg_catalog.pg_index i \
      WHERE i.indrelid = c.oid AND i.indisprimary AND i.indimmediate), \
      EXISTS (SELECT FROM \(column) AND a.attstorage IN ('x', 'e')), \(generated), \
      \(key), \(partitions), \(refusal), c.relkind = 'p', \
      \(major >= 15 && isWhole ? "p.rowfilter IS NOT NULL" : "false"), \(isKeyUnlisted) \
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
      findings += columns(of: table, changesRows: changesRows)
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
    let roots = tables.count(where: \.isRoot)
    if roots > 0 {
      report.add(
        .init(
          "partitions", target, .ok,
          "\(CheckReport.count(roots, "table")) published as the root of partitions: TRUNCATE, ATTACH "
            + "and DETACH of one partition send no event (docs/LIMITS.md)"))
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
    case _ where table.keyLeftOut != nil:
      let refused =
        changesRows && table.identity != .nothing && table.isKeyUnlisted
        ? ", and the server refuses updates and deletes on it" : ""
      return warn(
        "the publication's columns leave out \(table.keyLeftOut ?? "") of the key: "
          + "records have no key\(refused)",
        table.isKeyUnlisted
          ? "ALTER PUBLICATION … SET TABLE … with the key's columns in the list."
          : "Generated columns are published from PostgreSQL 18 on, with publish_generated_columns = "
            + "stored; before that a key without them is needed.")
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

  /// What of a table's columns its readers do not get, and what the server refuses for them.
  private func columns(of table: PublishedTable, changesRows: Bool) -> [CheckFinding] {
    var findings: [CheckFinding] = []
    func warn(_ check: String, _ found: String, _ remedy: String) {
      findings.append(
        CheckFinding(check, "table \(table.qualifiedName)", .warn, found, remedy))
    }
    if let columns = table.unpublished {
      warn(
        "generated columns", "not published: \(columns)",
        "Compute them again where the events are read; from PostgreSQL 18 on, stored ones with "
          + "publish_generated_columns = stored.")
    }
    if table.isFiltered {
      findings.append(
        CheckFinding(
          "row filter", "table \(table.qualifiedName)", .ok,
          "only some rows are published: updates that take one in or out are inserts and deletes "
            + "(docs/LIMITS.md)"))
    }
    if changesRows, let refusal = table.refusal {
      warn(
        "replica identity", "the server refuses updates and deletes on it: \(refusal)",
        "ALTER TABLE … REPLICA IDENTITY DEFAULT, or publish the generated columns of the key.")
    }
    if changesRows, let partitions = table.partialPartitions {
      warn(
        "replica identity",
        "whole rows, but not those of \(partitions): their old rows hold the key only",
        "ALTER TABLE … REPLICA IDENTITY FULL for each partition, as for the root.")
    }
    return findings
  }

  /// ": a, b, c" with ten names at most.
  private static func list(_ names: [String]) -> String {
    guard !names.isEmpty else { return "" }
    let more = names.count > 10 ? ", … (\(names.count - 10) more)" : ""
    return ": " + names.prefix(10).joined(separator: ", ") + more
  }
}
