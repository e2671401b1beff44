import Glibc

/// A `[sink.NAME]` table: where changes go.
struct SinkConfiguration: Hashable, Sendable {
  /// The kinds of sink.
  enum Kind: Hashable, Sendable {
    /// `type = "kafka"`.
    case kafka(KafkaSinkConfiguration)
    /// `type = "stdout"`: a line of JSON for each event.
    case stdout
    /// `type = "file"`: the same into files.
    case file(FileSinkConfiguration)
    /// `type = "stub_log"`: a log line for each event.
    case stubLog
    /// `type = "stub_discard"`: nothing, for measurements.
    case stubDiscard
  }

  /// The name of the table.
  let name: String
  /// What it is.
  var kind: Kind
  /// The names of the sources whose changes it gets, at least one.
  let sources: [String]
  /// The table of the source's own heartbeats, which are no events.
  var heartbeatTable: TablePattern?
  /// How it writes events.
  var format: FormatConfiguration
  /// What is different for single tables.
  var rules: TableRules
  /// Whether each event is logged in one line.
  let verbose: Bool
  /// Whether debug messages of this sink are logged.
  let debug: Bool

  /// The kinds by the names that `type` takes.
  enum TypeName: String, CaseIterable {
    case kafka
    case stdout
    case file
    case stubLog = "stub_log"
    case stubDiscard = "stub_discard"
  }

  /// Reads the table, or records why it cannot; `nil` when its type is unknown.
  ///
  /// `sourceNames` are the sources of the file.
  init?(name: String, sourceNames: [String], in reader: inout ConfigurationReader) {
    guard let type = reader.type(TypeName.self) else { return nil }
    self.name = name
    sources = reader.sources(among: sourceNames)
    let own = reader.choice("format", default: FormatConfiguration.Name.psqlStreamer)
    if !type.carries(own) { reader.refuse(own) }
    rules = TableRules(in: &reader, for: TableRules.Sink(type: type, format: own))
    format = FormatConfiguration(
      own, and: rules.formats, shows: type == .stdout, in: &reader)
    verbose = reader.boolean("verbose", default: false)
    debug = reader.boolean("debug", default: false)
    switch type {
    case .kafka: kind = .kafka(KafkaSinkConfiguration(rules, in: &reader))
    case .stdout: kind = .stdout
    case .file: kind = .file(FileSinkConfiguration(sources: sources, in: &reader))
    case .stubLog: kind = .stubLog
    case .stubDiscard: kind = .stubDiscard
    }
    if own.hasSchemas { checkMessages(in: &reader) }
    if format.schemas.onError == .quarantine, !holdsRecords, formats.contains(where: \.hasSchemas) {
      reader.fail(
        "onSchemaError", at: reader.entry("onSchemaError")?.position, found: "\"quarantine\"",
        expected: "oversized = \"quarantine\" beside it, in a sink of type \"kafka\"")
    }
    if case .kafka(let kafka) = kind, kafka.transactionTopic != nil, own != .debezium {
      reader.note("transactionTopic", "has no effect without format = \"debezium\"")
    }
    if case .kafka(let kafka) = kind, !kafka.headers.isEmpty, own != .psqlStreamer,
      !rules.formats.contains(.psqlStreamer)
    {
      reader.note(
        "headers", "has no effect with format = \"\(own.rawValue)\", which has its own")
    }
    if type != .kafka, format.cloudEvents == .binary {
      reader.fail(
        "cloudevents", at: reader.entry("cloudevents")?.position, found: "\"binary\"",
        expected: "\"structured\": only Kafka's records have headers")
    }
  }
}

extension SinkConfiguration {
  /// The formats in use, its own first.
  var formats: [FormatConfiguration.Name] { rules.formats(beside: format.name) }

  /// Whether it holds back what cannot be delivered.
  private var holdsRecords: Bool {
    if case .kafka(let kafka) = kind { kafka.oversized == .quarantine } else { false }
  }

