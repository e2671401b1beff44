/// A table as the server describes it before the first of its rows (manual: "Relation").
///
/// ```
/// 'R'  [Int32 xid, in a stream]  Int32 OID  String schema ("" = pg_catalog)  String name
///      Byte1 replica identity  Int16 number of columns, then for each
///        Byte1 flags (1 = part of the key)  String name  Int32 type OID  Int32 type modifier
/// ```
public struct Relation: Hashable, Sendable {
  /// Which columns of the old row an update or delete carries.
  public enum ReplicaIdentity: UInt8, Hashable, Sendable {
    /// The primary key, when there is one.
    case primaryKey = 0x64  // 'd'
    /// Nothing: updates and deletes are refused where they are made.
    case nothing = 0x6E  // 'n'
    /// The whole row.
    case full = 0x66  // 'f'
    /// The columns of an index the owner chose.
    case index = 0x69  // 'i'
  }

  /// One published column.
  public struct Column: Hashable, Sendable {
    /// Its name.
    public let name: String
    /// Whether it belongs to the replica identity; with `full` every column does.
    public let isKey: Bool
    /// The OID of its type; for a domain the domain's.
    public let type: UInt32
    /// The type modifier, −1 for none.
    public let typeModifier: Int32
  }

  /// The table's OID.
  public let oid: UInt32
  /// The schema's name; "pg_catalog" where the wire has an empty string.
  public let schema: String
  /// The table's name.
  public let name: String
  /// Which old columns updates and deletes carry.
  public let replicaIdentity: ReplicaIdentity
  /// The published columns in the order of the rows' values.
  public let columns: [Column]

  init(from reader: inout ByteReader) throws(DecodingError) {
    oid = try reader.integer()
    let namespace = try reader.string()
    schema = namespace.isEmpty ? "pg_catalog" : namespace
    name = try reader.string()
    let identity = try reader.byte()
    guard let replicaIdentity = ReplicaIdentity(rawValue: identity) else {
      throw DecodingError(.unknownCode(UInt32(identity)), at: reader.offset - 1)
    }
    self.replicaIdentity = replicaIdentity
    let count = Int(try reader.integer(Int16.self))
    guard count >= 0 else { throw DecodingError(.badLength(count), at: reader.offset - 2) }
    var columns: [Column] = []
    for _ in 0..<count {
      let flags = try reader.byte()
      columns.append(
        Column(
          name: try reader.string(), isKey: flags & 1 != 0, type: try reader.integer(),
          typeModifier: try reader.integer()))
    }
    self.columns = columns
  }

  /// Makes a relation from its parts, for tests and for what is known from the catalog.
  public init(
    oid: UInt32, schema: String, name: String, replicaIdentity: ReplicaIdentity, columns: [Column]
  ) {
    self.oid = oid
    self.schema = schema
    self.name = name
    self.replicaIdentity = replicaIdentity
    self.columns = columns
  }
}

extension Relation.Column {
  /// Makes a column from its parts; −1 is no type modifier.
  public init(name: String, isKey: Bool = false, type: UInt32, modifier: Int32 = -1) {
    self.init(name: name, isKey: isKey, type: type, typeModifier: modifier)
  }
}
