import PGWire

/// The rule by which the values of one column become what Debezium's connector makes of them.
///
/// A trivial value, so that a plan's columns are walked through without a retain.
struct DebeziumEncoder: Hashable, BitwiseCopyable {
  enum Rule: Hashable, BitwiseCopyable {
    case boolean, integer, double, string
    /// `numeric`: with the column's scale, with each value's own, as a double, as its digits.
    case decimal, variableDecimal, decimalDouble, decimalString
    /// `money`, precisely, as a double, as its digits.
    case money, moneyDouble, moneyString
    /// Days; a timestamp at their start in milliseconds to nanoseconds; ISO 8601.
    case days, dateISO
    /// Units since 1970, `scale` of them a second.
    case timestamp, timestampISO
    /// A moment in UTC with `scale` digits of a second.
    case zonedTimestamp
    /// Units of the day, `scale` of them a second.
    case time, timeISO
    case zonedTime
    case interval, intervalISO
    /// A struct with `scale` digits of a second.
    case structured(StructuredTemporal)
    case bytes, base64, base64URL, hex
    /// One bit, and several.
    case bit, bits
    case point, geometry
    /// `hstore` as a string of JSON, and as a map.
    case hstoreJSON, hstoreMap
    /// `int2vector` and `oidvector`; pgvector's types.
    case vector, embedding, sparse
    /// The bytes of a text, in the same forms.
    case textBytes, textBase64URL, textHex
    /// Messages that Protobuf has for a moment, a date and a time of day; only there.
    case instant, calendarDate, timeOfDay
  }

  let rule: Rule
  /// Whether the column holds arrays of such values.
  var isArray = false
  /// What stands between an array's elements.
  var delimiter: UInt8 = 0x2C
  /// Digits, or units of a second, or, of floating-point numbers, ``singleBytes``.
  var scale: Int32 = 0

  /// The ``scale`` of numbers in single precision.
  static let singleBytes: Int32 = 4

  init(_ rule: Rule, scale: Int32 = 0) {
    self.rule = rule
    self.scale = scale
  }

  /// The same with another rule, also for the elements of an array.
  func changed(to rule: Rule, scale: Int32 = 0) -> DebeziumEncoder {
    var changed = DebeziumEncoder(rule, scale: scale)
    changed.isArray = isArray
    changed.delimiter = delimiter
    return changed
  }
}

/// The modifiers of types, as `atttypmod` packs them.
private enum TypeModifier {
  /// The scale of a `numeric`; nil without precision and scale.
  static func scale(_ modifier: Int32) -> Int32? {
    guard modifier >= 4 else { return nil }
    let scale = (modifier &- 4) & 0x7FF
    return (scale ^ 1024) &- 1024
  }

  /// The digits of a second of a date's or time's type.
  static func digits(_ modifier: Int32) -> Int32 { (0...6).contains(modifier) ? modifier : 6 }
}

extension DebeziumEncoder {
  /// The rule for a type with a modifier; nil for what Debezium does not know, which the options
  /// may leave out.
  init?(_ oid: UInt32, _ modifier: Int32, _ types: TypeCatalog, _ options: DebeziumOptions) {
    guard let found = Self.known(oid, modifier, types, options, depth: 0) else {
      // Debezium leaves these out whatever it is asked for.
      if case .array(let element, _) = types.description(of: oid)?.kind,
        Self.isOmitted(arrayOf: element, types)
      {
        return nil
      }
      switch options.unknown {
      case .omit: return nil
      case .text: self.init(.string)
      case .bytes: self.init(Self.textBytes(options))
      }
      return
    }
    self = found
  }

  private static func known(
    _ oid: UInt32, _ modifier: Int32, _ types: TypeCatalog, _ options: DebeziumOptions, depth: Int
  ) -> DebeziumEncoder? {
    guard depth < ValueEncoders.depthLimit, let type = types.description(of: oid) else {
      return nil
    }
    switch type.kind {
    case .enumeration: return DebeziumEncoder(.string)
    case .domain(let base): return known(base, modifier, types, options, depth: depth + 1)
    case .array(let element, let delimiter):
      guard !Self.isOmitted(arrayOf: element, types),
        var found = known(element, modifier, types, options, depth: depth + 1), !found.isArray
      else { return nil }
      found.isArray = true
      found.delimiter = delimiter
      return found
    case .range: return oid < TypeCatalog.firstUserType ? DebeziumEncoder(.string) : nil
    case .composite, .multirange: return nil
    case .base:
      return structured(oid, modifier, options) ?? scalar(oid, modifier, options)
        ?? (oid < 10_000 ? nil : named(type.name, options))
    }
  }

  /// Arrays that Debezium leaves out although it knows their elements.
  private static func isOmitted(arrayOf element: UInt32, _ types: TypeCatalog) -> Bool {
    if case .domain = types.description(of: element)?.kind { return true }
    // xml, money, point, interval, varbit.
    return [142, 790, 600, 1186, 1562, 19].contains(element)
  }

