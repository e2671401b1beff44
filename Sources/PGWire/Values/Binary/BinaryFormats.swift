/// The binary forms of one connection's types, and the way back to the server's text.
///
/// What reads a row reads PostgreSQL's text, whichever form the server sent: so events are the
/// same byte for byte, and every type has one reader. The text is what the type's output function
/// prints with the settings of the replication connection (DateStyle ISO, UTC, IntervalStyle
/// postgres, hexadecimal bytea, lc_monetary C, shortest floats).
///
/// It holds for one state of the catalog, as the encoders do.
public struct BinaryFormats: Sendable {
  /// The details of a nested type.
  struct Node: Sendable, BitwiseCopyable {
    /// The element of an array, the subtype of a range, the range of a multirange.
    var element: BinaryFormat
    /// The element's OID, which an array repeats on the wire.
    var elementType: UInt32 = 0
    /// What stands between an array's elements.
    var delimiter: UInt8 = 0
    /// The fields of a composite type, in `fields`.
    var firstField: Int32 = 0
    var fieldCount: Int32 = 0
  }

  /// One attribute of a composite type.
  struct Field: Sendable, BitwiseCopyable {
    var format: BinaryFormat
    var type: UInt32
  }

  private let serverMajor: Int
  private var known: [UInt32: BinaryFormat?] = [:]
  private(set) var nodes: [Node] = []
  private(set) var fields: [Field] = []

  /// Makes an empty table for a server of that major version; 14 is the first that sends binary.
  public init(serverMajor: Int) { self.serverMajor = serverMajor }

  /// How deep types may be nested in each other.
  static let depthLimit = 32

  /// Whether `interval` has infinite values.
  var hasInfiniteIntervals: Bool { serverMajor >= 17 }
  /// Whether `"char"` prints bytes outside ASCII in octal digits.
  var printsOctalCharacters: Bool { serverMajor >= 16 }

  /// The format of the type `oid`; nil when its binary form cannot be read.
  ///
  /// That is so for types that the catalog does not know, for base types of extensions that are
  /// not known here, for `regclass` and its like, whose text needs the catalog, and for all that
  /// contain one of these.
  public mutating func resolve(_ oid: UInt32, in catalog: TypeCatalog) -> BinaryFormat? {
    resolve(oid, in: catalog, depth: 0)
  }

  private mutating func resolve(
    _ oid: UInt32, in catalog: TypeCatalog, depth: Int
  ) -> BinaryFormat? {
    if let format = known[oid] { return format }
    guard depth < Self.depthLimit, let description = catalog.description(of: oid) else {
      return nil
    }
    // A type that contains itself would be a lie of the catalog.
    known[oid] = .some(nil)
    let format = make(description, in: catalog, depth: depth + 1)
    known[oid] = .some(format)
    return format
  }

  private mutating func make(
    _ type: TypeDescription, in catalog: TypeCatalog, depth: Int
  ) -> BinaryFormat? {
    guard type.hasBinaryForm else { return BinaryFormat(.sentAsText) }
    switch type.kind {
    case .base: return Self.base(type)
    case .enumeration: return BinaryFormat(.text)
    case .domain(let base): return resolve(base, in: catalog, depth: depth)
    case .array(let element, let delimiter):
      guard let format = inner(element, in: catalog, depth: depth) else { return nil }
      return add(.array, Node(element: format, elementType: element, delimiter: delimiter))
    case .range(let subtype):
      guard let format = inner(subtype, in: catalog, depth: depth) else { return nil }
      return add(.range, Node(element: format))
    case .multirange(let range):
      guard let format = inner(range, in: catalog, depth: depth), format.rule == .range else {
        return nil
      }
      return add(.multirange, Node(element: format))
    case .composite(let attributes): return composite(attributes, in: catalog, depth: depth)
    }
  }

  /// A type inside another one: the server fails where it has no binary form.
  private mutating func inner(
    _ oid: UInt32, in catalog: TypeCatalog, depth: Int
  ) -> BinaryFormat? {
    guard let format = resolve(oid, in: catalog, depth: depth), format.rule != .sentAsText else {
      return nil
    }
    return format
  }

  private mutating func composite(
    _ attributes: [TypeDescription.Attribute], in catalog: TypeCatalog, depth: Int
  ) -> BinaryFormat? {
    // Resolved first, so that the fields of inner types do not come between these.
    var own: [Field] = []
    for attribute in attributes {
      guard let format = inner(attribute.type, in: catalog, depth: depth) else { return nil }
      own.append(Field(format: format, type: attribute.type))
    }
    let first = Int32(fields.count)
    fields += own
    return add(
      .composite,
      Node(
        element: BinaryFormat(.text), firstField: first, fieldCount: Int32(own.count)))
  }

  private mutating func add(_ rule: BinaryFormat.Rule, _ node: Node) -> BinaryFormat {
    nodes.append(node)
    return BinaryFormat(rule, index: UInt32(nodes.count - 1))
  }

  private static func base(_ type: TypeDescription) -> BinaryFormat? {
    let rule = type.oid < 10_000 ? builtin(type.oid) : extensionType(named: type.name)
    return rule.map { BinaryFormat($0) }
  }

  private static func builtin(_ oid: UInt32) -> BinaryFormat.Rule? {
    switch oid {
    case 16: .boolean
    case 17: .bytea
    case 18: .character
    case 20: .int8
    case 21: .int2
    case 23: .int4
    case 26, 28, 29: .unsigned4
    case 27: .tupleIdentifier
    case 22, 30: .spaced
    // name, text, json, xml, bpchar, varchar, refcursor, pg_node_tree
    case 19, 25, 114, 142, 1042, 1043, 1790, 194: .text
    case 600: .point
    case 601: .segment
    case 602: .path
    case 603: .box
    case 604: .polygon
    case 628: .line
    case 718: .circle
    case 650, 869: .network
    case 700: .float4
    case 701: .float8
    case 774: .macaddr8
    case 829: .macaddr
    case 790: .money
    case 1082: .date
    case 1083: .time
    case 1114: .timestamp
    case 1184: .timestampWithZone
    case 1186: .interval
    case 1266: .timeWithZone
    case 1560, 1562: .bit
    case 1700: .numeric
    case 2950: .uuid
    case 2970, 5038: .snapshot
    case 3220: .logPosition
    case 3614: .textVector
    case 3615: .textQuery
    case 3802, 4072: .versionedText
    case 5069: .unsigned8
    default: nil
    }
  }

  /// The types of extensions have other OIDs, and maybe another schema, in each database.
  private static func extensionType(named name: String) -> BinaryFormat.Rule? {
    switch name {
    case "citext": .text
    case "ltree", "lquery", "ltxtquery": .versionedText
    case "hstore": .hstore
    case "cube": .cube
    case "vector": .vector
    case "halfvec": .halfVector
    case "sparsevec": .sparseVector
    case "geometry", "geography": .geometry
    default: nil
    }
  }
}
