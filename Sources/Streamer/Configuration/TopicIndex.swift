/// Finds the first mapping of a table without asking each: names in a dictionary, patterns compiled.
///
/// With a mapping for each of thousands of tables, asking each for each is quadratic.
struct TopicIndex: Sendable {
  /// A table's name, with its schema or for every schema; bytes, since PostgreSQL compares those.
  private struct Name: Hashable {
    let schema: [UInt8]?
    let table: [UInt8]
  }

  private var names: [Name: Int] = [:]
  private var patterns: [(place: Int, pattern: TablePattern.Compiled)] = []

  /// Takes mappings, the one that comes first before the others.
  init(_ mappings: [TopicRouting.Mapping]) {
    for (place, mapping) in mappings.enumerated() {
      let tables = mapping.tables
      if tables.isExact {
        let name = Name(
          schema: tables.schema.map { Array($0.text.utf8) }, table: Array(tables.table.text.utf8))
        if names[name] == nil { names[name] = place }
      } else {
        patterns.append((place, TablePattern.Compiled(tables)))
      }
    }
  }

  /// The place of the first mapping that covers a table.
  func first(schema: String, table: String) -> Int? {
    let schema = Array(schema.utf8)
    let table = Array(table.utf8)
    let exact = [
      names[Name(schema: schema, table: table)], names[Name(schema: nil, table: table)],
    ].compactMap(\.self).min()
    for (place, pattern) in patterns {
      if let exact, exact < place { return exact }
      if pattern.matches(schema: schema, table: table) { return place }
    }
    return exact
  }
}
