/// How often the rows of one table have changed, as `psql_streamer_rows_total` counts it.
struct TableTotals: Hashable, Sendable {
  /// The source's name.
  let source: String
  /// Schema and name, with a dot between.
  let table: String
  /// How many rows were inserted.
  var inserts: UInt64 = 0
  /// How many rows were updated.
  var updates: UInt64 = 0
  /// How many rows were deleted.
  var deletes: UInt64 = 0
  /// All changes, with the times that it was truncated.
  var total: UInt64 = 0

  /// The tables that have series of their own, with the most changes first.
  static func all(_ metrics: Metrics) -> [TableTotals] {
    var tables: [String: TableTotals] = [:]
    for (labels, count) in metrics.counts("psql_streamer_rows_total") {
      var values: [Substring: String] = [:]
      for (name, value) in PrometheusText.labels(labels) { values[name] = value }
      guard let source = values["sourceName"], let schema = values["schema"],
        let name = values["table"], let action = values["action"]
      else { continue }
      let table = schema == TableBook.other ? "all others" : "\(schema).\(name)"
      // No name holds a zero byte.
      let key = "\(source)\0\(table)"
      tables[key, default: TableTotals(source: source, table: table)].add(count, action)
    }
    return tables.values.sorted {
      ($1.total, $0.source, $0.table) < ($0.total, $1.source, $1.table)
    }
  }

  private mutating func add(_ count: UInt64, _ action: String) {
    total += count
    switch action {
    case "insert": inserts += count
    case "update": updates += count
    case "delete": deletes += count
    default: break
    }
  }
}

extension PrometheusText {
  /// Takes labels apart that were printed, `name="value",name="value"`.
  static func labels(_ text: String) -> [(name: Substring, value: String)] {
    var labels: [(name: Substring, value: String)] = []
    var rest = text.unicodeScalars[...]
    while let equals = rest.firstIndex(of: "=") {
      let name = Substring(rest[..<equals])
      rest = rest[equals...].dropFirst(2)
      var value = String.UnicodeScalarView()
      while let scalar = rest.popFirst(), scalar != "\"" {
        guard scalar == "\\", let escaped = rest.popFirst() else {
          value.append(scalar)
          continue
        }
        value.append(escaped == "n" ? "\n" : escaped)
      }
      labels.append((name, String(value)))
      rest = rest.drop { $0 == "," }
    }
    return labels
  }
}
