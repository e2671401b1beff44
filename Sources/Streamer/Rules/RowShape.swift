import PGWire

/// Which columns of a table a sink gets, by which names and behind which masks.
struct RowShape {
  /// The table's description as the sink has it.
  let relation: Relation
  /// The places of the columns that it has.
  let kept: [Int]
  /// The masks by the places of their columns.
  let masks: [(column: Int, mask: ValueMask)]
  /// What the columns hold that are added behind them.
  let added: [String]

  /// Works a rule out for a table with the sink's key; throws where it does not fit.
  init(_ rule: TableRules.Rule, _ table: Table) throws(TableRules.Misfit) {
    let relation = table.relation
    try Self.checkNames(rule, relation)
    let columns = relation.columns
    kept = columns.indices.filter { index in
      let name = columns[index].name
      return (rule.columns?.contains(name) ?? true) && rule.exclude?.contains(name) != true
    }
    guard !kept.isEmpty else {
      throw TableRules.Misfit("it leaves no column", key: rule.dropKey)
    }
    for index in table.key + (table.partition ?? []) {
      let name = columns[index].name
      let what = table.key.contains(index) ? "key" : "partition"
      if !kept.contains(index) {
        throw TableRules.Misfit(
          "column \"\(name)\" belongs to the \(what) and cannot be left out", key: rule.dropKey)
      }
      if rule.mask[name] != nil {
        throw TableRules.Misfit(
          "column \"\(name)\" belongs to the \(what) and cannot be masked", key: "mask")
      }
    }
    masks = kept.compactMap { index in
      rule.mask[columns[index].name].map { (column: index, mask: $0) }
    }
    for (index, mask) in masks {
      guard case .truncate = mask, Self.isNoText(columns[index].type) else { continue }
      throw TableRules.Misfit(
        "column \"\(columns[index].name)\" is no text, which \"truncate\" takes", key: "mask")
    }
    added = rule.add.map { $0.text(schema: relation.schema, table: relation.name) ?? "" }
    self.relation = try Self.relation(rule, relation, kept)
  }

  private static func checkNames(
    _ rule: TableRules.Rule, _ relation: Relation
  ) throws(TableRules.Misfit) {
    let names = Set(relation.columns.map(\.name))
    func unknown(_ asked: some Sequence<String>) -> String? {
      asked.sorted().first { !names.contains($0) }
    }
    if let name = unknown(rule.columns ?? []) {
      throw .noColumn(name, key: "columns", in: relation)
    }
    // A pattern's tables need not all have what they may have.
    guard !rule.isPattern else { return }
    if let name = unknown(rule.exclude ?? []) {
      throw .noColumn(name, key: "exclude", in: relation)
    }
    if let name = unknown(rule.rename.keys) { throw .noColumn(name, key: "rename", in: relation) }
    if let name = unknown(rule.mask.keys) { throw .noColumn(name, key: "mask", in: relation) }
  }

  private static func relation(
    _ rule: TableRules.Rule, _ relation: Relation, _ kept: [Int]
  ) throws(TableRules.Misfit) -> Relation {
    var names: Set<String> = []
    var columns: [Relation.Column] = []
    for index in kept {
      let column = relation.columns[index]
      let name = rule.rename[column.name] ?? column.name
      guard names.insert(name).inserted else {
        throw TableRules.Misfit("two columns would be \"\(name)\"", key: "rename")
      }
      let becomesText =
        rule.mask[column.name]?.makesText == true && !Self.texts.contains(column.type)
      columns.append(
        Relation.Column(
          name: name, isKey: column.isKey, type: becomesText ? 25 : column.type,
          modifier: becomesText ? -1 : column.typeModifier))
    }
    for addition in rule.add {
      guard names.insert(addition.name).inserted else {
        throw TableRules.Misfit(
          "it would have two columns \"\(addition.name)\"", key: "add")
      }
      columns.append(
        Relation.Column(
          name: addition.name, isKey: relation.replicaIdentity == .full, type: 25))
    }
    return Relation(
      oid: relation.oid, schema: relation.schema, name: relation.name,
      replicaIdentity: relation.replicaIdentity, columns: columns)
  }

  /// text, varchar, char(n), name.
  private static let texts: Set<UInt32> = [25, 1043, 1042, 19]

  private static func isNoText(_ type: UInt32) -> Bool {
    type < TypeCatalog.firstUserType && !texts.contains(type)
  }
}

extension TableRules.Rule {
  /// The key that says which columns are left out.
  var dropKey: String { columns != nil ? "columns" : "exclude" }
}

extension TableRules.Misfit {
  /// A rule names a column that the table does not have.
  static func noColumn(_ name: String, key: String, in relation: Relation) -> TableRules.Misfit {
    let near = NearestName.of(name, among: relation.columns.map(\.name))
    return TableRules.Misfit(
      "it has no published column \"\(name)\"" + (near.map { " (it has \"\($0)\")" } ?? ""),
      key: key)
  }
}
