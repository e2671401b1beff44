extension ConfigurationReader {
  private static let columnsExpected = "a list of columns such as [\"id\"]"

  /// Reads the rules of one table.
  mutating func rule(
    _ entry: TOMLTable.Entry, _ tables: TablePattern?, for sink: TableRules.Sink
  ) -> TableRules.Entry? {
    guard let tables else {
      fail(entry.key, at: entry.position, found: "no table's name", expected: TablePattern.expected)
      return nil
    }
    guard var section = section(entry, subject: "a rule of a table") else { return nil }
    var rule = TableRules.Rule()
    rule.isPattern = !tables.isExact
    rule.key = section.columns("key")
    rule.partitionBy = section.columns("partitionBy")
    rule.columns = section.columns("columns")
    rule.exclude = section.columns("exclude")
    section.checkColumns()
    rule.rename = section.names("rename")
    rule.add = section.additions()
    rule.mask = section.masks()
    rule.filter = section.filter()
    rule.actions = section.actions()
    if section.has("skipUnchanged") {
      rule.skipUnchanged = section.boolean("skipUnchanged", default: false)
    }
    rule.format = section.ownFormat(sink)
    rule.tombstones = section.tombstones(rule.format ?? sink.format)
    rule.topic = section.ownTopic(sink)
    section.finish()
    let places = Dictionary(
      section.table.entries.map { ($0.key.lowercased(), section.place(of: $0)) }
        + [("", "\(context.file):\(section.position.line): \(section.path)")]
    ) { first, _ in first }
    absorb(section)
    return TableRules.Entry(tables: tables, rule: rule, places: places)
  }

  /// Where a key stands, as an error names it.
  private func place(of entry: TOMLTable.Entry) -> String {
    "\(context.file):\(entry.position.line): \(path(of: entry.key))"
  }

  private mutating func columns(_ key: String) -> [String]? {
    has(key) ? requiredTexts(key, expected: Self.columnsExpected).map(\.value) : nil
  }

  private mutating func checkColumns() {
    guard has("columns"), let entry = entry("exclude") else { return }
    fail(
      "exclude", at: entry.position, found: "both columns and exclude", expected: "one of them",
      hint: "columns names what the sink gets, exclude what it does not.")
  }

  /// Reads `{ old = "new" }`.
  private mutating func names(_ key: String) -> [String: String] {
    guard var section = section(key, subject: "names of columns") else { return [:] }
    var names: [String: String] = [:]
    for entry in section.table.entries {
      guard case .string(let raw) = entry.value.content,
        let text = section.expand(raw, of: entry.key, at: entry.position), !text.value.isEmpty
      else {
        section.fail(
          entry.key, at: entry.position, found: entry.value.summary,
          expected: "a column's new name")
        continue
      }
      names[entry.key] = text.value
    }
    absorb(section)
    return names
  }

  /// Reads `{ name = "text" }`.
  private mutating func additions() -> [TableRules.Addition] {
    guard var section = section("add", subject: "columns to add") else { return [] }
    var additions: [TableRules.Addition] = []
    for entry in section.table.entries {
      guard case .string(let raw) = entry.value.content else {
        section.fail(
          entry.key, at: entry.position, found: entry.value.summary, expected: "a string")
        continue
      }
      guard let text = section.expand(raw, of: entry.key, at: entry.position) else { continue }
      let addition = TableRules.Addition(name: entry.key, template: text.value)
      guard !entry.key.isEmpty, addition.text(schema: "", table: "") != nil else {
        section.fail(
          entry.key, at: entry.position, found: text.shown,
          expected: "a column's name, and a text with no other braces than {schema} and {table}")
        continue
      }
      additions.append(addition)
    }
    absorb(section)
    return additions
  }

  private mutating func masks() -> [String: ValueMask] {
    guard var section = section("mask", subject: "masks of columns") else { return [:] }
    var masks: [String: ValueMask] = [:]
    for entry in section.table.entries {
      guard case .string(let raw) = entry.value.content else {
        section.fail(
          entry.key, at: entry.position, found: entry.value.kind, expected: ValueMask.expected)
        continue
      }
      guard let text = section.expand(raw, of: entry.key, at: entry.position) else { continue }
      guard let mask = ValueMask(text.value) else {
        // A salt is nobody's business.
        let kind = raw.split(separator: ":", maxSplits: 1).first.map { "\"\($0)…\"" } ?? "\"\""
        section.fail(
          entry.key, at: entry.position, found: "\(kind), which is no mask",
          expected: ValueMask.expected,
          hint: "Algorithms are those of OpenSSL, such as SHA-256; a salt is not empty.")
        continue
      }
      masks[entry.key] = mask
    }
    absorb(section)
    return masks
  }

  private mutating func filter() -> WhereExpression? {
    guard let text = text("where") else { return nil }
    do throws(WhereError) {
      return try WhereParser.parse(text.value)
    } catch {
      fail(
        "where", at: text.position, found: "\(error.found) at character \(error.column)",
        expected: error.expected)
      return nil
    }
  }

  private mutating func actions() -> RowActions? {
    guard has("actions") else { return nil }
    let names = RowActions.names.map { "\"\($0.name)\"" }.joined(separator: ", ")
    var actions: RowActions = []
    for text in requiredTexts("actions", expected: "a list of \(names)") {
      guard let action = RowActions.names.first(where: { $0.name == text.value })?.action else {
        let near = NearestName.of(text.value, among: RowActions.names.map(\.name))
        fail(
          "actions", at: text.position, found: text.shown, expected: "some of \(names)",
          hint: near.map { "Did you mean \"\($0)\"?" } ?? "")
        continue
      }
      actions.insert(action)
    }
    return actions
  }

  private mutating func ownFormat(_ sink: TableRules.Sink) -> FormatConfiguration.Name? {
    guard has("format") else { return nil }
    let format = choice("format", default: sink.format)
    if !sink.type.carries(format) { refuse(format) }
    return format
  }

  private mutating func tombstones(_ format: FormatConfiguration.Name) -> Bool? {
    guard let entry = entry("tombstones") else { return nil }
    guard format.isDebeziums else {
      fail(
        "tombstones", at: entry.position, found: "tombstones",
        expected: "format = \"debezium\" or \"flat\", which have them")
      return nil
    }
    return boolean("tombstones", default: true)
  }

  private mutating func ownTopic(_ sink: TableRules.Sink) -> String? {
    guard let entry = entry("topic") else { return nil }
    guard sink.type == .kafka else {
      fail(
        "topic", at: entry.position, found: "a topic",
        expected: "type = \"kafka\", which has topics")
      return nil
    }
    return template("topic")
  }
}
