import PGWire

/// What can be compared: whether a sink's topic holds, by itself, what a table has.
enum VerifyScope {
  /// Why a table cannot be compared with its topic; nil when it can.
  ///
  /// `formats` are those of all tables that have the topic.
  static func obstacle(
    _ table: SnapshotTable, _ setup: LaneSetup, sharing formats: [FormatConfiguration.Name] = []
  ) -> String? {
    let rule = setup.rules.rule(schema: table.relation.schema, table: table.relation.name)
    let format = rule.format ?? setup.format
    if let why = obstacle(format) { return why }
    guard !table.key.isEmpty || rule.key != nil else {
      return "it has no key, so no record replaces another"
    }
    if let actions = rule.actions, !actions.isSuperset(of: [.insert, .update, .delete, .read]) {
      return "the sink's rule leaves out some of its actions"
    }
    let isRow = format.isRow(setup.schemas)
    if format.isDebeziums,
      !setup.debezium.skippedOperations.isDisjoint(with: ["c", "r", "u", "d"])
    {
      return "the sink leaves out operations (skippedOperations)"
    }
    if isRow, setup.flat.deletes == .drop {
      return "the sink leaves out deletes (flat.deletes)"
    }
    if formats.contains(where: { $0 != format }) {
      return "its topic has records of other formats too"
    }
    // A row alone does not say which table it is of.
    if isRow, formats.count > 1 {
      return "its topic has rows of other tables too, and they do not say which"
    }
    return nil
  }

  /// Why no records of a sink with these formats can be read; nil when some can.
  static func obstacle(_ formats: [FormatConfiguration.Name]) -> String? {
    let obstacles = formats.map(obstacle)
    return obstacles.contains(nil) ? nil : obstacles.first ?? nil
  }

  /// Why the records of a format cannot be read; nil when they can.
  private static func obstacle(_ format: FormatConfiguration.Name) -> String? {
    switch format {
    case .psqlStreamer, .debezium, .flat, .avro, .protobuf, .jsonSchema: nil
    case .cloudEvents, .text: "format = \"\(format.rawValue)\" is not read by verify yet"
    }
  }
}
