import PGWire

/// A table whose existing rows are copied, as one snapshot of the server describes it.
struct SnapshotTable: Hashable, Sendable {
  /// The table as its rows are published.
  var relation: Relation
  /// Whether its rows are those of its partitions.
  var isPartitioned = false
  /// The publication's row filter, as SQL; nil for none.
  var filter: String?
  /// Which of them are copied, as SQL; nil for all.
  var condition: String?
  /// Keys of which those are read that have no row, instead of rows; see ``CopyRequest/keys``.
  var goneKeys: String?
  /// The columns that its rows are read in the order of, in that order; empty for a table that can only
  /// be read whole.
  var key: [Int] = []
  /// The operator that says which keys lie behind one: that of the key's index, with its schema where
  /// that is an extension's.
  var behind = ">"
  /// What its first file takes on the server's disk, in bytes; nothing for a partitioned one.
  ///
  /// Where it was not measured, what it took when VACUUM or ANALYZE last counted.
  var bytes: Int64 = 0
  /// How many rows the server believes it has; negative while it has not counted.
  var estimatedRows: Int64 = -1

  /// Whether it is read in one piece.
  var isReadWhole: Bool { key.isEmpty || goneKeys != nil }

  /// Whether a key is enough to say that a row is gone, as the server itself would say it.
  var mayTellGone: Bool {
    let identity = relation.replicaIdentity
    return !key.isEmpty && (identity == .primaryKey || identity == .index)
  }

  /// What is wrong with keys that are asked for, a JSON array of objects; nil for nothing.
  func fault(inKeys text: String) -> String? {
    let columns = key.map { relation.columns[$0].name }
    for element in JSONValue(Array(text.utf8))?.elements ?? [] {
      let missing = columns.first { (element[$0] ?? .null) == .null }
      if let missing { return "a key of \(name) has no \"\(missing)\"" }
    }
    return nil
  }

  /// "schema.table".
  var name: String { "\(relation.schema).\(relation.name)" }

  /// The table in a FROM clause; the children of an ordinary table are published on their own.
  var source: String {
    let name =
      "\(ReplicationCommand.identifier(relation.schema)).\(ReplicationCommand.identifier(relation.name))"
    return isPartitioned ? name : "ONLY \(name)"
  }

  /// What reads the rows behind the one with the key `last`, `limit` of them at most where the table
  /// can be read in parts.
  func query(after last: [String], limit: Int) -> String {
    if let goneKeys { return query(gone: goneKeys) }
    let columns = names.joined(separator: ", ")
    let text = "SELECT \(columns) FROM \(source)\(conditions(after: last))"
    return key.isEmpty ? text : text + " ORDER BY \(keyColumns) LIMIT \(limit)"
  }

  /// What finds the key of the last of so many rows behind the one with the key `last`.
  func query(keyOfRow number: Int, after last: [String]) -> String {
    "SELECT \(keyColumns) FROM \(source)\(conditions(after: last)) ORDER BY \(keyColumns) "
      + "OFFSET \(number - 1) LIMIT 1"
  }

  private var names: [String] { relation.columns.map { ReplicationCommand.identifier($0.name) } }

  private var keyColumns: String {
    let names = names
    return key.map { names[$0] }.joined(separator: ", ")
  }

  private func conditions(after last: [String]) -> String {
    var conditions: [String] = []
    if let filter { conditions.append("(\(filter))") }
    if let condition { conditions.append("(\(condition))") }
    if !last.isEmpty {
      let values = last.map(ReplicationCommand.literal).joined(separator: ", ")
      conditions.append("(\(keyColumns)) \(behind) (\(values))")
    }
    return conditions.isEmpty ? "" : " WHERE " + conditions.joined(separator: " AND ")
  }

  /// What reads those of some keys that have no row, with nothing in the other columns.
  private func query(gone keys: String) -> String {
    let names = names
    let columns = names.indices.map { key.contains($0) ? "k.\(names[$0])" : "NULL" }
    // What has no value is no key.
    let whole = key.map { "k.\(names[$0]) IS NOT NULL AND " }.joined()
    let same = key.map { "t.\(names[$0]) = k.\(names[$0])" }
    let table = String(source.dropFirst(isPartitioned ? 0 : "ONLY ".count))
    return """
      SELECT \(columns.joined(separator: ", ")) FROM pg_catalog.json_populate_recordset(\
      NULL::\(table), \(ReplicationCommand.literal(keys))) k WHERE \(whole)NOT EXISTS (\
      SELECT FROM \(source) t WHERE \(same.joined(separator: " AND "))\
      \(filter.map { " AND (\($0))" } ?? ""))
      """
  }

  /// How much is asked about tables.
  enum Detail {
    /// What the catalog says: that waits for nobody.
    case known
    /// The files' sizes too, for which the server waits for whoever locks a table against everybody.
    case measured
    /// Row filters too, for which it waits as well: for tables that the asking session has locked.
    case published
  }

