/// Asks a server's catalog for types and everything they refer to (manual: "pg_type", "pg_range").
///
/// The query is for an ordinary connection: the scanner of a replication connection does not read
/// all of SQL before PostgreSQL 14. It gives one row for each type, and for a composite type one
/// for each attribute, in order.
public enum TypeCatalogQuery {
  /// The SQL that describes the types `oids`, for a server of that major version (10 to 18).
  ///
  /// What the catalog no longer has is absent from the result.
  public static func text(for oids: [UInt32], serverMajor: Int) -> String {
    let list = oids.map { String($0) }.joined(separator: ",")
    let hasMultiranges = serverMajor >= 14
    let multirangeReferences =
      hasMultiranges
      ? " UNION ALL SELECT g.rngtypid FROM pg_catalog.pg_range g WHERE g.rngmultitypid = o.oid"
      : ""
    let multirange =
      hasMultiranges
      ? "(SELECT g.rngtypid FROM pg_catalog.pg_range g WHERE g.rngmultitypid = t.oid)" : "NULL"
    return """
      WITH RECURSIVE o(oid) AS (
        SELECT pg_catalog.unnest('{\(list)}'::pg_catalog.oid[])
        UNION
        SELECT r.oid FROM o, LATERAL (
          SELECT t.typelem FROM pg_catalog.pg_type t WHERE t.oid = o.oid
            AND t.typoutput = 'pg_catalog.array_out'::pg_catalog.regproc
          UNION ALL SELECT t.typbasetype FROM pg_catalog.pg_type t
            WHERE t.oid = o.oid AND t.typtype = 'd'
          UNION ALL SELECT a.atttypid FROM pg_catalog.pg_type t
            JOIN pg_catalog.pg_attribute a ON a.attrelid = t.typrelid
            WHERE t.oid = o.oid AND t.typtype = 'c' AND a.attnum > 0 AND NOT a.attisdropped
          UNION ALL SELECT g.rngsubtype FROM pg_catalog.pg_range g
            WHERE g.rngtypid = o.oid\(multirangeReferences)
        ) r(oid)
      )
      SELECT t.oid, n.nspname, t.typname,
        CASE WHEN t.typoutput = 'pg_catalog.array_out'::pg_catalog.regproc
            AND t.typtype <> 'd' THEN 'a'
          ELSE t.typtype::pg_catalog.text END,
        t.typcategory,
        CASE t.typtype WHEN 'd' THEN t.typbasetype
          WHEN 'r' THEN (SELECT g.rngsubtype FROM pg_catalog.pg_range g WHERE g.rngtypid = t.oid)
          WHEN 'm' THEN \(multirange)
          ELSE t.typelem END,
        COALESCE(e.typdelim, ','), a.attname, a.atttypid,
        t.typsend <> 0::pg_catalog.oid OR t.typtype = 'p'
      FROM o JOIN pg_catalog.pg_type t ON t.oid = o.oid
        JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
        LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem
        LEFT JOIN pg_catalog.pg_attribute a ON t.typtype = 'c' AND a.attrelid = t.typrelid
          AND a.attnum > 0 AND NOT a.attisdropped
      ORDER BY t.oid, a.attnum
      """
  }

  /// How many columns the result has.
  public static let columnCount = 10

  /// Reads the result's rows, each with its columns as text.
  ///
  /// Throws ``DecodingError`` when they are not what ``text(for:serverMajor:)`` asks for; the
  /// error's offset is the row's number.
  public static func descriptions(
    of rows: [[String?]]
  ) throws(DecodingError) -> [TypeDescription] {
    var result: [TypeDescription] = []
    for (number, row) in rows.enumerated() {
      guard row.count == columnCount, let oid = row[0].flatMap({ UInt32($0) }),
        let schema = row[1], let name = row[2], let letter = row[3]
      else { throw malformed(number) }
      var attribute: TypeDescription.Attribute?
      if let attributeName = row[7] {
        guard let type = row[8].flatMap({ UInt32($0) }) else { throw malformed(number) }
        attribute = TypeDescription.Attribute(name: attributeName, type: type)
      }
      if let attribute, let last = result.last, last.oid == oid,
        case .composite(let attributes) = last.kind
      {
        result[result.count - 1] = TypeDescription(
          oid: oid, schema: schema, name: name, kind: .composite(attributes + [attribute]),
          hasBinaryForm: last.hasBinaryForm)
        continue
      }
      guard let kind = kind(letter, row, attribute) else { throw malformed(number) }
      result.append(
        TypeDescription(
          oid: oid, schema: schema, name: name, kind: kind, hasBinaryForm: row[9] != "f"))
    }
    return result
  }

  private static func kind(
    _ letter: String, _ row: [String?], _ attribute: TypeDescription.Attribute?
  ) -> TypeDescription.Kind? {
    let reference = row[5].flatMap { UInt32($0) }
    switch letter {
    case "a":
      guard let element = reference, let delimiter = row[6]?.utf8.first else { return nil }
      return .array(element: element, delimiter: delimiter)
    case "c": return .composite(attribute.map { [$0] } ?? [])
    case "d": return reference.map { .domain(base: $0) }
    case "e": return .enumeration
    case "r": return reference.map { .range(subtype: $0) }
    case "m": return reference.map { .multirange(range: $0) }
    default: return row[4]?.utf8.first.map { .base(TypeCategory(rawValue: $0)) }
    }
  }

  private static func malformed(_ row: Int) -> DecodingError {
    DecodingError(.violation("a row of the type catalog is malformed"), at: row)
  }
}
