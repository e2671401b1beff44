import Support

/// A consumer that keeps the newest row of each key, by the place of its event.
struct Fold {
  private var rows: [String: (place: [Int], columns: JSON?)] = [:]
  /// Where tables were emptied last.
  private var emptied: [String: [Int]] = [:]
  private var seen: Set<String> = []
  /// The row whose deletion came last.
  private var left: (table: String, place: [Int], columns: JSON?) = ("", [], nil)
  /// The tables of rows without a key.
  private(set) var withoutKey: [String] = []
  /// Events that came behind a newer one of their key, and events that came twice.
  private(set) var older = 0
  private(set) var repeats = 0

  mutating func take(_ event: JSON) {
    let table = event["Table"]?.string ?? ""
    let place = [event["WALPosition"]?.int ?? -1, event["Ordinal"]?.int ?? -1]
    if event["Action"]?.string == "truncate" { return empty(table, at: place) }
    guard let key = event["Key"], case .object = key else { return withoutKey.append(table) }
    if !seen.insert(event["UUID"]?.string ?? "").inserted { repeats += 1 }
    if let end = emptied[table], place.lexicographicallyPrecedes(end) { return }
    let name = "\(table) \(key)"
    if let known = rows[name], known.place.lexicographicallyPrecedes(place) == false {
      older += 1
      return
    }
    let isGone = event["Action"]?.string == "delete"
    if isGone { left = (table, place, rows[name]?.columns) }
    // A changed key is a delete and, right behind it, an insert.
    let isMoved =
      event["Action"]?.string == "insert" && left.table == table
      && left.place == [place[0], place[1] - 1]
    var columns = event["Columns"]
    // What was not sent is what it was.
    for unsent in event["Unchanged"]?.elements ?? [] {
      guard let column = unsent.string, case .object(let members)? = columns,
        let value = (isMoved ? left.columns : rows[name]?.columns)?[column]
      else { continue }
      columns = .object(members + [JSON.Member(column, value)])
    }
    rows[name] = (place, isGone ? nil : columns)
  }

  private mutating func empty(_ table: String, at place: [Int]) {
    emptied[table] = [emptied[table] ?? place, place].max { $0.lexicographicallyPrecedes($1) }
    for (name, row) in rows
    where name.hasPrefix("\(table) ") && row.place.lexicographicallyPrecedes(place) {
      rows[name] = nil
    }
  }

  /// What a table's rows are made to.
  func rows<T: Hashable>(of table: String, _ make: (JSON) -> T) -> Set<T> {
    Set(
      rows.filter { $0.key.hasPrefix("\(table) ") }.values.compactMap { $0.columns.map(make) })
  }
}

extension Subprocess {
  /// Whether the program had begun a copy that had not ended, as its log says.
  var wasCopying: Bool {
    let log = standardError.split(separator: "\n")
    let begun = log.count { $0.contains("copying existing rows") }
    return begun > log.count { $0.contains("existing rows are copied") }
  }
}
