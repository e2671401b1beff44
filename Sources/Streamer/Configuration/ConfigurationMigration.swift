/// Rewrites the Go program's configuration in today's form.
///
/// The text is edited where it has to change and left alone elsewhere, so that the comments and the
/// order of its author survive. The result loads: what cannot be rewritten is an error.
struct ConfigurationMigration {
  /// The name of the old file.
  private let file: String
  private var lines: TOMLLines

  /// Reads the file at `path` and gives its text in today's form.
  static func migrate(path: String) throws(ConfigurationErrors) -> String {
    let text = try Configuration.text(of: path)
    return try migrate(text: text, file: path)
  }

  /// Gives a text in today's form; `file` names it in errors and in the first comment.
  static func migrate(text: String, file: String) throws(ConfigurationErrors) -> String {
    var migration = ConfigurationMigration(file: file, text: text)
    try migration.rewrite()
    try migration.removeIgnoredKeys()
    let heading = """
      # Rewritten by `psql-streamer config migrate` from \(file.singleLine).
      # What was changed has a comment that begins with "migrated:".

      """
    return heading + migration.lines.text
  }

  private init(file: String, text: String) {
    self.file = file
    lines = TOMLLines(text)
  }

  /// A reader of the lines as they stand; positions of secrets are of no interest here.
  private func reader() throws(ConfigurationErrors) -> ConfigurationReader {
    let secrets = SecretExpansion(
      environment: { "${\($0)}" },
      readFile: { (path: String, _: Int) throws(FileReadError) -> [UInt8] in
        Array("${file:\(path)}".utf8)
      })
    return try Configuration.topReader(
      text: lines.text, file: file, secrets: secrets, connects: false)
  }

  // MARK: - What changed its name or its meaning

  private mutating func rewrite() throws(ConfigurationErrors) {
    var top = try reader()
    if !top.has("store") {
      lines.escapeReferences()
      top = try reader()
    }
    var edits: [(entry: TOMLTable.Entry, edit: Edit)] = []
    for entry in top.table.entries { collect(entry, Self.topEdit(entry), &edits) }
    for (kind, find) in [("source", Self.sourceEdit), ("sink", Self.sinkEdit)] {
      guard let all = top.section(kind, subject: kind) else { continue }
      for member in all.table.entries {
        guard case .table(let table) = member.value.content else { continue }
        for entry in table.entries { collect(entry, find(entry), &edits) }
      }
    }
    apply(edits)
  }

  private func collect(
    _ entry: TOMLTable.Entry, _ edit: Edit?, _ edits: inout [(entry: TOMLTable.Entry, edit: Edit)]
  ) {
    if let edit { edits.append((entry, edit)) }
  }

  /// What is done to a key.
  private struct Edit {
    /// The key's new name.
    var name: String?
    /// The value's new text.
    var value: String?
    /// Whether the line becomes a comment, where it can.
    var isRemoved = false
    /// Why, as a clause.
    let comment: String
  }

  private static func topEdit(_ entry: TOMLTable.Entry) -> Edit? {
    switch (entry.key.lowercased(), entry.value.content) {
    case ("boltdb", .string(let path)) where !path.isEmpty:
      return Edit(
        name: "store", value: quoted(storePath(for: path)),
        comment: "boltdb is now store, a new file of another kind; to go on where the old program"
          + " stopped, set walPositionOverride of each source to \(SeedStore.lastPosition)")
    case ("boltdb", .string): return Edit(isRemoved: true, comment: "it is empty")
    case ("http", .string(let address)) where HTTPAddress(address)?.isLoopback == false:
      return Edit(
        comment: "others can reach this address: without httpToken it is for reading only, and"
          + " /debug answers 403")
    case ("tickerinterval", let content): return durationEdit(content)
    default: return nil
    }
  }

  private static func sourceEdit(_ entry: TOMLTable.Entry) -> Edit? {
    switch entry.key.lowercased() {
    case "timeout", "startretryinterval", "batchflushinterval", "sendretryinterval":
      durationEdit(entry.value.content)
    default: nil
    }
  }

