import PGWire

/// The encoders of one table's types, with what the nested ones refer to.
///
/// A plan keeps the trivial ``ValueEncoder`` of each column and hands the column's text to
/// ``encode(_:as:scratch:into:)``. Everything nested lies in flat arrays of trivial values, and text
/// that has to be freed of escapes goes through buffers that are kept for the next row. It holds for
/// one state of the catalog: when the table is described anew, another one is made.
struct ValueEncoders: ~Copyable {
  /// The details of a nested type.
  struct Node: BitwiseCopyable {
    /// The element of an array, the subtype of a range, the range of a multirange.
    var element: ValueEncoder
    /// What stands between an array's elements.
    var delimiter: UInt8 = 0
    /// The fields of a composite type, in `fields`.
    var firstField: Int32 = 0
    var fieldCount: Int32 = 0
  }

  /// One attribute of a composite type.
  struct Field: BitwiseCopyable {
    var encoder: ValueEncoder
    /// Where `"name":` stands in `names`.
    var nameStart: Int32
    var nameEnd: Int32
  }

  let options: ValueOptions
  private var known: [UInt32: ValueEncoder] = [:]
  private(set) var nodes: [Node] = []
  private(set) var fields: [Field] = []
  private(set) var names = ByteWriter()

  /// Makes an empty table for values written with `options`.
  init(options: ValueOptions) { self.options = options }

  /// How deep types may be nested in each other; what lies deeper is written as text.
  static let depthLimit = 32

  /// The encoder for the type `oid`; a type that the catalog does not know is written as text.
  mutating func resolve(_ oid: UInt32, in catalog: TypeCatalog) -> ValueEncoder {
    resolve(oid, in: catalog, depth: 0)
  }

  private mutating func resolve(_ oid: UInt32, in catalog: TypeCatalog, depth: Int) -> ValueEncoder
  {
    if let encoder = known[oid] { return encoder }
    guard depth < Self.depthLimit, let description = catalog.description(of: oid) else {
      return .string
    }
    // A type that contains itself would be a lie of the catalog: then its inner self is text.
    known[oid] = .string
    let encoder = make(description, in: catalog, depth: depth + 1)
    known[oid] = encoder
    return encoder
  }

  /// No more types are resolved: what only that needs is given back.
  mutating func seal() { known = [:] }

  /// Bytes that it holds for the nested types.
  var ownedBytes: Int {
    names.count + nodes.count * MemoryLayout<Node>.stride
      + fields.count * MemoryLayout<Field>.stride
  }

  /// Whether values hold rows, whose number of fields tells whether a type has changed.
  func holdsComposites(_ encoder: ValueEncoder) -> Bool {
    switch encoder.rule {
    case .composite: true
    case .array, .range, .multirange: holdsComposites(nodes[Int(encoder.index)].element)
    default: false
    }
  }

  private mutating func make(
    _ type: TypeDescription, in catalog: TypeCatalog, depth: Int
  ) -> ValueEncoder {
    switch type.kind {
    case .base: return base(type, hasShortestFloats: catalog.hasShortestFloats)
    case .enumeration: return .string
    case .domain(let base): return resolve(base, in: catalog, depth: depth)
    case .array(let element, let delimiter):
      let element = resolve(element, in: catalog, depth: depth)
      return add(.array, Node(element: element, delimiter: delimiter))
    case .range(let subtype):
      return add(.range, Node(element: resolve(subtype, in: catalog, depth: depth)))
    case .multirange(let range):
      let element = resolve(range, in: catalog, depth: depth)
      // Without its range type a multirange cannot be read.
      guard element.rule == .range else { return .string }
      return add(.multirange, Node(element: element))
    case .composite(let attributes):
      return composite(attributes, in: catalog, depth: depth)
    }
  }

  private mutating func composite(
    _ attributes: [TypeDescription.Attribute], in catalog: TypeCatalog, depth: Int
  ) -> ValueEncoder {
    // Resolved first, so that the fields of inner types do not come between these.
    let encoders = attributes.map { resolve($0.type, in: catalog, depth: depth) }
    let first = Int32(fields.count)
    for (attribute, encoder) in zip(attributes, encoders) {
      let start = Int32(names.count)
      names.append(jsonString: attribute.name)
      names.append(0x3A as UInt8)
      fields.append(Field(encoder: encoder, nameStart: start, nameEnd: Int32(names.count)))
    }
    return add(
      .composite,
      Node(element: .string, firstField: first, fieldCount: Int32(attributes.count)))
  }

  private mutating func add(_ rule: ValueEncoder.Rule, _ node: Node) -> ValueEncoder {
    nodes.append(node)
    return ValueEncoder(rule, index: UInt32(nodes.count - 1))
  }

  private func base(_ type: TypeDescription, hasShortestFloats: Bool) -> ValueEncoder {
    switch type.oid {
    case 16: ValueEncoder(.boolean)
    case 20, 21, 23, 26: ValueEncoder(.integer)
    case 700: ValueEncoder(hasShortestFloats ? .number : .float4)
    case 701: ValueEncoder(hasShortestFloats ? .number : .float8)
    case 1700:
      switch options.numeric {
      case .string: .string
      case .number: ValueEncoder(.number)
      case .double: ValueEncoder(.double)
      }
    case 1114, 1184: ValueEncoder(.timestamp)
    case 1186: options.interval == .iso8601 ? ValueEncoder(.interval) : .string
    case 17: ValueEncoder(options.bytea == .hex ? .hex : .base64)
    case 114: options.json == .embed ? ValueEncoder(.json) : .string
    case 3802: options.json == .embed ? ValueEncoder(.jsonb) : .string
    case 22, 30: ValueEncoder(.vector)
    case ..<10000: .string
    default: extensionType(named: type.name)
    }
  }

  /// The types of extensions have other OIDs, and maybe another schema, in each database.
  private func extensionType(named name: String) -> ValueEncoder {
    switch name {
    case "hstore": ValueEncoder(.hstore)
    case "vector", "halfvec": ValueEncoder(.embedding)
    case "sparsevec": ValueEncoder(.sparse)
    case "geometry", "geography":
      options.geometry == .geojson ? ValueEncoder(.geometry) : .string
    default: .string
    }
  }
}

extension ByteWriter {
  /// Appends a text as a JSON string; for what is prepared once, not for the row path.
  mutating func append(jsonString text: String) {
    var bytes = ByteWriter(capacity: max(text.utf8.count, 1))
    bytes.append(string: text)
    JSONEscape.append(bytes.bytes, to: &self)
  }
}
