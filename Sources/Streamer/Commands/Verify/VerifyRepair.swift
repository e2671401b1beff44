import PGWire

/// Asks the running instance for copies of rows that the topic lacks or has otherwise, and for deletes
/// of those that only the topic has.
///
/// Only the instance knows where a row stands among the changes: what it copies never overtakes a
/// change, and none overtakes it.
struct VerifyRepair {
  private let location: HTTPLocation
  private let token: String?
  private let source: String

  /// For the instance that runs a configuration.
  init(_ configuration: Configuration, source: String) throws(StreamerError) {
    location = try HTTPLocation(of: configuration)
    token = configuration.httpToken?.revealed
    self.source = source
  }

  /// Asks for what was found, and says in the report what was asked for.
  func mend(
    _ verification: SinkVerification, _ report: inout VerifyReport
  ) throws(StreamerError) {
    for (index, subject) in verification.subjects.enumerated() {
      let finding = subject.finding
      try delete(verification, index, &report)
      guard let keys = verification.differing[index], !keys.isEmpty else { continue }
      let setup = verification.setup
      guard keys.count < Limits.verifyRepairs,
        let conditions = Self.conditions(for: keys, of: subject.table, setup)
      else {
        try ask(for: subject.table, nil)
        report.remarks.append(
          "\(finding.table) of \(finding.sink): a copy of the whole table was asked for")
        continue
      }
      for condition in conditions { try ask(for: subject.table, condition) }
      report.remarks.append(
        "\(finding.table) of \(finding.sink): copies of \(keys.count) rows were asked for")
    }
  }

  /// Asks for deletes of the keys that only the topic has: the instance looks again at its own
  /// snapshot which of them have no row.
  private func delete(
    _ verification: SinkVerification, _ index: Int, _ report: inout VerifyReport
  ) throws(StreamerError) {
    let subject = verification.subjects[index]
    guard let keys = verification.extra[index], !keys.isEmpty else { return }
    let place = "\(subject.finding.table) of \(subject.finding.sink)"
    guard subject.table.mayTellGone,
      let lists = Self.goneKeys(keys, of: subject.table, verification.setup)
    else {
      report.remarks.append(
        "\(place): \(subject.finding.counts[.extra] ?? 0) extra keys stay in the topic: delete them "
          + "there, or insert and delete such rows")
      return
    }
    for list in lists {
      try ask(.tellGone(table: Self.pattern(of: subject.table), keys: list))
    }
    report.remarks.append("\(place): deletes of \(keys.count) keys were asked for")
  }

  private func ask(for table: SnapshotTable, _ condition: String?) throws(StreamerError) {
    try ask(.copy(tables: [Self.pattern(of: table)], filter: condition))
  }

  private static func pattern(of table: SnapshotTable) -> String {
    "\(TablePolicy.Name(schema: table.relation.schema, table: table.relation.name).pattern)"
  }

  private func ask(_ command: CopyCommand) throws(StreamerError) {
    _ = try SnapshotCommand.ask(
      SnapshotCommand.message(command, source: source), at: location, token)
  }

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
  static func goneKeys(
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
