import PGWire

/// A table as it is known before its first row: what the rules of sinks are held against.
struct DescribedRelation: Sendable {
  /// The table.
  let relation: Relation
  /// The columns of its primary key, which count where the replica identity does not name a key.
  var key: [String] = []
  /// What is known of its columns' types.
  var types = TypeCatalog()

  /// Asks for the tables of a publication, with the types of their columns.
  static func read<Failure: Error>(
    publication: String, serverMajor: Int, _ ask: (String) throws(Failure) -> [[String?]]
  ) throws(Failure) -> [DescribedRelation] {
    var tables = all(try ask(query(publication: publication, serverMajor: serverMajor)))
    var types = TypeCatalog()
    let used = tables.flatMap { $0.relation.columns.map(\.type) }
    // A domain is over another type, which is asked for in its turn.
    for _ in 0..<Limits.whereDepth {
      let missing = types.missing(for: used)
      guard !missing.isEmpty else { break }
      let rows = try ask(TypeCatalogQuery.text(for: missing, serverMajor: serverMajor))
      guard let found = try? TypeCatalogQuery.descriptions(of: rows), !found.isEmpty else { break }
      types.learn(found)
    }
    for index in tables.indices { tables[index].types = types }
    return tables
  }

  /// Asks the catalog for the tables of a publication: a row for each column, in the tables' order.
  private static func query(publication: String, serverMajor: Int) -> String {
    """
    SELECT c.oid, n.nspname, c.relname, c.relreplident, a.attname, a.atttypid, a.atttypmod, \
    COALESCE(a.attnum = ANY (i.indkey), false), COALESCE(a.attnum = ANY (k.indkey), false) \
    FROM (\(Publication.members(publication, serverMajor: serverMajor))) p \
    JOIN pg_catalog.pg_class c ON c.oid = p.relid \
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
    LEFT JOIN pg_catalog.pg_index i ON i.indrelid = c.oid AND CASE c.relreplident \
    WHEN 'i' THEN i.indisreplident WHEN 'd' THEN i.indisprimary AND i.indimmediate END \
    LEFT JOIN pg_catalog.pg_index k ON k.indrelid = c.oid AND k.indisprimary AND k.indimmediate \
    ORDER BY 1, a.attnum
    """
  }

  /// The tables of which the query has given these rows.
  private static func all(_ rows: [[String?]]) -> [DescribedRelation] {
    var found: [DescribedRelation] = []
    for row in rows {
      guard row.count == 9, let oid = row[0].flatMap({ UInt32($0) }), let schema = row[1],
        let table = row[2], let letter = row[3]?.utf8.first,
        let identity = Relation.ReplicaIdentity(rawValue: letter), let column = row[4],
        let type = row[5].flatMap({ UInt32($0) }), let modifier = row[6].flatMap({ Int32($0) })
      else { continue }
      let before = found.last?.relation.oid == oid ? found.removeLast() : nil
      let next = Relation.Column(
        name: column, isKey: identity == .full || row[7] == "t", type: type, modifier: modifier)
      found.append(
        DescribedRelation(
          relation: Relation(
            oid: oid, schema: schema, name: table, replicaIdentity: identity,
            columns: (before?.relation.columns ?? []) + [next]),
          key: (before?.key ?? []) + (row[8] == "t" ? [column] : [])))
    }
    return found
  }
}

extension TableRules {
  /// Why the rule of a table cannot be followed, with the line of the file and the remedy; nil where
  /// it fits, or there is none.
  func misfit(_ table: DescribedRelation, of sink: String) -> StreamerError? {
    guard let entry = entry(schema: table.relation.schema, table: table.relation.name) else {
      return nil
    }
    do throws(TableRules.Misfit) {
      try entry.rule.check(table.relation, key: table.key, table.types)
      return nil
    } catch {
      let place = entry.places[error.key.lowercased()] ?? entry.places[""]
      let isOfKey = error.key == "key" || error.key == "partitionBy"
      return StreamerError(
        what: "sink \(sink)",
        why: "its rule does not fit: \(error.why)" + (place.map { " (\($0))" } ?? ""),
        hint: "Change [sink.\(sink).table]"
          + (isOfKey
            ? ", or the table's replica identity: ALTER TABLE … REPLICA IDENTITY FULL sends every "
              + "column." : ", or leave the table out."),
        exit: .preflight, cause: .tableRule)
    }
  }
}