  private static func structured(
    _ oid: UInt32, _ modifier: Int32, _ options: DebeziumOptions
  ) -> DebeziumEncoder? {
    guard options.time == .structured, let type = StructuredTemporal(oid) else { return nil }
    // The modifier of an interval has its fields in the upper half.
    return DebeziumEncoder(.structured(type), scale: TypeModifier.digits(modifier & 0xFFFF))
  }

  private static func scalar(
    _ oid: UInt32, _ modifier: Int32, _ options: DebeziumOptions
  ) -> DebeziumEncoder? {
    switch oid {
    case 16: DebeziumEncoder(.boolean)
    case 20, 21, 23, 26: DebeziumEncoder(.integer)
    case 700: DebeziumEncoder(.double, scale: singleBytes)
    case 701: DebeziumEncoder(.double)
    case 1700: numeric(modifier, options)
    case 790:
      switch options.decimal {
      case .precise: DebeziumEncoder(.money, scale: Int32(options.moneyDigits))
      case .double: DebeziumEncoder(.moneyDouble)
      case .string: DebeziumEncoder(.moneyString)
      }
    // text, varchar, bpchar, "char", name, uuid, json, jsonb, xml, inet, cidr, macaddr, macaddr8,
    // tsvector.
    case 25, 1043, 1042, 18, 19, 2950, 114, 3802, 142, 869, 650, 829, 774, 3614:
      DebeziumEncoder(.string)
    case 17: binary(options)
    case 1082, 1083, 1114, 1184, 1266: moment(oid, TypeModifier.digits(modifier), options)
    case 1186: DebeziumEncoder(options.interval == .string ? .intervalISO : .interval)
    case 1560, 1562: modifier == 1 ? DebeziumEncoder(.bit) : DebeziumEncoder(.bits)
    case 600: DebeziumEncoder(.point)
    case 22, 30: DebeziumEncoder(.vector)
    default: nil
    }
  }

  private static func numeric(_ modifier: Int32, _ options: DebeziumOptions) -> DebeziumEncoder {
    switch options.decimal {
    case .precise:
      TypeModifier.scale(modifier).map { DebeziumEncoder(.decimal, scale: $0) }
        ?? DebeziumEncoder(.variableDecimal)
    case .double: DebeziumEncoder(.decimalDouble)
    case .string: DebeziumEncoder(.decimalString)
    }
  }

  /// The rule for bytes that are those of a text.
  static func textBytes(_ options: DebeziumOptions) -> Rule {
    switch options.binary {
    case .bytes, .base64: .textBytes
    case .base64URL: .textBase64URL
    case .hex: .textHex
    }
  }

  private static func binary(_ options: DebeziumOptions) -> DebeziumEncoder {
    switch options.binary {
    case .bytes: DebeziumEncoder(.bytes)
    case .base64: DebeziumEncoder(.base64)
    case .base64URL: DebeziumEncoder(.base64URL)
    case .hex: DebeziumEncoder(.hex)
    }
  }

  private static func moment(
    _ oid: UInt32, _ digits: Int32, _ options: DebeziumOptions
  ) -> DebeziumEncoder? {
    let milliseconds: Int32 = 1_000
    let microseconds: Int32 = 1_000_000
    let nanoseconds: Int32 = 1_000_000_000
    let adaptive = digits <= 3 ? milliseconds : microseconds
    switch (oid, options.time) {
    case (1082, .isostring): return DebeziumEncoder(.dateISO)
    case (1082, _): return DebeziumEncoder(.days)
    case (1083, .adaptive): return DebeziumEncoder(.time, scale: adaptive)
    case (1083, .connect): return DebeziumEncoder(.time, scale: milliseconds)
    case (1083, .isostring): return DebeziumEncoder(.timeISO)
    case (1083, .nanoseconds): return DebeziumEncoder(.time, scale: nanoseconds)
    case (1083, _): return DebeziumEncoder(.time, scale: microseconds)
    case (1114, .adaptive), (1114, .adaptiveTimeMicroseconds):
      return DebeziumEncoder(.timestamp, scale: adaptive)
    case (1114, .connect): return DebeziumEncoder(.timestamp, scale: milliseconds)
    case (1114, .isostring): return DebeziumEncoder(.timestampISO)
    case (1114, .nanoseconds): return DebeziumEncoder(.timestamp, scale: nanoseconds)
    case (1114, _): return DebeziumEncoder(.timestamp, scale: microseconds)
    case (1184, _): return DebeziumEncoder(.zonedTimestamp, scale: digits)
    case (1266, _): return DebeziumEncoder(.zonedTime)
    default: return nil
    }
  }

  private static func named(_ name: String, _ options: DebeziumOptions) -> DebeziumEncoder? {
    switch name {
    case "hstore": DebeziumEncoder(options.hstore == .map ? .hstoreMap : .hstoreJSON)
    case "citext", "ltree", "isbn": DebeziumEncoder(.string)
    case "geometry", "geography": DebeziumEncoder(.geometry)
    case "vector": DebeziumEncoder(.embedding)
    case "halfvec": DebeziumEncoder(.embedding, scale: singleBytes)
    case "sparsevec": DebeziumEncoder(.sparse)
    default: nil
    }
  }
}
