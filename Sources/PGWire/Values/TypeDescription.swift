/// What the catalog says of one type: enough to read its text (manual: "pg_type").
public struct TypeDescription: Hashable, Sendable {
  /// The type's OID; those below 10000 mean the same in every database.
  public let oid: UInt32
  /// The schema, "pg_catalog" for built-in types.
  public let schema: String
  /// The name as the catalog has it, without quotes: "int4", "_text".
  public let name: String
  /// How its text is built.
  public let kind: Kind
  /// Whether it has a send function; a type without one comes as text even in binary rows.
  public let hasBinaryForm: Bool

  /// How a type's text is built.
  public enum Kind: Hashable, Sendable {
    /// A type with an output function of its own.
    case base(TypeCategory)
    /// An array; its elements stand between delimiters, a comma for all but `box`.
    case array(element: UInt32, delimiter: UInt8)
    /// A row type with its live attributes in their order.
    case composite([Attribute])
    /// A domain; its text is that of the base type.
    case domain(base: UInt32)
    /// An enum; its text is a label.
    case enumeration
    /// A range over a subtype.
    case range(subtype: UInt32)
    /// A multirange of a range type.
    case multirange(range: UInt32)
  }

  /// One attribute of a composite type.
  public struct Attribute: Hashable, Sendable {
    /// The attribute's name.
    public let name: String
    /// The OID of its type.
    public let type: UInt32

    /// Makes an attribute.
    public init(name: String, type: UInt32) {
      self.name = name
      self.type = type
    }
  }

  /// Makes a description.
  public init(
    oid: UInt32, schema: String, name: String, kind: Kind, hasBinaryForm: Bool = true
  ) {
    self.oid = oid
    self.schema = schema
    self.name = name
    self.kind = kind
    self.hasBinaryForm = hasBinaryForm
  }

  /// The OIDs this description speaks of: element, base, subtype, attributes.
  public var references: [UInt32] {
    switch kind {
    case .base, .enumeration: []
    case .array(let element, _): [element]
    case .composite(let attributes): attributes.map(\.type)
    case .domain(let base): [base]
    case .range(let subtype): [subtype]
    case .multirange(let range): [range]
    }
  }
}

/// A letter of `pg_type.typcategory`; user-defined types may have letters of their own.
public struct TypeCategory: RawRepresentable, Hashable, Sendable {
  /// The letter's ASCII code.
  public let rawValue: UInt8

  /// Makes the category of that ASCII code.
  public init(rawValue: UInt8) { self.rawValue = rawValue }

  /// "B".
  public static let boolean = TypeCategory(rawValue: 0x42)
  /// "N".
  public static let numeric = TypeCategory(rawValue: 0x4E)
  /// "S".
  public static let string = TypeCategory(rawValue: 0x53)
  /// "D".
  public static let dateTime = TypeCategory(rawValue: 0x44)
  /// "T".
  public static let timespan = TypeCategory(rawValue: 0x54)
  /// "G".
  public static let geometric = TypeCategory(rawValue: 0x47)
  /// "I".
  public static let network = TypeCategory(rawValue: 0x49)
  /// "V".
  public static let bitString = TypeCategory(rawValue: 0x56)
  /// "U".
  public static let userDefined = TypeCategory(rawValue: 0x55)
  /// "P".
  public static let pseudo = TypeCategory(rawValue: 0x50)
  /// "Z", for the server's own use (15+; "U" or "S" before).
  public static let internalUse = TypeCategory(rawValue: 0x5A)
}
