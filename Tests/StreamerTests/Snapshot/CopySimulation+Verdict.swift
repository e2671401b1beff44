import PGWire
import Support

@testable import Streamer

/// What the consumer has in the end.
extension CopySimulation {
  /// What is wrong with what the consumer has; nil for nothing.
  func verdict() -> String? {
    var rows: [String: (place: [Int], version: Int, row: Row?)] = [:]
    // The large value that a key had last, and that of the row whose deletion came last: an event of a
    // key that was changed leaves it out.
    var bigs: [String: Int] = [:]
    var left: (place: [Int], big: Int?) = ([], nil)
    for (_, record) in sink.delivered {
      guard let event = try? JSON(record), let columns = event["Columns"],
        let key = columns["id"]?.string
      else { return "no event: \(record)" }
      if event["Table"]?.string == Self.still.relation.name { continue }
      let place = [event["WALPosition"]?.int ?? -1, event["Ordinal"]?.int ?? -1]
      let version = columns["v"]?.int ?? -1
      let known = rows[key]
      if event["Action"]?.string == "delete" { left = (place, bigs[key]) }
      if let known, place.lexicographicallyPrecedes(known.place) || place == known.place {
        // Only what comes again after a loss is older than what is known.
        if crashes + losses == 0 { return "an older place after a newer one: \(record)" }
        continue
      }
      if event["Action"]?.string == "delete" {
        rows[key] = (place, known?.version ?? 0, nil)
        continue
      }
      if let known, version < known.version { return "an older row after a newer one: \(record)" }
      // A row that was read has all changes that come before it, and none behind it.
      if let known, version == known.version, event["Action"]?.string != "read" {
        return "a change behind the row that has it: \(record)"
      }
      let isMoved =
        event["Action"]?.string == "insert" && left.place == [place[0], place[1] - 1]
      let big =
        columns["big"]?.string.flatMap { Int($0) } ?? (isMoved ? left.big : known?.row?.big)
      bigs[key] = big
      rows[key] = (place, version, Row(version: version, big: big ?? -1))
    }
    for key in Self.keys where rows[Self.name(key)]?.row != row(key) {
      return "key \(key) is \(rows[Self.name(key)].map { "\($0)" } ?? "missing"), not "
        + (row(key).map { "\($0)" } ?? "gone")
    }
    return nil
  }

  /// What is wrong with the copies that were asked for: the rows of each that were visible then and that
  /// nobody has touched since were read after that.
  func verdictOnRequests() -> String? {
    var reads: [String: [Int]] = [:]
    for (number, record) in sink.delivered {
      guard let event = try? JSON(record), event["Action"]?.string == "read",
        let table = event["Table"]?.string, let key = event["Columns"]?["id"]?.string
      else { continue }
      reads["\(table) \(key)", default: []].append(number)
    }
    for (number, tables, handed, visible) in asked where !stopped.contains(number) {
      for table in tables {
        let keys =
          table == Self.still
          ? (0..<5).map { $0 }
          : Self.keys.filter { last($0).map { $0.row != nil && visible.contains($0.xid) } ?? false }
        for key in keys {
          let found = reads["\(table.relation.name) \(Self.name(key))"] ?? []
          if !found.contains(where: { $0 >= handed }) {
            return "copy \(number) has not brought row \(key) of \(table.name)"
          }
        }
      }
    }
    let times = 1 + asked.count { $0.tables.contains(Self.still) }
    if isQuiet,
      let twice = reads.first(where: { $0.key.hasPrefix("still") && $0.value.count != times })
    {
      return "\(twice.key) was read \(twice.value.count) times, not \(times)"
    }
    return nil
  }

  /// What came twice although the sink keeps its position itself; nil for nothing.
  ///
  /// A table without a key is read from its first row again.
  func verdictOnRepetitions() -> String? {
    guard keeper != nil else { return nil }
    var places: Set<[Int]> = []
    var reads: [String: Int] = [:]
    for (_, record) in sink.delivered {
      guard let event = try? JSON(record), event["Table"]?.string == Self.table.relation.name
      else { continue }
      if event["Action"]?.string == "read" {
        reads[event["Columns"]?["id"]?.string ?? "", default: 0] += 1
      } else if !places.insert([event["WALPosition"]?.int ?? -1, event["Ordinal"]?.int ?? -1])
        .inserted
      {
        return "a change came twice: \(record)"
      }
    }
    let copies = 1 + asked.count
    return reads.first { $0.value > copies }.map {
      "row \($0.key) was read \($0.value) times in \(copies) copies"
    }
  }
}
