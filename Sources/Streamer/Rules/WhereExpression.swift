/// A condition on a table's rows in SQL's own syntax, as it was read; ``WhereProgram`` is what it
/// becomes for a table.
indirect enum WhereExpression: Hashable, Sendable {
  /// How two values are compared.
  enum Comparison: UInt8, Hashable, Sendable {
    case less, lessOrEqual, equal, notEqual, greaterOrEqual, greater
    /// `IS DISTINCT FROM`, `IS NOT DISTINCT FROM`: two nulls are equal.
    case distinct, notDistinct

    /// Whether it asks for an order, not for equality only.
    var isOrder: Bool {
      switch self {
      case .less, .lessOrEqual, .greaterOrEqual, .greater: true
      default: false
      }
    }

    /// The same with its sides exchanged.
    var mirrored: Comparison {
      switch self {
      case .less: .greater
      case .lessOrEqual: .greaterOrEqual
      case .greaterOrEqual: .lessOrEqual
      case .greater: .less
      default: self
      }
    }
  }

  /// What a condition can be tested for with `IS`.
  enum Test: Hashable, Sendable { case null, yes, no }

  /// A column by its name.
  case column(String)
  /// `NULL`.
  case null
  /// `TRUE`, `FALSE`.
  case boolean(Bool)
  /// A number as it is written, without exponent, in canonical form.
  case number(String)
  /// A text in apostrophes, whose type is that of what it is compared with.
  case text(String)
  /// A literal of a type that was named: `'2024-02-29'::date`.
  case typed(String, WhereType)
  /// Text that is ordered byte by byte: `COLLATE "C"`.
  case collated(WhereExpression)
  case compare(Comparison, WhereExpression, WhereExpression)
  case and(WhereExpression, WhereExpression)
  case or(WhereExpression, WhereExpression)
  case not(WhereExpression)
  /// `IS NULL`, `IS TRUE` or `IS FALSE`; `IS UNKNOWN` is `IS NULL`.
  case test(WhereExpression, Test)
  case isIn(WhereExpression, [WhereExpression])
  /// `LIKE` with its pattern and its escape character, nil for none.
  case like(WhereExpression, pattern: String, escape: Unicode.Scalar?)

  /// The names of the columns that it reads.
  var columns: Set<String> {
    switch self {
    case .column(let name): [name]
    case .null, .boolean, .number, .text, .typed: []
    case .collated(let a), .not(let a), .test(let a, _), .like(let a, _, _): a.columns
    case .compare(_, let a, let b), .and(let a, let b), .or(let a, let b):
      a.columns.union(b.columns)
    case .isIn(let a, let list): list.reduce(into: a.columns) { $0.formUnion($1.columns) }
    }
  }

  /// How many truth values wait at most while it is worked out.
  var depth: Int {
    switch self {
    case .column, .null, .boolean, .number, .text, .typed, .compare, .like: 1
    case .collated(let a), .not(let a), .test(let a, _): a.depth
    case .and(let a, let b), .or(let a, let b): max(a.depth, b.depth + 1)
    case .isIn: 2
    }
  }
}

/// The types of values that a condition compares.
enum WhereType: Hashable, Sendable {
  case smallint, integer, bigint, oid, numeric, real, double, boolean, text, varchar, character,
    name
  case date, timestamp, timestamptz, time, uuid
  /// An enum, by its OID: only its labels are equal or not.
  case enumeration(UInt32)
  /// A type of this database that nobody has looked up yet.
  case undetermined
  /// Any other one: only whether it is null can be asked for.
  case other(UInt32)

  /// Whether its values are whole numbers of at most 64 bits.
  var isInteger: Bool {
    switch self {
    case .smallint, .integer, .bigint, .oid: true
    default: false
    }
  }

  /// Whether its values are numbers of single or double precision.
  var isFloat: Bool { self == .real || self == .double }
  /// Whether its values are numbers.
  var isNumber: Bool { isInteger || isFloat || self == .numeric }
  /// Whether its values are texts.
  var isText: Bool {
    self == .text || self == .varchar || self == .character || self == .name
  }

  /// The types by the names that a cast has for them.
  static let names: [String: WhereType] = [
    "smallint": .smallint, "int2": .smallint, "integer": .integer, "int": .integer,
    "int4": .integer, "bigint": .bigint, "int8": .bigint, "oid": .oid, "numeric": .numeric,
    "decimal": .numeric, "real": .real, "float4": .real, "double precision": .double,
    "float8": .double, "float": .double, "boolean": .boolean, "bool": .boolean, "text": .text,
    "varchar": .varchar, "character varying": .varchar, "bpchar": .character, "name": .name,
    "date": .date, "timestamp": .timestamp, "timestamp without time zone": .timestamp,
    "timestamptz": .timestamptz, "timestamp with time zone": .timestamptz, "time": .time,
    "time without time zone": .time, "uuid": .uuid,
  ]

  /// The type of that OID among the built-in ones; nil for those of a database.
  init?(builtin oid: UInt32) {
    switch oid {
    case 16: self = .boolean
    case 19: self = .name
    case 20: self = .bigint
    case 21: self = .smallint
    case 23: self = .integer
    case 25: self = .text
    case 1043: self = .varchar
    case 26: self = .oid
    case 700: self = .real
    case 701: self = .double
    case 1042: self = .character
    case 1082: self = .date
    case 1083: self = .time
    case 1114: self = .timestamp
    case 1184: self = .timestamptz
    case 1700: self = .numeric
    case 2950: self = .uuid
    default: return nil
    }
  }
}