  /// What describes tables of a publication, with a row for each column in the order of the columns;
  /// ``all(from:)`` reads it.
  ///
  /// With `oids` only those tables. The identity's columns are marked as pgoutput marks them, and what
  /// it leaves out is left out: generated columns (but from 18 on as the publication says) and those
  /// that a column list (15) does not name.
  static func query(
    publication: String, oids: [UInt32]?, serverMajor: Int, _ detail: Detail
  ) -> String {
    // Slices count from 1.
    let count = serverMajor >= 11 ? "i.indnkeyatts" : "i.indnatts"
    func slice(_ column: String) -> String { "(i.\(column))[0:\(count) - 1]" }
    let keys = slice("indkey::int2[]")
    let isPublished =
      switch serverMajor {
      case 18...:
        "CASE WHEN p.columns IS NULL THEN a.attgenerated = '' OR a.attgenerated = 's' "
          + "AND p.generated ELSE a.attnum = ANY (p.columns) END"
      case 15...: "(p.columns IS NULL OR a.attnum = ANY (p.columns)) AND a.attgenerated = ''"
      case 12...: "a.attgenerated = ''"
      default: "true"
      }
    let among = oids.map { "WHERE c.oid IN (\($0.map { "\($0)" }.joined(separator: ", ")))" } ?? ""
    let hasFilters = serverMajor >= 15 && detail == .published
    let bytes =
      detail == .known
      ? "c.relpages::bigint * pg_catalog.current_setting('block_size')::bigint"
      : "pg_catalog.pg_relation_size(c.oid)"
    return """
      SELECT c.oid, n.nspname, c.relname, c.relkind, c.relreplident, c.reltuples::bigint, \
      \(bytes), \(hasFilters ? "pg_catalog.pg_get_expr(p.filter, c.oid)" : "NULL"), a.attname, a.atttypid, a.atttypmod, \
      CASE c.relreplident WHEN 'f' THEN true ELSE COALESCE(a.attnum = ANY (d.keys), false) END, \
      pg_catalog.array_position(k.keys, a.attnum), pg_catalog.cardinality(k.keys), \
      (\(comparison)) \
      FROM (\(Publication.members(publication, serverMajor: serverMajor))) p \
      JOIN pg_catalog.pg_class c ON c.oid = p.relid \
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
      JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 \
      AND NOT a.attisdropped AND \(isPublished) \
      LEFT JOIN LATERAL (SELECT \(keys) AS keys FROM pg_catalog.pg_index i \
      WHERE i.indrelid = c.oid AND CASE c.relreplident WHEN 'i' THEN i.indisreplident \
      WHEN 'd' THEN i.indisprimary AND i.indimmediate END LIMIT 1) d ON true \
      LEFT JOIN LATERAL (SELECT \(keys) AS keys, \(slice("indclass::oid[]")) AS classes, \
      \(slice("indcollation::oid[]")) AS collations FROM pg_catalog.pg_index i \
      WHERE i.indrelid = c.oid AND CASE c.relreplident WHEN 'i' THEN i.indisreplident \
      ELSE i.indisprimary AND i.indimmediate END LIMIT 1) k ON true \
      \(among) ORDER BY c.oid, a.attnum
      """
  }

  /// What finds the operator by which a key's column `a` is compared in the order that ORDER BY has; NULL
  /// where the index has another one, or where a value's text is perhaps none.
  private static let comparison = """
    SELECT CASE n.nspname WHEN 'pg_catalog' THEN o.oprname::text ELSE \
    'OPERATOR(' || pg_catalog.quote_ident(n.nspname) || '.' || o.oprname || ')' END \
    FROM pg_catalog.pg_opclass s \
    JOIN pg_catalog.pg_amop m ON m.amopfamily = s.opcfamily AND m.amopstrategy = 5 \
    AND m.amoplefttype = s.opcintype AND m.amoprighttype = s.opcintype \
    JOIN pg_catalog.pg_operator o ON o.oid = m.amopopr \
    JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace \
    CROSS JOIN pg_catalog.array_position(k.keys, a.attnum) place \
    WHERE s.oid = k.classes[place] AND s.opcdefault AND k.collations[place] = a.attcollation \
    AND (a.attcollation = 0 OR pg_catalog.getdatabaseencoding() <> 'SQL_ASCII')
    """

  /// Reads the answer to ``query(publication:oids:serverMajor:_:)``.
  static func all(from rows: [[String?]]) -> [SnapshotTable] {
    var tables: [SnapshotTable] = []
    // Where each column of a table stands in its key, how many columns that has, and what compares them.
    var places: [(column: Int, place: Int)] = []
    var length = 0
    var operators: Set<String?> = []
    func close() {
      guard var table = tables.popLast() else { return }
      // A key that is not published whole, or not compared as one, says nothing.
      if places.count == length, operators.count == 1, let behind = operators.first ?? nil {
        table.key = places.sorted { $0.place < $1.place }.map(\.column)
        table.behind = behind
      }
      tables.append(table)
      (places, operators) = ([], [])
    }
    for row in rows {
      guard row.count == 15, let oid = row[0].flatMap({ UInt32($0) }), let schema = row[1],
        let name = row[2], let letter = row[4]?.utf8.first,
        let identity = Relation.ReplicaIdentity(rawValue: letter), let column = row[8],
        let type = row[9].flatMap({ UInt32($0) })
      else { continue }
      var columns: [Relation.Column] = []
      if let last = tables.last, last.relation.oid == oid {
        columns = last.relation.columns
        tables.removeLast()
      } else {
        close()
      }
      if let place = row[12].flatMap({ Int($0) }) {
        places.append((columns.count, place))
        length = row[13].flatMap { Int($0) } ?? 0
        operators.insert(row[14])
      }
      columns.append(
        Relation.Column(
          name: column, isKey: row[11] == "t", type: type,
          modifier: row[10].flatMap { Int32($0) } ?? -1))
      tables.append(
        SnapshotTable(
          relation: Relation(
            oid: oid, schema: schema, name: name, replicaIdentity: identity, columns: columns),
          isPartitioned: row[3] == "p", filter: row[7],
          bytes: row[6].flatMap { Int64($0) } ?? 0,
          estimatedRows: row[5].flatMap { Int64($0) } ?? -1))
    }
    close()
    return tables
  }
}
