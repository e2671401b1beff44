import PGWire

/// The keys of records as the server reads them.
enum RecordKeys {
  /// Types whose values keys write as the server reads them.
  private static let plain: Set<UInt32> = [20, 21, 23, 25, 26, 1042, 1043, 2950]

  /// The keys as the server reads them, with the same columns each; nil where one does not say it in
  /// the server's own words.
  private static func plainKeys(
    _ keys: [[UInt8]], of table: SnapshotTable, _ setup: LaneSetup
  ) -> [[(name: String, text: String)]]? {
    let rule = setup.rules.rule(schema: table.relation.schema, table: table.relation.name)
    guard rule.rename.isEmpty else { return nil }
    var all: [[(name: String, text: String)]] = []
    for key in keys {
      guard var document = JSONValue(key) else { return nil }
      if let payload = document["payload"], document["schema"] != nil { document = payload }
      var members: [(name: String, text: String)] = []
      for member in document.members {
        guard let column = table.relation.columns.first(where: { $0.name == member.name }),
          plain.contains(column.type)
        else { return nil }
        switch member.value {
        case .number(let digits): members.append((member.name, digits))
        case .string(let text) where !text.contains("\\"): members.append((member.name, text))
        default: return nil
        }
      }
      let names = members.map(\.name)
      guard !names.isEmpty, all.first.map({ $0.map(\.name) == names }) ?? true else { return nil }
      all.append(members)
    }
    return all
  }

  /// Lists of keys that may have no row, as JSON, some keys in each; nil where they are not those of
  /// the table's rows.
  static func gone(
    _ keys: [[UInt8]], of table: SnapshotTable, _ setup: LaneSetup
  ) -> [String]? {
    guard let all = plainKeys(keys, of: table, setup), let first = all.first,
      Set(first.map(\.name)) == Set(table.key.map { table.relation.columns[$0].name })
    else { return nil }
    return stride(from: 0, to: all.count, by: Limits.verifyRepairKeys).map { start in
      var json = JSONText()
      json.array { json in
        for key in all[start..<min(start + Limits.verifyRepairKeys, all.count)] {
          json.object { json in
            for member in key {
              json.key(member.name)
              json.value(member.text)
            }
          }
        }
      }
      return String(decoding: json.bytes, as: UTF8.self)
    }
  }

  /// Conditions that the rows with these keys meet, some keys in each; nil where a key does not say it
  /// in the server's own words.
  static func conditions(
    for keys: [[UInt8]], of table: SnapshotTable, _ setup: LaneSetup
  ) -> [String]? {
    guard let all = plainKeys(keys, of: table, setup), let first = all.first else { return nil }
    let columns = first.map(\.name)
    let rows = all.map { key in
      let values = key.map { "'\($0.text.replacing("'", with: "''"))'" }
      return "(\(values.joined(separator: ", ")))"
    }
    let names = columns.map(ReplicationCommand.identifier).joined(separator: ", ")
    return stride(from: 0, to: rows.count, by: Limits.verifyRepairKeys).map { start in
      let some = rows[start..<min(start + Limits.verifyRepairKeys, rows.count)]
      return "(\(names)) IN (\(some.joined(separator: ", ")))"
    }
  }
}

extension SnapshotTable {
  /// The pattern that names this table and no other.
  var pattern: String {
    "\(TablePolicy.Name(schema: relation.schema, table: relation.name).pattern)"
  }
}
