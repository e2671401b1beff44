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

  /// Asks for what was found, and says in remarks what was asked for.
  func mend(
    _ part: PartVerification, _ setup: LaneSetup, _ remarks: inout [String]
  ) throws(StreamerError) {
    for (index, subject) in part.rows.subjects.enumerated() {
      let finding = part.findings[index]
      try delete(part, index, setup, &remarks)
      guard let keys = part.differing[index], !keys.isEmpty else { continue }
      guard keys.count < Limits.verifyRepairs,
        let conditions = RecordKeys.conditions(for: keys, of: subject.table, setup)
      else {
        try ask(for: subject.table, nil)
        remarks.append(
          "\(finding.table) of \(finding.sink): a copy of the whole table was asked for")
        continue
      }
      for condition in conditions { try ask(for: subject.table, condition) }
      remarks.append(
        "\(finding.table) of \(finding.sink): copies of \(keys.count) rows were asked for")
    }
  }

  /// Asks for deletes of the keys that only the topic has: the instance looks again at its own
  /// snapshot which of them have no row.
  private func delete(
    _ part: PartVerification, _ index: Int, _ setup: LaneSetup, _ remarks: inout [String]
  ) throws(StreamerError) {
    let (table, finding) = (part.rows.subjects[index].table, part.findings[index])
    guard let keys = part.extra[index], !keys.isEmpty else { return }
    let place = "\(finding.table) of \(finding.sink)"
    guard table.mayTellGone, let lists = RecordKeys.gone(keys, of: table, setup) else {
      remarks.append(
        "\(place): \(finding.counts[.extra] ?? 0) extra keys stay in the topic: delete them "
          + "there, or insert and delete such rows")
      return
    }
    for list in lists { try ask(.tellGone(table: table.pattern, keys: list)) }
    remarks.append("\(place): deletes of \(keys.count) keys were asked for")
  }

  private func ask(for table: SnapshotTable, _ condition: String?) throws(StreamerError) {
    try ask(.copy(tables: [table.pattern], filter: condition))
  }

  private func ask(_ command: CopyCommand) throws(StreamerError) {
    _ = try SnapshotCommand.ask(
      SnapshotCommand.message(command, source: source), at: location, token)
  }
}
