/// A configuration that runs, and what a newer file may change of it: what can be taken over is, the
/// rest waits for a restart.
struct RunningConfiguration {
  /// What counts now.
  private(set) var configuration: Configuration
  /// The keys of the file that was taken last.
  private var settings: Settings
  private let path: String

  /// What a newer file has brought.
  struct Change {
    /// The keys whose new values count from now on, as the file names them, in their order.
    var taken: [String] = []
    /// The keys whose new values wait for a restart.
    var refused: [String] = []
  }

  /// Keys at the top that can change while the process runs.
  static let topKeys = ["logLevel", "httpToken", "tickerInterval"]
  /// Keys of a sink that can: how its events are routed and written.
  static let sinkKeys = [
    "tableTopicMapping", "topicTemplate", "topicRegex", "topicFallback", "exclude", "topicNames",
    "onTableError",
    "messageTopic", "outbox", "headers", "format", "keyFormat", "debezium", "flat", "cloudevents",
    "table",
    "registry", "schemaStyle", "onSchemaError",
    "numeric", "interval", "bytea", "json", "geometry",
  ]

  /// Reads and checks the file at `path`.
  init(path: String) throws(ConfigurationErrors) {
    self.path = path
    (configuration, settings) = try Self.read(path)
  }

  private static func read(_ path: String) throws(ConfigurationErrors) -> (Configuration, Settings)
  {
    let text = try Configuration.text(of: path)
    let configuration = try Configuration.parse(
      text: text, file: path, environment: ProcessEnvironment.value(of:),
      readFile: FileReading.read(_:limit:))
    return (configuration, Settings(text))
  }

  /// What a file says under some tables, "sink.k", as it stands there: a line for each key, in the order
  /// of the lines.
  static func lines(
    under tables: [String], in path: String
  ) throws(ConfigurationErrors) -> [String] {
    Settings(try Configuration.text(of: path)).lines(under: tables)
  }

  /// Reads the file again; when it is wrong nothing changes.
  mutating func reload() throws(ConfigurationErrors) -> Change {
    let (newer, settings) = try Self.read(path)
    defer { self.settings = settings }
    return take(newer, settings)
  }

  private mutating func take(_ newer: Configuration, _ newSettings: Settings) -> Change {
    var change = Change()
    let differing = newSettings.differences(from: settings)
    let old = configuration
    if old.logLevel != newer.logLevel { change.taken.append("logLevel") }
    if old.httpToken != newer.httpToken { change.taken.append("httpToken") }
    if old.tickerInterval != newer.tickerInterval { change.taken.append("tickerInterval") }
    configuration.logLevel = newer.logLevel
    configuration.httpToken = newer.httpToken
    configuration.tickerInterval = newer.tickerInterval
    for (index, sink) in configuration.sinks.enumerated() {
      guard let other = newer.sinks.first(where: { $0.name == sink.name }),
        other.typeName == sink.typeName
      else { continue }
      configuration.sinks[index].adoptSetup(of: other)
      guard configuration.sinks[index] != sink else { continue }
      change.taken += named(differing, in: "sink.\(sink.name)") { Self.changes($0, Self.sinkKeys) }
    }
    change.refused = refusals(newer, differing)
    return change
  }

  /// What is different in a newer file and cannot be taken over.
  private func refusals(_ newer: Configuration, _ differing: [String]) -> [String] {
    var refused: [String] = []
    var rest = newer
    rest.sources = configuration.sources
    rest.sinks = configuration.sinks
    rest.notes = configuration.notes
    if rest != configuration {
      let keys = differing.filter { !$0.contains(".") && !Self.changes($0, Self.topKeys) }
      refused += keys.isEmpty ? ["what a reference at the top stands for"] : keys
    }
    refused += refusals(
      "source", configuration.sources, newer.sources, \.name, differing
    ) { _ in true }
    refused += refusals("sink", configuration.sinks, newer.sinks, \.name, differing) {
      !Self.changes($0, Self.sinkKeys)
    }
    return refused
  }