  /// Checks that the sink carries no others than rows.
  private func checkMessages(in reader: inout ConfigurationReader) {
    if case .kafka(let kafka) = kind, kafka.messageTopic != nil {
      reader.fail(
        "messageTopic", at: reader.entry("messageTopic")?.position, found: "a topic",
        expected: "no messageTopic beside format = \"\(format.name.rawValue)\"",
        hint: "Logical messages have no schema yet: let another sink write them.")
    }
  }
}

extension SinkConfiguration.TypeName {
  /// Whether such a sink can carry a format's records: not all of them are lines.
  func carries(_ format: FormatConfiguration.Name) -> Bool {
    !format.hasSchemas || self != .file && self != .stubLog
  }
}

extension ConfigurationReader {
  /// Refuses a format that the sink cannot carry.
  mutating func refuse(_ format: FormatConfiguration.Name) {
    fail(
      "format", at: entry("format")?.position, found: "\"\(format.rawValue)\"",
      expected: "another format: its records are no lines",
      hint: "A sink of type \"kafka\" takes it.")
  }

  /// Reads `sources`; each must be a source of the file, in any letter case, as in the seed.
  fileprivate mutating func sources(among names: [String]) -> [String] {
    var sources: [String] = []
    for text in requiredTexts("sources", expected: "a list of sources such as [\"db1\"]") {
      let folded = text.value.lowercased()
      if let name = names.first(where: { $0 == text.value })
        ?? names.first(where: { $0.lowercased() == folded })
      {
        sources.append(name)
      } else if !text.value.isEmpty {
        let near = NearestName.of(text.value, among: names)
        fail(
          "sources", at: text.position, found: text.shown, expected: "the name of a [source.NAME]",
          hint: near.map { "Did you mean \"\($0)\"?" } ?? "")
      }
    }
    return sources
  }
}

extension ConfigurationReader {
  /// Reads `mode`, permissions as `chmod` writes them.
  fileprivate mutating func fileMode() -> mode_t {
    let standard: mode_t = 0o600
    guard let entry = entry("mode") else { return standard }
    let expected = "permissions in octal that let the owner read and write, such as \"0640\""
    guard case .string(let raw) = entry.value.content else {
      fail("mode", at: entry.position, found: entry.value.summary, expected: expected)
      return standard
    }
    guard let text = expand(raw, of: "mode", at: entry.position) else { return standard }
    let isOctal =
      (3...4).contains(text.value.utf8.count)
      && text.value.utf8.allSatisfy { (0x30...0x37).contains($0) }
    if isOctal, let mode = mode_t(text.value, radix: 8), mode <= 0o777, mode & 0o600 == 0o600 {
      return mode
    }
    fail("mode", at: entry.position, found: text.shown, expected: expected)
    return standard
  }
}

/// A `[sink.NAME]` table with `type = "file"`.
struct FileSinkConfiguration: Hashable, Sendable {
  /// The file; `{source}` stands for the source's name.
  let path: String
  /// At which size a new file is begun; `nil` for never.
  let rotateSize: ByteSize?
  /// The permissions of a file that is made (0600).
  let mode: mode_t

  /// Reads the keys of this kind.
  init(sources: [String], in reader: inout ConfigurationReader) {
    path = reader.requiredString("path", expected: "a file's path")
    let size = reader.size("rotateSize", default: ByteSize(0))
    rotateSize = size.bytes > 0 ? size : nil
    mode = reader.fileMode()
    if sources.count > 1, !path.isEmpty, !path.contains("{source}") {
      reader.fail(
        "path", at: reader.entry("path")?.position, found: "one path for several sources",
        expected: "a path with {source} in it")
    }
  }

  /// The file for one of the sink's sources.
  func path(for source: String) -> String {
    TopicRouting.expand(path) { $0 == "source" ? source : "{\($0)}" } ?? path
  }
}
