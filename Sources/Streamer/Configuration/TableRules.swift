import PGWire

/// What a sink does with single tables: `[sink.NAME.table."schema.table"]`.
struct TableRules: Hashable, Sendable {
  /// The rules of one table or pattern; a part that says nothing leaves what else holds.
  struct Rule: Hashable, Sendable {
    /// The columns of the key, in the table's order; nil for the table's own key.
    var key: [String]?
    /// The columns that decide the partition; nil for the key.
    var partitionBy: [String]?
    /// The topic; nil for what the sink's other keys say.
    var topic: String?
    /// How events are written; nil for the sink's own format.
    var format: FormatConfiguration.Name?
    /// The columns that the sink gets; nil for all.
    var columns: [String]?
    /// Columns that it does not get.
    var exclude: [String]?
    /// New names of columns.
    var rename: [String: String] = [:]
    /// Columns that the table does not have, and their texts, in which {schema} and {table} stand for
    /// the table's.
    var add: [Addition] = []
    /// What stands for values that nobody is to see.
    var mask: [String: ValueMask] = [:]
    /// Which rows the sink gets; nil for all.
    var filter: WhereExpression?
    /// Which events it gets; nil for all.
    var actions: RowActions?
    /// Whether updates are left out that change no column which the sink gets.
    var skipUnchanged: Bool?
    /// Whether a record without a value follows each delete; nil for what the format says.
    var tombstones: Bool?
    /// Whether it is that of a pattern, whose tables need not all have the same columns.
    var isPattern = false

    /// Whether it changes nothing of rows: at most where they go, and in which format.
    var isEmpty: Bool {
      var rule = self
      rule.topic = nil
      rule.format = nil
      rule.isPattern = false
      return rule == Rule()
    }
  }

  /// A column that a sink's rows have and the table's do not.
  struct Addition: Hashable, Sendable {
    /// Its name.
    let name: String
    /// What each row has there, before {schema} and {table} are known.
    let template: String

    /// What the rows of a table have there; nil for a template with other names or a lone brace.
    func text(schema: String, table: String) -> String? {
      TopicRouting.expand(template) { name in
        switch name {
        case "schema": schema
        case "table": table
        default: nil
        }
      }
    }
  }

  /// A pattern and its rule.
  struct Entry: Hashable, Sendable {
    /// Which tables.
    let tables: TablePattern
    /// What is different for them.
    let rule: Rule
    /// Where the rule's keys stand, by their names: `c.toml:12: sink.out.table."orders".mask`; the
    /// rule itself by an empty one.
    var places: [String: String] = [:]

    static func == (a: Entry, b: Entry) -> Bool { a.tables == b.tables && a.rule == b.rule }

    func hash(into hasher: inout Hasher) {
      hasher.combine(tables)
      hasher.combine(rule)
    }
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
    entry(schema: schema, table: table)?.rule ?? Rule()
  }

  /// The entry whose rule counts for a table.
  func entry(schema: String, table: String) -> Entry? {
    entries.first { $0.tables.matches(schema: schema, table: table) }
  }

  /// The topics of the rules, the first that covers a table before the others; empty where a rule has
  /// none.
  var topics: [TopicRouting.Mapping] {
    guard entries.contains(where: { $0.rule.topic != nil }) else { return [] }
    return entries.map { TopicRouting.Mapping(tables: $0.tables, topic: $0.rule.topic ?? "") }
  }

  /// The formats that rules name.
  var formats: Set<FormatConfiguration.Name> { Set(entries.compactMap(\.rule.format)) }

  /// The formats in use where a sink has one of its own, that first.
  func formats(beside own: FormatConfiguration.Name) -> [FormatConfiguration.Name] {
    let named = formats
    return [own] + FormatConfiguration.Name.allCases.filter { $0 != own && named.contains($0) }
  }

  /// Reads the tables below `table`.
  init(in reader: inout ConfigurationReader, for sink: TableRules.Sink) {
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
      // `table.public.orders` without quotes is a table in a table to TOML; so are a rule's masks.
      let isNested =
        !entry.key.hasPrefix("re:") && TablePattern(entry.key)?.schema == nil
        && below.entries.contains { !["add", "mask", "rename"].contains($0.key.lowercased()) }
        && below.entries.allSatisfy { if case .table = $0.value.content { true } else { false } }
      guard isNested else {
        if let rule = section.rule(entry, TablePattern.reading(entry.key), for: sink) {
          entries.append(rule)
        }
        continue
      }
      guard var inner = section.section(entry, subject: "rules of tables") else { continue }
      for table in below.entries {
        let pattern = TablePattern(schema: entry.key, table: table.key)
        if let rule = inner.rule(table, pattern, for: sink) { entries.append(rule) }
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
    /// The key of the rule that does not fit.
    let key: String

    /// A misfit of a key.
    init(_ why: String, key: String) {
      self.why = why
      self.key = key
    }
  }

  /// What of a sink decides which rules it can have.
  struct Sink {
    /// What it is.
    let type: SinkConfiguration.TypeName
    /// How it writes events.
    let format: FormatConfiguration.Name
  }
}

extension TableRules.Rule {
  /// The places of columns that every old row has: only then is a change of them seen.
  func positions(
    of names: [String], in relation: Relation, key: String
  ) throws(TableRules.Misfit) -> [Int] {
    var places: [Int] = []
    for name in names {
      guard let place = relation.columns.firstIndex(where: { $0.name == name }) else {
        throw .noColumn(name, key: key, in: relation)
      }
      switch relation.replicaIdentity {
      case .full, .nothing: break
      case .primaryKey, .index:
        guard relation.columns[place].isKey else {
          throw TableRules.Misfit(
            "column \"\(name)\" is no part of its replica identity, so updates and deletes "
              + "do not say what it was", key: key)
        }
      }
      places.append(place)
    }
    return places
  }

  /// Whether the rule can be followed for a table, as far as `types` describes its columns.
  func check(
    _ relation: Relation, key: [String] = [], _ types: TypeCatalog = TypeCatalog()
  ) throws(TableRules.Misfit) {
    guard !isEmpty else { return }
    _ = try RowRules(self, Table(relation, catalogKey: key), types)
  }
}
