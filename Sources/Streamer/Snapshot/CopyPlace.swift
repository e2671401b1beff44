/// How far existing rows are written: what a sink keeps beside its position that keeps that itself.
///
/// The store has the same a little later. Who starts again puts it into the store first, so that no row
/// comes twice that was committed and not written down there.
struct CopyPlace: Hashable, Sendable {
  /// Which copy, by its ``CopyRequest/mark``; empty where no row of any has been read.
  var copy = ""
  /// How far the tables are of the round that was read last.
  var tables: [TableProgress] = []
  /// Whether the copy of the start has rows left: a store that knows nothing of it is not the one that
  /// was written with it.
  var isUnfinished = false

  /// What counts where this was written and its rows perhaps were not: the place before, and whatever
  /// is not in it from its first row on.
  func before(_ earlier: CopyPlace?) -> CopyPlace {
    var before = earlier ?? CopyPlace()
    before.isUnfinished = before.isUnfinished || isUnfinished
    guard before.copy != copy else {
      let known = Set(before.tables.map(\.relation))
      before.tables += restarted.filter { !known.contains($0.relation) }
      return before
    }
    before.copy = copy
    before.tables = restarted
    return before
  }

  private var restarted: [TableProgress] {
    tables.map { TableProgress(number: $0.number, relation: $0.relation, name: $0.name) }
  }
}

extension CopyBook {
  /// What a place changes in the book; nothing where the copy is another's, or was ended.
  func changes(by place: CopyPlace) -> CopyBook {
    guard !place.copy.isEmpty, let request = requests.first(where: { $0.mark == place.copy }),
      request.state == .active || request.state == .paused
    else { return CopyBook() }
    var after = self
    for table in place.tables {
      guard let index = after.index(of: table.relation, in: request.number) else { continue }
      after.change(index) { progress in
        progress.lastKey = table.lastKey
        progress.rows = table.rows
        progress.isDone = table.isDone
      }
    }
    return after.changes(since: self)
  }
}

// As JSON, in the record of a position.
extension CopyPlace {
  /// Writes it as an object.
  func write(to text: inout JSONText) {
    text.object { text in
      text.key("copy")
      text.value(copy)
      text.key("unfinished")
      text.value(isUnfinished)
      text.key("tables")
      text.array { text in
        for table in tables {
          text.object { text in
            text.key("relation")
            text.value(Int(table.relation))
            text.key("name")
            text.value(table.name)
            text.key("lastKey")
            text.array { text in for part in table.lastKey { text.value(part) } }
            text.key("rows")
            text.value(Int(table.rows))
            text.key("done")
            text.value(table.isDone)
          }
        }
      }
    }
  }

  /// Reads what ``write(to:)`` writes; nil for anything else.
  init?(_ value: JSONValue) {
    guard let copy = value["copy"]?.string, let tables = value["tables"]?.elements else {
      return nil
    }
    self.copy = copy
    isUnfinished = value["unfinished"]?.bool ?? false
    for table in tables {
      guard let relation = table["relation"]?.integer.flatMap({ UInt32(exactly: $0) }),
        let key = table["lastKey"]?.elements, let rows = table["rows"]?.integer
      else { return nil }
      self.tables.append(
        TableProgress(
          number: 0, relation: relation, name: table["name"]?.string ?? "",
          lastKey: key.compactMap(\.string), rows: Int64(rows),
          isDone: table["done"]?.bool ?? false))
    }
  }
}
