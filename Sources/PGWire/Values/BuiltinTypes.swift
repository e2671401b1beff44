/// The types that every PostgreSQL from 10 to 18 has under the same OID, with their arrays.
///
/// The rows are those of the server's own pg_type.dat; types that only some versions have are
/// among them, since an OID below 10000 is never used again for something else. Row types of the
/// system catalogs are not: they differ by version and are looked up like a user's.
enum BuiltinTypes {
  /// The descriptions by OID.
  static let all: [UInt32: TypeDescription] = {
    var all: [UInt32: TypeDescription] = [:]
    func add(_ oid: UInt32, _ name: String, _ kind: TypeDescription.Kind) {
      all[oid] = TypeDescription(
        oid: oid, schema: "pg_catalog", name: name, kind: kind,
        hasBinaryForm: !withoutBinaryForm.contains(oid))
    }
    func addArray(_ array: UInt32, of oid: UInt32, _ name: String) {
      guard array != 0 else { return }
      // Only a box contains commas of its own, so its arrays have semicolons.
      add(array, "_" + name, .array(element: oid, delimiter: oid == 603 ? 0x3B : 0x2C))
    }
    for row in bases {
      add(row.oid, row.name, .base(row.category))
      addArray(row.array, of: row.oid, row.name)
    }
    for row in ranges {
      add(row.oid, row.name + "range", .range(subtype: row.subtype))
      addArray(row.array, of: row.oid, row.name + "range")
      add(row.multirange, row.name + "multirange", .multirange(range: row.oid))
      addArray(row.multirangeArray, of: row.multirange, row.name + "multirange")
    }
    return all
  }()

  /// `aclitem`, `gtsvector`: they have no send function.
  private static let withoutBinaryForm: Set<UInt32> = [1033, 3642]

  private typealias Base = (oid: UInt32, array: UInt32, name: String, category: TypeCategory)
  private typealias Range = (
    oid: UInt32, array: UInt32, multirange: UInt32, multirangeArray: UInt32, name: String,
    subtype: UInt32
  )

  private static let array = TypeCategory(rawValue: 0x41)
  private static let unknown = TypeCategory(rawValue: 0x58)

