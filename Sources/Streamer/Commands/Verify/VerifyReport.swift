/// What `verify` has found of one table in one sink.
struct TableFinding: Hashable, Sendable {
  /// A key whose row is not the same on both sides.
  struct Example: Hashable, Sendable {
    /// What is wrong with it.
    let verdict: RowStates.Verdict
    /// The record's key.
    let key: String
  }

  /// The sink.
  let sink: String
  /// "schema.table".
  let table: String
  /// The topic; nil where the sink has none for it.
  var topic: String?
  /// Why it was not compared; nil where it was.
  var leftOut: String?
  /// Rows that the table has.
  var rows = 0
  /// Rows that the topic has.
  var inTopic = 0
  /// How many keys there are of each verdict.
  var counts: [RowStates.Verdict: Int] = [:]
  /// The first of them.
  var examples: [Example] = []

  /// How many keys are not the same.
  var differences: Int {
    [RowStates.Verdict.missing, .extra, .different].reduce(0) { $0 + (counts[$1] ?? 0) }
  }
}

/// All that `verify` has found, as text and as JSON.
struct VerifyReport {
  /// The tables, in the order in which they were compared.
  var findings: [TableFinding] = []
  /// What has to be known to read it.
  var remarks: [String] = []

  /// How the command ends: all agree, some differ, or it cannot be said of some or of all.
  var exit: StreamerError.Exit {
    if findings.contains(where: { $0.differences > 0 }) { return .different }
    if !findings.contains(where: { $0.leftOut == nil }) { return .preflight }
    let isUnsettled = findings.contains { $0.counts[.unsettled, default: 0] > 0 }
    return isUnsettled ? .failure : .done
  }

  /// A table of counts, the examples below each row, and the remarks; without a newline at the end.
  func text(_ style: TerminalStyle) -> String {
    let names =
      ["SINK", "TABLE", "ROWS", "IN TOPIC"] + TableFinding.names.map { $0.name.uppercased() }
    var table = TextTable(names.map { .init($0, style.bold) }, rightAligned: Set(2...7))
    var below: [String] = []
    for finding in findings {
      if let why = finding.leftOut {
        below.append(style.yellow("not compared: \(finding.table) of \(finding.sink): \(why)"))
        continue
      }
      var cells: [TextTable.Cell] = [
        .init(finding.sink), .init(finding.table), .init("\(finding.rows)"),
        .init("\(finding.inTopic)"),
      ]
      for column in TableFinding.names {
        let count: Int = finding.counts[column.verdict] ?? 0
        let isFine = count == 0
        cells.append(
          TextTable.Cell("\(count)") { text in isFine ? style.green(text) : style.red(text) })
      }
      table.add(cells)
      for example in finding.examples {
        let line = "\(finding.table) of \(finding.sink): \(example.verdict) \(example.key)"
        below.append(line.singleLine)
      }
    }
    let rest = below + remarks.map { style.yellow($0) }
    return table.text + (rest.isEmpty ? "" : "\n\n" + rest.joined(separator: "\n"))
  }

  /// `{"exit","tables":[{"sink","table","topic",…,"examples":[{"is","key"}]}],"remarks":[…]}`.
  var json: [UInt8] {
    var json = JSONText()
    json.object { json in
      json.key("exit")
      json.value(exit.rawValue)
      json.key("tables")
      json.array { json in for finding in findings { finding.write(to: &json) } }
      json.key("remarks")
      json.array { json in for remark in remarks { json.value(remark) } }
    }
    return json.bytes
  }

  /// Adds remarks that it does not have.
  mutating func add(remarks more: [String]) {
    for remark in more where !remarks.contains(remark) { remarks.append(remark) }
  }
}

extension TableFinding {
  /// What JSON calls the verdicts.
  fileprivate static let names: [(name: String, verdict: RowStates.Verdict)] = [
    ("missing", .missing), ("extra", .extra), ("different", .different), ("unsettled", .unsettled),
  ]

  /// Writes it as an object.
  func write(to json: inout JSONText) {
    json.object { json in
      for (name, text) in [
        ("sink", sink), ("table", table), ("topic", topic), ("notCompared", leftOut),
      ] as [(String, String?)] {
        json.key(name)
        json.value(text)
      }
      json.key("rows")
      json.value(rows)
      json.key("inTopic")
      json.value(inTopic)
      for (name, verdict) in Self.names {
        json.key(name)
        json.value(counts[verdict] ?? 0)
      }
      json.key("examples")
      json.array { json in
        for example in examples {
          json.object { json in
            json.key("is")
            json.value("\(example.verdict)")
            json.key("key")
            json.value(example.key)
          }
        }
      }
    }
  }

  /// Reads what ``write(to:)`` has written; nil when it is none.
  init?(_ value: JSONValue) {
    guard let sink = value["sink"]?.string, let table = value["table"]?.string,
      let rows = value["rows"]?.integer, let inTopic = value["inTopic"]?.integer,
      let named = value["examples"]?.elements
    else { return nil }
    self.init(sink: sink, table: table)
    topic = value["topic"]?.string
    leftOut = value["notCompared"]?.string
    self.rows = rows
    self.inTopic = inTopic
    for (name, verdict) in Self.names {
      guard let count = value[name]?.integer else { return nil }
      if count > 0 { counts[verdict] = count }
    }
    for example in named {
      guard let name = example["is"]?.string, let key = example["key"]?.string,
        let verdict = Self.names.first(where: { $0.name == name })?.verdict
      else { return nil }
      examples.append(Example(verdict: verdict, key: key))
    }
  }
}
