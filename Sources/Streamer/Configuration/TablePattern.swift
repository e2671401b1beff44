/// Names tables: "orders", "public.orders", "public.*", "audit_*".
///
/// A name without a schema stands for that table in every schema. `*` stands for any characters.
struct TablePattern: Hashable, Sendable {
  /// The schema's pattern; `nil` stands for every schema.
  let schema: String?
  /// The table's pattern.
  let table: String

  /// Reads a pattern, parted at its first point; `nil` when a part is empty.
  init?(_ text: String) {
    if let point = text.firstIndex(of: ".") {
      let schema = text[..<point]
      let table = text[text.index(after: point)...]
      guard !schema.isEmpty, !table.isEmpty else { return nil }
      self.schema = String(schema)
      self.table = String(table)
    } else {
      guard !text.isEmpty else { return nil }
      self.schema = nil
      self.table = text
    }
  }

  /// Whether it names one table and no more, of one schema or of each.
  var isExact: Bool { !table.contains("*") && !(schema ?? "").contains("*") }

  /// Whether the pattern covers a table.
  func matches(schema: String, table: String) -> Bool {
    Compiled(self).matches(schema: Array(schema.utf8), table: Array(table.utf8))
  }

  /// How closely the pattern names what it covers: the more closely one wins over the other.
  ///
  /// An exact name with its schema, then an exact name, then patterns with a schema, then the rest.
  var precision: Int { (isExact ? 2 : 0) + (schema != nil ? 1 : 0) }
}

extension TablePattern {
  /// A pattern as bytes, for one that is asked about many tables.
  struct Compiled: Hashable, Sendable {
    private let schema: [UInt8]?
    private let table: [UInt8]

    /// Takes a pattern apart.
    init(_ pattern: TablePattern) {
      schema = pattern.schema.map { Array($0.utf8) }
      table = Array(pattern.table.utf8)
    }

    /// Whether the pattern covers a table.
    func matches(schema: [UInt8], table: [UInt8]) -> Bool {
      Self.matches(self.table, table) && (self.schema.map { Self.matches($0, schema) } ?? true)
    }

    /// Matches greedily and steps back only to the last `*`: linear in practice, never exponential.
    private static func matches(_ pattern: [UInt8], _ name: [UInt8]) -> Bool {
      let star = UInt8(ascii: "*")
      var p = 0
      var n = 0
      var retry: (p: Int, n: Int)?
      while n < name.count {
        if p < pattern.count, pattern[p] == star {
          retry = (p + 1, n)
          p += 1
        } else if p < pattern.count, pattern[p] == name[n] {
          p += 1
          n += 1
        } else if let (after, from) = retry {
          p = after
          n = from + 1
          retry = (after, from + 1)
        } else {
          return false
        }
      }
      return pattern[p...].allSatisfy { $0 == star }
    }
  }
}

extension TablePattern: CustomStringConvertible {
  /// The pattern as it is written.
  var description: String { schema.map { "\($0).\(table)" } ?? table }
}
