public import PGWire

/// What the catalog said of a table when its Relation message came: with it a replay needs no
/// server.
///
/// ```
/// Int32 OID  String schema  String name  Byte1 replica identity  Int16 number of columns, each
///   Byte1 flags (1 = part of the identity)  String name  Int32 type OID  Int32 type modifier
/// Int16 number of the primary key's columns, each  String name
/// Int16 number of types, each
///   Int32 OID  String schema  String name  Byte1 kind, and by that
///     'b' base       Byte1 category
///     'a' array      Int32 element's OID  Byte1 delimiter
///     'c' composite  Int16 number of attributes, each  String name  Int32 type OID
///     'd' domain     Int32 base type's OID
///     'e' enum
///     'r' range      Int32 subtype's OID
///     'm' multirange Int32 range type's OID
/// ```
public struct RecordedRelation: Hashable, Sendable {
  /// The table as the Relation message describes it.
  public var relation: Relation
  /// The primary key's columns, where the replica identity is the whole row or nothing; else empty.
  ///
  /// An empty name behind them says that partitions have another identity. Where the stream names the
  /// key, one empty name says that a part of it is not published.
  public var catalogKey: [String]
  /// The types that the columns refer to, directly or not, and that are not built in.
  public var types: [TypeDescription]

  /// Makes an answer of the catalog.
  public init(relation: Relation, catalogKey: [String], types: [TypeDescription]) {
    self.relation = relation
    self.catalogKey = catalogKey
    self.types = types
  }

  func encode(into writer: inout ByteWriter) {
    writer.append(bigEndian: relation.oid)
    writer.append(zeroTerminated: relation.schema)
    writer.append(zeroTerminated: relation.name)
    writer.append(relation.replicaIdentity.rawValue)
    writer.append(list: relation.columns) { column, writer in
      writer.append(column.isKey ? 1 : 0)
      writer.append(zeroTerminated: column.name)
      writer.append(bigEndian: column.type)
      writer.append(bigEndian: column.typeModifier)
    }
    writer.append(list: catalogKey) { $1.append(zeroTerminated: $0) }
    writer.append(list: types) { Self.encode($0, into: &$1) }
  }

  @_lifetime(reader: copy reader)
  init(from reader: inout ByteReader) throws(DecodingError) {
    let oid = try reader.integer(UInt32.self)
    let schema = try reader.string()
    let name = try reader.string()
    let letter = try reader.byte()
    guard let identity = Relation.ReplicaIdentity(rawValue: letter) else {
      throw Self.unknown(letter, reader.offset)
    }
    var columns: [Relation.Column] = []
    for _ in 0..<(try reader.listCount()) {
      let flags = try reader.byte()
      columns.append(
        Relation.Column(
          name: try reader.string(), isKey: flags & 1 != 0, type: try reader.integer(),
          modifier: try reader.integer()))
    }
    relation = Relation(
      oid: oid, schema: schema, name: name, replicaIdentity: identity, columns: columns)
    catalogKey = []
    for _ in 0..<(try reader.listCount()) { catalogKey.append(try reader.string()) }
    types = []
    for _ in 0..<(try reader.listCount()) { types.append(try Self.type(from: &reader)) }
  }

  private static func encode(_ type: TypeDescription, into writer: inout ByteWriter) {
    func reference(_ letter: Unicode.Scalar, _ oid: UInt32, _ writer: inout ByteWriter) {
      writer.append(UInt8(ascii: letter))
      writer.append(bigEndian: oid)
    }
    writer.append(bigEndian: type.oid)
    writer.append(zeroTerminated: type.schema)
    writer.append(zeroTerminated: type.name)
    switch type.kind {
    case .base(let category):
      writer.append(UInt8(ascii: "b"))
      writer.append(category.rawValue)
    case .array(let element, let delimiter):
      reference("a", element, &writer)
      writer.append(delimiter)
    case .composite(let attributes):
      writer.append(UInt8(ascii: "c"))
      writer.append(list: attributes) { attribute, writer in
        writer.append(zeroTerminated: attribute.name)
        writer.append(bigEndian: attribute.type)
      }
    case .domain(let base): reference("d", base, &writer)
    case .enumeration: writer.append(UInt8(ascii: "e"))
    case .range(let subtype): reference("r", subtype, &writer)
    case .multirange(let range): reference("m", range, &writer)
    }
  }

  @_lifetime(reader: copy reader)
  private static func type(from reader: inout ByteReader) throws(DecodingError) -> TypeDescription {
    let oid = try reader.integer(UInt32.self)
    let schema = try reader.string()
    let name = try reader.string()
    let kind: TypeDescription.Kind
    switch try reader.byte() {
    case UInt8(ascii: "b"): kind = .base(TypeCategory(rawValue: try reader.byte()))
    case UInt8(ascii: "a"):
      kind = .array(element: try reader.integer(), delimiter: try reader.byte())
    case UInt8(ascii: "c"):
      var attributes: [TypeDescription.Attribute] = []
      for _ in 0..<(try reader.listCount()) {
        attributes.append(
          TypeDescription.Attribute(name: try reader.string(), type: try reader.integer()))
      }
      kind = .composite(attributes)
    case UInt8(ascii: "d"): kind = .domain(base: try reader.integer())
    case UInt8(ascii: "e"): kind = .enumeration
    case UInt8(ascii: "r"): kind = .range(subtype: try reader.integer())
    case UInt8(ascii: "m"): kind = .multirange(range: try reader.integer())
    case let letter: throw unknown(letter, reader.offset)
    }
    return TypeDescription(oid: oid, schema: schema, name: name, kind: kind)
  }

  private static func unknown(_ code: UInt8, _ offset: Int) -> DecodingError {
    DecodingError(.unknownCode(UInt32(code)), at: offset - 1)
  }
}