  private func refusals<Table: Equatable>(
    _ kind: String, _ old: [Table], _ new: [Table], _ name: (Table) -> String,
    _ differing: [String], _ counts: (String) -> Bool
  ) -> [String] {
    var refused: [String] = []
    for table in old {
      let path = "\(kind).\(name(table))"
      if let other = new.first(where: { name($0) == name(table) }) {
        if other != table { refused += named(differing, in: path, counts) }
      } else {
        refused.append(path)
      }
    }
    let known = old.map(name)
    return refused + new.map(name).filter { !known.contains($0) }.map { "\(kind).\($0)" }
  }

  /// The keys of a table that differ, or, when none does, what they refer to.
  private func named(
    _ differing: [String], in table: String, _ counts: (String) -> Bool
  ) -> [String] {
    let keys = differing.filter {
      $0.hasPrefix(table + ".") && counts(String($0.dropFirst(table.count + 1)))
    }
    return keys.isEmpty ? ["what a reference in \(table) stands for"] : keys
  }

  private static func changes(_ key: String, _ keys: [String]) -> Bool {
    keys.contains { $0.lowercased() == key.lowercased() }
  }
}

/// The keys of a file, those of each source and sink by its name, and what they are set to.
private struct Settings {
  private var keys: [(name: String, value: String)] = []

  /// Takes the keys of a text that was found to be TOML.
  init(_ text: String) {
    guard let document = try? TOMLDocument(parsing: text) else { return }
    for entry in document.root.entries {
      guard ["source", "sink"].contains(entry.key.lowercased()),
        case .table(let tables) = entry.value.content
      else {
        keys.append((entry.key, entry.value.text))
        continue
      }
      for table in tables.entries {
        guard case .table(let below) = table.value.content else { continue }
        for key in below.entries {
          keys.append(("\(entry.key.lowercased()).\(table.key).\(key.key)", key.value.text))
        }
      }
    }
  }

  /// What is set under some tables.
  func lines(under tables: [String]) -> [String] {
    keys.filter { key in tables.contains { key.name.hasPrefix("\($0).") } }
      .map { "\($0.name) = \($0.value)" }.sorted()
  }

  /// The names of keys that say something else than in an older file, in the order of this file.
  func differences(from old: Settings) -> [String] {
    let before = Dictionary(
      old.keys.map { ($0.name.lowercased(), $0.value) }, uniquingKeysWith: { one, _ in one })
    let now = Set(keys.map { $0.name.lowercased() })
    return keys.filter { before[$0.name.lowercased()] != $0.value }.map(\.name)
      + old.keys.map(\.name).filter { !now.contains($0.lowercased()) }
  }
}

extension TOMLValue {
  /// What it says, wherever it stands.
  fileprivate var text: String {
    switch content {
    case .string(let text): "\"\(text)\""
    case .integer(let number): "\(number)"
    case .float(let number): "\(number)"
    case .boolean(let flag): "\(flag)"
    case .time: "a time"
    case .array(let values): "[\(values.map(\.text).joined(separator: ", "))]"
    case .table(let table):
      "{\(table.entries.map { "\($0.key) = \($0.value.text)" }.joined(separator: ", "))}"
    }
  }
}

extension SinkConfiguration {
  /// Routes and writes events as another sink of its type does.
  fileprivate mutating func adoptSetup(of other: SinkConfiguration) {
    format = other.format
    rules = other.rules
    guard case .kafka(var mine) = kind, case .kafka(let theirs) = other.kind else { return }
    mine.topics = theirs.topics
    mine.messageTopic = theirs.messageTopic
    mine.outbox = theirs.outbox
    mine.headers = theirs.headers
    mine.onTableError = theirs.onTableError
    kind = .kafka(mine)
  }
}
