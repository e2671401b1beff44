import PGWire

/// How many rows the server believes tables have, without counting them.
extension SnapshotTable {
  /// Whether not all of its rows are copied.
  var hasCondition: Bool { filter != nil || condition != nil || goneKeys != nil }

  /// What asks for the estimates of many tables at once; ``estimates(of:from:)`` reads it.
  ///
  /// As the planner does it: rows for each page as they were last counted, times the pages that there
  /// are now; those that there were then, unless the files are measured. A partitioned table has the
  /// rows of its partitions.
  static func estimates(of oids: [UInt32], _ detail: Detail) -> String {
    let isMeasured = detail != .known
    let bytes =
      isMeasured
      ? "pg_catalog.pg_relation_size(c.oid)"
      // Nothing counted is not nothing there.
      : "NULLIF(c.relpages, 0) * pg_catalog.current_setting('block_size')::bigint"
    return """
      WITH RECURSIVE part(root, oid) AS ( \
      SELECT c.oid, c.oid FROM pg_catalog.pg_class c \
      WHERE c.oid IN (\(oids.map { "\($0)" }.joined(separator: ", "))) \
      UNION ALL SELECT p.root, i.inhrelid FROM part p \
      JOIN pg_catalog.pg_class c ON c.oid = p.oid AND c.relkind = 'p' \
      JOIN pg_catalog.pg_inherits i ON i.inhparent = p.oid), \
      sized AS (SELECT p.root, c.reltuples, c.relpages, \(bytes) AS bytes \
      FROM part p JOIN pg_catalog.pg_class c ON c.oid = p.oid AND c.relkind <> 'p') \
      SELECT root, CASE WHEN bool_and(bytes IS NOT NULL AND (bytes = 0 \
      OR relpages > 0 AND reltuples >= 0)) \
      THEN sum(CASE WHEN bytes = 0 THEN 0 ELSE reltuples::float8 / NULLIF(relpages, 0) * bytes \
      / pg_catalog.current_setting('block_size')::float8 END)::bigint END FROM sized GROUP BY root
      """
  }

  /// Reads the answer to ``estimates(of:_:)``: negative for a table that was never counted.
  static func estimates(of oids: [UInt32], from rows: [[String?]]) -> [UInt32: Int64] {
    // What has no file has no rows.
    var estimates = Dictionary(oids.map { ($0, Int64(0)) }, uniquingKeysWith: { first, _ in first })
    for row in rows where row.count == 2 {
      guard let oid = row[0].flatMap({ UInt32($0) }) else { continue }
      estimates[oid] = row[1].flatMap { Int64($0) } ?? -1
    }
    return estimates
  }

  /// The rows that a plan's first line expects (manual: "EXPLAIN", the text form).
  static func rows(ofPlan line: String) -> Int64? {
    guard let start = line.firstRange(of: "rows=")?.upperBound else { return nil }
    return Int64(line[start...].prefix { $0.isNumber })
  }
}
