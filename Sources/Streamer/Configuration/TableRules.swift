import PGWire

/// What a sink does with single tables: `[sink.NAME.table."schema.table"]`.
struct TableRules: Hashable, Sendable {
  /// The rules of one table or pattern; a part that says nothing leaves what else holds.
  struct Rule: Hashable, Sendable {
    /// The columns of the key, in the table's order; nil for the table's own key.
    var key: [String]?
    /// The columns that decide the partition; nil for the key.
    var partitionBy: [String]?

    /// Whether it changes nothing.
    var isEmpty: Bool { self == Rule() }
  }

  /// A pattern and its rule.
  struct Entry: Hashable, Sendable {
    /// Which tables.
    let tables: TablePattern
    /// What is different for them.
    let rule: Rule
  }

  /// The rules, the most precise first, those of the same precision in the order of the file.
  private(set) var entries: [Entry] = []

  /// No rules.
  init() {}

  /// These rules.
  init(_ entries: [Entry]) {
    self.entries = entries.enumerated().sorted {
      (-$0.element.tables.precision, $0.offset) < (-$1.element.tables.precision, $1.offset)
    }.map(\.element)
  }

  /// The rule for a table: that of the most precise pattern which covers it.
  func rule(schema: String, table: String) -> Rule {
    entries.first { $0.tables.matches(schema: schema, table: table) }?.rule ?? Rule()
  }

  /// Reads the tables below `table`.
  init(in reader: inout ConfigurationReader) {
    guard var section = reader.section("table", subject: "rules of tables") else {
      self.init()
      return
    }
    var entries: [Entry] = []
    for entry in section.table.entries {
      guard case .table(let below) = entry.value.content else {
        section.fail(
          entry.key, at: entry.position, found: entry.value.kind, expected: "a table of rules")
        continue
      }
      // `table.public.orders` without quotes is a table in a table to TOML.
      let isNested =
        TablePattern(entry.key)?.schema == nil && !below.entries.isEmpty
        && below.entries.allSatisfy { if case .table = $0.value.content { true } else { false } }
      guard isNested else {
        if let rule = section.rule(entry, TablePattern(entry.key)) { entries.append(rule) }
        continue
      }
      guard var inner = section.section(entry, subject: "rules of tables") else { continue }
      for table in below.entries {
        let pattern = TablePattern(schema: entry.key, table: table.key)
        if let rule = inner.rule(table, pattern) { entries.append(rule) }
      }
      section.absorb(inner)
    }
    reader.absorb(section)
    self.init(entries)
  }
}

extension TableRules {
  /// Why a rule cannot be followed for a table as it is described.
  struct Misfit: Error, Hashable {
    /// A sentence without its table.
    let why: String
  }
}

extension TableRules.Rule {
  /// The places of columns that every old row has: only then is a change of them seen.
  func positions(
    of names: [String], in relation: Relation
  ) throws(TableRules.Misfit) -> [Int] {
    var places: [Int] = []
    for name in names {
      guard let place = relation.columns.firstIndex(where: { $0.name == name }) else {
        throw TableRules.Misfit(why: "it has no published column \"\(name)\"")
      }
      switch relation.replicaIdentity {
      case .full, .nothing: break
      case .primaryKey, .index:
        guard relation.columns[place].isKey else {
          throw TableRules.Misfit(
            why: "column \"\(name)\" is no part of its replica identity, so updates and deletes "
              + "do not say what it was")
        }
      }
      places.append(place)
    }
    return places
  }

  /// Whether the rule can be followed for a table; what else of it may not fit comes here.
  func check(_ relation: Relation) throws(TableRules.Misfit) {
    _ = try Table(relation, catalogKey: []).adopting(self)
  }
}

extension ConfigurationReader {
  /// Reads the rules of one table.
  fileprivate mutating func rule(
    _ entry: TOMLTable.Entry, _ tables: TablePattern?
  ) -> TableRules.Entry? {
    guard let tables else {
      fail(entry.key, at: entry.position, found: "no table's name", expected: TablePattern.expected)
      return nil
    }
    guard var section = section(entry, subject: "a rule of a table") else { return nil }
    var rule = TableRules.Rule()
    let columns = "a list of columns such as [\"id\"]"
    if section.has("key") {
      rule.key = section.requiredTexts("key", expected: columns).map(\.value)
    }
    if section.has("partitionBy") {
      rule.partitionBy = section.requiredTexts("partitionBy", expected: columns).map(\.value)
    }
    section.finish()
    absorb(section)
    return TableRules.Entry(tables: tables, rule: rule)
  }
}
