/// Where a Kafka sink sends the rows of which table.
struct TopicRouting: Sendable {
  /// A line of `tableTopicMapping`.
  struct Mapping: Hashable, Sendable {
    /// Which tables.
    let tables: TablePattern
    /// Their topic.
    let topic: String
  }

  /// The mappings, the most precise first, those of the same precision in the order of the file.
  var mappings: [Mapping] { didSet { index = TopicIndex(mappings) } }
  /// The topic's name with ``fields``; for tables without a mapping.
  var template: String?
  /// What is replaced in the names that the template makes.
  var regex: TopicRegex?
  /// The topic of what is left.
  var fallback: String?
  /// Tables that are left out, whatever else covers them.
  var excluded: [TablePattern] = [] {
    didSet { exclusions = TopicIndex(excluded.map { Mapping(tables: $0, topic: "") }) }
  }
  /// What becomes of a name that the template makes and Kafka does not take.
  var names = TopicNames.refuse
  /// The source and the sink whose names templates may have; nil where no source is known.
  var lane: Lane?
  /// The topics of tables' own rules, with ``fields``, which come before all else; empty where a rule
  /// has none.
  var ruled: [Mapping] = [] { didSet { ruledIndex = TopicIndex(ruled) } }
  private var ruledIndex = TopicIndex([])
  private var exclusions = TopicIndex([])
  private var index: TopicIndex

  /// Routes by `mappings`, then by `template`, then to `fallback`.
  init(mappings: [Mapping] = [], template: String? = nil, fallback: String? = nil) {
    self.mappings = mappings
    self.template = template
    self.fallback = fallback
    index = TopicIndex(mappings)
  }

  /// What a template may have between braces.
  static let fields = ["database", "schema", "table", "source", "sink"]

  /// The way from a source to a sink, by their names.
  struct Lane: Hashable, Sendable {
    /// The name of the `[source.NAME]`.
    let source: String
    /// The name of the `[sink.NAME]`.
    let sink: String
  }

  /// What becomes of a topic's name that Kafka does not take.
  enum TopicNames: String, CaseIterable, Sendable {
    /// The table has no topic.
    case refuse
    /// What is not permitted becomes "_".
    case replace
  }

  /// Whether a table is left out, whatever else covers it.
  func excludes(schema: String, table: String) -> Bool {
    !excluded.isEmpty && exclusions.first(schema: schema, table: table) != nil
  }

  /// The topic of a table; `nil` leaves the table out.
  ///
  /// It makes strings: once for a relation, not for each row. A name may come out that Kafka does
  /// not take, see ``isTopicName(_:)``.
  func topic(database: String, schema: String, table: String) -> String? {
    if excludes(schema: schema, table: table) { return nil }
    let own = ownTemplate(schema: schema, table: table)
    if own == nil {
      if let place = index.first(schema: schema, table: table) { return mappings[place].topic }
      guard template != nil else { return fallback }
    }
    let name = made(database: database, schema: schema, table: table)?.name
    guard own == nil, let regex else { return legal(name) }
    return legal(name.map(regex.replace))
  }

  private func legal(_ name: String?) -> String? {
    names == .replace ? name.map(Self.legalName) : name
  }

  /// The topic's template that a table's own rule has.
  private func ownTemplate(schema: String, table: String) -> String? {
    guard !ruled.isEmpty, let place = ruledIndex.first(schema: schema, table: table) else {
      return nil
    }
    return ruled[place].topic.isEmpty ? nil : ruled[place].topic
  }

  /// Every topic that is named in whole, whatever its tables.
  var named: [String] {
    ruled.filter { !$0.topic.isEmpty }.compactMap { legal(Self.expand($0.topic, name(of:))) }
      .filter(Self.isTopicName) + mappings.map(\.topic).filter { !$0.isEmpty }
      + [fallback].compactMap(\.self)
  }

  private func name(of field: Substring) -> String? {
    switch field {
    case "source": lane?.source
    case "sink": lane?.sink
    default: nil
    }
  }

  private func expand(
    _ template: String, database: String, schema: String, table: String
  ) -> String? {
    Self.expand(template) { field in
      switch field {
      case "database": database
      case "schema": schema
      case "table": table
      default: name(of: field)
      }
    }
  }

  /// The name that a template makes, with nothing in it replaced, and that template; `nil` where a
  /// table's topic is made by none.
  func made(
    database: String, schema: String, table: String
  ) -> (name: String, template: String)? {
    guard !excludes(schema: schema, table: table),
      let template = ownTemplate(schema: schema, table: table)
        ?? (index.first(schema: schema, table: table) == nil ? template : nil),
      let name = expand(template, database: database, schema: schema, table: table)
    else { return nil }
    return (name, template)
  }

  /// A name that Kafka takes: what is not permitted becomes "_", and what is too long is cut.
  static func legalName(_ name: String) -> String {
    var legal = ""
    for scalar in name.unicodeScalars.prefix(longestName) {
      legal.unicodeScalars.append(isTopicName("a\(scalar)") ? scalar : "_")
    }
    return isTopicName(legal) ? legal : "_" + legal.dropFirst()
  }

  /// How many bytes a topic's name has at most.
  private static let longestName = 249

  /// Replaces each {name}; `nil` when a name is unknown or a brace has no partner.
  static func expand(_ template: String, _ value: (Substring) -> String?) -> String? {
    var result = ""
    var rest = Substring(template)
    while let brace = rest.firstIndex(where: { $0 == "{" || $0 == "}" }) {
      result += rest[..<brace]
      guard rest[brace] == "{", let end = rest[brace...].firstIndex(of: "}"),
        let part = value(rest[rest.index(after: brace)..<end])
      else { return nil }
      result += part
      rest = rest[rest.index(after: end)...]
    }
    return result + rest
  }