  private static func sinkEdit(_ entry: TOMLTable.Entry) -> Edit? {
    switch (entry.key.lowercased(), entry.value.content) {
    case ("async", .boolean(true)):
      Edit(
        value: "false",
        comment: "true could lose events; where that is wanted, write allowLoss = true beside it")
    case ("requiredacks", .integer(let acks)) where acks != -1:
      Edit(
        value: "-1",
        comment: "\(acks) could lose events; where that is wanted, write allowLoss = true beside it"
      )
    case ("maxattempts", _):
      Edit(isRemoved: true, comment: "sending is retried until it succeeds")
    case ("rebalanceinterval", _):
      Edit(isRemoved: true, comment: "onPartitionsChanged says what new partitions do")
    case ("timeout", let content), ("batchtimeout", let content): durationEdit(content)
    case ("tabletopicmapping", .table(let mapping))
    where mapping.entries.contains { $0.key != $0.key.lowercased() }:
      Edit(comment: "table names are compared as they are; before, only in lower case")
    default: nil
    }
  }

  /// The old program read a number without a unit as nanoseconds.
  private static func durationEdit(_ content: TOMLValue.Content) -> Edit? {
    let count: Int64
    switch content {
    case .integer(let number) where number > 0: count = number
    case .string(let text):
      guard let number = Int64(text), number > 0 else { return nil }
      count = number
    default: return nil
    }
    let units: [(Int64, String)] = [(1_000_000_000, "s"), (1_000_000, "ms"), (1, "ns")]
    guard let (factor, unit) = units.first(where: { count % $0.0 == 0 }) else { return nil }
    return Edit(
      value: quoted("\(count / factor)\(unit)"),
      comment: "a number without a unit counted nanoseconds")
  }

  private static func storePath(for path: String) -> String {
    let stem = path.hasSuffix(".bolt") ? String(path.dropLast(5)) : path
    return stem + ".positions.db"
  }

  private static func quoted(_ text: String) -> String {
    var result = "\""
    for character in text {
      if character == "\"" || character == "\\" { result.append("\\") }
      result.append(character)
    }
    return result + "\""
  }

  // MARK: - What the old program ignored

  /// Makes comments of unknown keys; throws what else keeps the result from loading.
  private mutating func removeIgnoredKeys() throws(ConfigurationErrors) {
    var errors = try remainingErrors()
    for error in errors.reversed() where error.found == ConfigurationError.unknownKey {
      guard let entry = try entry(of: error), lines.isAlone(entry) else { continue }
      apply([
        (entry, Edit(isRemoved: true, comment: "the key is unknown and was ignored before"))
      ])
    }
    errors = try remainingErrors()
    guard !errors.isEmpty else { return }
    throw ConfigurationErrors(
      errors.map { error in
        ConfigurationError(
          file: file, line: lines.origin(of: error.line), path: error.path, found: error.found,
          expected: error.expected,
          hint: error.hint)
      })
  }

  private func remainingErrors() throws(ConfigurationErrors) -> [ConfigurationError] {
    var reader = try reader()
    _ = Configuration(in: &reader)
    return reader.errors.sorted { $0.line < $1.line }
  }

  private func entry(of error: ConfigurationError) throws(ConfigurationErrors) -> TOMLTable.Entry? {
    func find(_ table: TOMLTable) -> TOMLTable.Entry? {
      for entry in table.entries {
        if entry.position.line == error.line, error.path.hasSuffix(entry.key) { return entry }
        if case .table(let below) = entry.value.content, let found = find(below) { return found }
      }
      return nil
    }
    return find(try reader().table)
  }

  private mutating func apply(_ edits: [(entry: TOMLTable.Entry, edit: Edit)]) {
    // From the end, so that the places of those before stay true; comments add lines, so last.
    let edits = edits.sorted { $0.entry.position > $1.entry.position }
    for (entry, edit) in edits {
      if let value = edit.value { lines.replaceValue(of: entry, with: value) }
      if let name = edit.name { lines.replaceKey(of: entry, with: name) }
      if edit.isRemoved, lines.isAlone(entry) { lines.makeComment(of: entry) }
    }
    var rest = edits[...]
    while let line = rest.first?.entry.position.line {
      let here = rest.prefix { $0.entry.position.line == line }
      rest = rest.dropFirst(here.count)
      let comments = here.reversed().map { _, edit in
        "migrated: \(edit.comment)" + (edit.comment.hasSuffix(".") ? "" : ".")
      }
      lines.insertComments(comments, before: line)
    }
  }
}