  private static let bases: [Base] = [
    (16, 1000, "bool", .boolean),
    (17, 1001, "bytea", .userDefined),
    (18, 1002, "char", .internalUse),
    (19, 1003, "name", .string),
    (20, 1016, "int8", .numeric),
    (21, 1005, "int2", .numeric),
    (22, 1006, "int2vector", array),
    (23, 1007, "int4", .numeric),
    (24, 1008, "regproc", .numeric),
    (25, 1009, "text", .string),
    (26, 1028, "oid", .numeric),
    (27, 1010, "tid", .userDefined),
    (28, 1011, "xid", .userDefined),
    (29, 1012, "cid", .userDefined),
    (30, 1013, "oidvector", array),
    (32, 0, "pg_ddl_command", .pseudo),
    (114, 199, "json", .userDefined),
    (142, 143, "xml", .userDefined),
    (194, 0, "pg_node_tree", .internalUse),
    (269, 0, "table_am_handler", .pseudo),
    (325, 0, "index_am_handler", .pseudo),
    (600, 1017, "point", .geometric),
    (601, 1018, "lseg", .geometric),
    (602, 1019, "path", .geometric),
    (603, 1020, "box", .geometric),
    (604, 1027, "polygon", .geometric),
    (628, 629, "line", .geometric),
    (650, 651, "cidr", .network),
    (700, 1021, "float4", .numeric),
    (701, 1022, "float8", .numeric),
    (702, 1023, "abstime", .dateTime),
    (703, 1024, "reltime", .timespan),
    (704, 1025, "tinterval", .timespan),
    (705, 0, "unknown", unknown),
    (718, 719, "circle", .geometric),
    (774, 775, "macaddr8", .userDefined),
    (790, 791, "money", .numeric),
    (829, 1040, "macaddr", .userDefined),
    (869, 1041, "inet", .network),
    (1033, 1034, "aclitem", .userDefined),
    (1042, 1014, "bpchar", .string),
    (1043, 1015, "varchar", .string),
    (1082, 1182, "date", .dateTime),
    (1083, 1183, "time", .dateTime),
    (1114, 1115, "timestamp", .dateTime),
    (1184, 1185, "timestamptz", .dateTime),
    (1186, 1187, "interval", .timespan),
    (1266, 1270, "timetz", .dateTime),
    (1560, 1561, "bit", .bitString),
    (1562, 1563, "varbit", .bitString),
    (1700, 1231, "numeric", .numeric),
    (1790, 2201, "refcursor", .userDefined),
    (2202, 2207, "regprocedure", .numeric),
    (2203, 2208, "regoper", .numeric),
    (2204, 2209, "regoperator", .numeric),
    (2205, 2210, "regclass", .numeric),
    (2206, 2211, "regtype", .numeric),
    (2249, 2287, "record", .pseudo),
    (2275, 1263, "cstring", .pseudo),
    (2276, 0, "any", .pseudo),
    (2277, 0, "anyarray", .pseudo),
    (2278, 0, "void", .pseudo),
    (2279, 0, "trigger", .pseudo),
    (2280, 0, "language_handler", .pseudo),
    (2281, 0, "internal", .pseudo),
    (2282, 0, "opaque", .pseudo),
    (2283, 0, "anyelement", .pseudo),
    (2776, 0, "anynonarray", .pseudo),
    (2950, 2951, "uuid", .userDefined),
    (2970, 2949, "txid_snapshot", .userDefined),
    (3115, 0, "fdw_handler", .pseudo),
    (3220, 3221, "pg_lsn", .userDefined),
    (3310, 0, "tsm_handler", .pseudo),
    (3361, 0, "pg_ndistinct", .internalUse),
    (3402, 0, "pg_dependencies", .internalUse),
    (3500, 0, "anyenum", .pseudo),
    (3614, 3643, "tsvector", .userDefined),
    (3615, 3645, "tsquery", .userDefined),
    (3642, 3644, "gtsvector", .userDefined),
    (3734, 3735, "regconfig", .numeric),
    (3769, 3770, "regdictionary", .numeric),
    (3802, 3807, "jsonb", .userDefined),
    (3831, 0, "anyrange", .pseudo),
    (3838, 0, "event_trigger", .pseudo),
    (4072, 4073, "jsonpath", .userDefined),
    (4089, 4090, "regnamespace", .numeric),
    (4096, 4097, "regrole", .numeric),
    (4191, 4192, "regcollation", .numeric),
    (4537, 0, "anymultirange", .pseudo),
    (4538, 0, "anycompatiblemultirange", .pseudo),
    (4600, 0, "pg_brin_bloom_summary", .internalUse),
    (4601, 0, "pg_brin_minmax_multi_summary", .internalUse),
    (5017, 0, "pg_mcv_list", .internalUse),
    (5038, 5039, "pg_snapshot", .userDefined),
    (5069, 271, "xid8", .userDefined),
    (5077, 0, "anycompatible", .pseudo),
    (5078, 0, "anycompatiblearray", .pseudo),
    (5079, 0, "anycompatiblenonarray", .pseudo),
    (5080, 0, "anycompatiblerange", .pseudo),
  ]

  private static let ranges: [Range] = [
    (3904, 3905, 4451, 6150, "int4", 23),
    (3906, 3907, 4532, 6151, "num", 1700),
    (3908, 3909, 4533, 6152, "ts", 1114),
    (3910, 3911, 4534, 6153, "tstz", 1184),
    (3912, 3913, 4535, 6155, "date", 1082),
    (3926, 3927, 4536, 6157, "int8", 20),
  ]
}