  /// Whether Kafka takes `name` as a topic's: 1 to 249 of letters, digits, ".", "_" and "-".
  static func isTopicName(_ name: String) -> Bool {
    let allowed = name.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"),
        UInt8(ascii: "-"):
        true
      default: false
      }
    }
    return allowed && (1...longestName).contains(name.utf8.count) && name != "." && name != ".."
  }
}

extension TopicRouting: Hashable {
  /// Compares what was configured.
  static func == (a: TopicRouting, b: TopicRouting) -> Bool {
    a.mappings == b.mappings && a.template == b.template && a.fallback == b.fallback
      && a.excluded == b.excluded && a.names == b.names && a.ruled == b.ruled && a.regex == b.regex
      && a.lane == b.lane
  }

  /// Hashes what was configured.
  func hash(into hasher: inout Hasher) {
    hasher.combine(mappings)
    hasher.combine(template)
    hasher.combine(fallback)
    hasher.combine(excluded)
    hasher.combine(names)
    hasher.combine(ruled)
    hasher.combine(regex)
    hasher.combine(lane)
  }
}

extension ConfigurationReader {
  private static let topicExpected = "a topic's name: letters, digits, \".\", \"_\" and \"-\""

  /// Reads a topic's name; `nil` when it is not set, empty or wrong.
  mutating func topic(_ key: String) -> String? {
    guard let text = text(key), !text.value.isEmpty else { return nil }
    guard TopicRouting.isTopicName(text.value) else {
      fail(key, at: text.position, found: text.shown, expected: Self.topicExpected)
      return nil
    }
    return text.value
  }

  /// Reads a topic's name with such fields; nil when it is missing, or wrong.
  mutating func template(
    _ key: String, fields: [String] = TopicRouting.fields
  ) -> String? {
    guard let text = text(key), !text.value.isEmpty else { return nil }
    let sample = TopicRouting.expand(text.value) { fields.contains(String($0)) ? "x" : nil }
    if let sample, TopicRouting.isTopicName(sample) { return text.value }
    let names = fields.map { "{\($0)}" }
    let last = names.last ?? ""
    let rest = names.dropLast().joined(separator: ", ")
    fail(
      key, at: text.position, found: text.shown,
      expected: "a topic's name that may have \(rest.isEmpty ? last : "\(rest) and \(last)")")
    return nil
  }

  /// Reads `tableTopicMapping`, `topicTemplate` and `topicFallback`, at least one of them where no
  /// rule of a table names a topic; none is needed where they are optional.
  mutating func topicRouting(_ rules: TableRules, isOptional: Bool = false) -> TopicRouting {
    let hadErrors = errors.count
    var routing = TopicRouting()
    routing.ruled = rules.topics
    routing.fallback = topic("topicFallback")
    routing.template = template("topicTemplate")
    routing.regex = topicRegex()
    if routing.regex != nil, routing.template == nil {
      note("topicRegex", "has no effect without topicTemplate")
    }
    if var section = section("tableTopicMapping", subject: "a topic mapping") {
      var mappings: [TopicRouting.Mapping] = []
      section.collectMappings(
        section.table, schema: nil, fallback: routing.fallback, into: &mappings)
      absorb(section)
      let sorted = mappings.enumerated().sorted {
        (-$0.element.tables.precision, $0.offset) < (-$1.element.tables.precision, $1.offset)
      }
      routing.mappings = sorted.map(\.element)
    }
    for text in texts("exclude") {
      if let pattern = TablePattern.reading(text.value) {
        routing.excluded.append(pattern)
      } else {
        fail(
          "exclude", at: text.position, found: text.shown,
          expected: TablePattern.expected)
      }
    }
    routing.names = choice("topicNames", default: TopicRouting.TopicNames.refuse)
    let isEmpty =
      routing.mappings.isEmpty && routing.template == nil && routing.fallback == nil
      && routing.ruled.isEmpty
    if isEmpty, !isOptional, errors.count == hadErrors {
      fail(
        found: "no topic for any table",
        expected: "at least one of tableTopicMapping, topicTemplate and topicFallback")
    }
    return routing
  }

  /// `public.orders = "t"` is a table in a table to TOML: its key is the schema.
  private mutating func collectMappings(
    _ table: TOMLTable, schema: String?, fallback: String?,
    into mappings: inout [TopicRouting.Mapping]
  ) {
    for entry in table.entries {
      let name = schema.map { "\($0).\(entry.key)" } ?? entry.key
      let tables = schema.map { TablePattern(schema: $0, table: entry.key) } ?? .reading(name)
      switch entry.value.content {
      case .table(let below) where schema == nil:
        collectMappings(below, schema: entry.key, fallback: fallback, into: &mappings)
      case .string(let raw):
        guard let text = expand(raw, of: name, at: entry.position) else { continue }
        guard let pattern = tables else {
          fail(
            name, at: entry.position, found: "no table's name", expected: TablePattern.expected)
          continue
        }
        if !TopicRouting.isTopicName(text.value) {
          fail(name, at: entry.position, found: text.shown, expected: Self.topicExpected)
        } else if text.value == fallback {
          fail(
            name, at: entry.position, found: "the same topic as topicFallback",
            expected: "another topic",
            hint: "Leave the table out of tableTopicMapping: it goes to topicFallback anyway.")
        } else {
          mappings.append(TopicRouting.Mapping(tables: pattern, topic: text.value))
        }
      default:
        fail(name, at: entry.position, found: entry.value.kind, expected: "a topic's name")
      }
    }
  }
}
