import PGWire

/// What can be compared: whether a sink's topic holds, by itself, what a table has.
enum VerifyScope {
  /// Why a table cannot be compared with its topic; nil when it can.
  static func obstacle(_ table: SnapshotTable, _ setup: LaneSetup) -> String? {
    let rule = setup.rules.rule(schema: table.relation.schema, table: table.relation.name)
    guard !table.key.isEmpty || rule.key != nil else {
      return "it has no key, so no record replaces another"
    }
    if let actions = rule.actions, !actions.isSuperset(of: [.insert, .update, .delete, .read]) {
      return "the sink's rule leaves out some of its actions"
    }
    if setup.format == .debezium || setup.format == .flat,
      !setup.debezium.skippedOperations.isDisjoint(with: ["c", "r", "u", "d"])
    {
      return "the sink leaves out operations (skippedOperations)"
    }
    if setup.format == .flat, setup.flat.deletes == .drop {
      return "the sink leaves out deletes (flat.deletes)"
    }
    return nil
  }

  /// Why the records of a format cannot be read; nil when they can.
  static func obstacle(_ format: FormatConfiguration.Name) -> String? {
    switch format {
    case .psqlStreamer, .debezium, .flat: nil
    default: "format = \"\(format.rawValue)\" is not read by verify yet"
    }
  }
}
