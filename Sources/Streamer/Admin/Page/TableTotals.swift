/// How often the rows of one table have changed, as `psql_streamer_rows_total` counts it.
struct TableTotals: Hashable, Sendable {
  /// The source's name.
  let source: String
  /// Schema and name, with a dot between.
  let table: String
  /// How many rows were inserted.
  let inserts: UInt64
  /// How many rows were updated.
  let updates: UInt64
  /// How many rows were deleted.
  let deletes: UInt64
  /// All changes, with the times that it was truncated.
  let total: UInt64

  /// The counters of one table while they are put together.
  private struct Counts {
    var byAction: [Substring: UInt64] = [:]
    var total: UInt64 = 0
  }

  /// The tables with the most changes, at most `limit` of them, and how many there are.
  static func busiest(_ limit: Int, of metrics: Metrics) -> (listed: [TableTotals], count: Int) {
    // A table's series differ in their last label only. The others are taken apart for what is
    // listed, and not for each of thousands.
    var tables: [Substring: Counts] = [:]
    for (labels, count) in metrics.counts("psql_streamer_rows_total") {
      guard let comma = labels.utf8.lastIndex(of: UInt8(ascii: ",")) else { continue }
      let action = labels[comma...].dropFirst(#",action=""#.utf8.count).dropLast()
      tables[labels[..<comma], default: Counts()].byAction[action] = count
      tables[labels[..<comma]]?.total += count
    }
    let listed = tables.sorted { ($1.value.total, $0.key) < ($0.value.total, $1.key) }.prefix(limit)
    return (listed.compactMap { TableTotals($0.key, $0.value) }, tables.count)
  }

  private init?(_ labels: Substring, _ counts: Counts) {
    var values: [Substring: String] = [:]
    for (name, value) in PrometheusText.labels(labels) { values[name] = value }
    guard let source = values["sourceName"], let schema = values["schema"],
      let name = values["table"]
    else { return nil }
    self.source = source
    table = schema == TableBook.other ? "all others" : "\(schema).\(name)"
    inserts = counts.byAction["insert"] ?? 0
    updates = counts.byAction["update"] ?? 0
    deletes = counts.byAction["delete"] ?? 0
    total = counts.total
  }
}

extension PrometheusText {
  /// Takes labels apart that were printed, `name="value",name="value"`.
  static func labels(_ text: Substring) -> [(name: Substring, value: String)] {
    var labels: [(name: Substring, value: String)] = []
    var rest = text.unicodeScalars
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
