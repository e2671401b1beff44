/// `/status` and `/stats` of an instance as tables for people.
struct StatusReport {
  /// Whether the instance says that all is well.
  let isOK: Bool
  private let address: String
  private let version: String
  private let sources: [JSONValue]
  private let sinks: [JSONValue]
  private let stats: JSONValue?
  /// Why it is not ready, as far as that was asked.
  private let reasons: [String]

  /// Takes the documents; nil when the first is not what `/status` answers.
  ///
  /// With what `/ready` answers all is well only when it says that it is ready.
  init?(_ address: String, _ status: JSONValue, stats: JSONValue?, readiness: JSONValue? = nil) {
    guard let isOK = status["ok"]?.bool, let version = status["version"]?.string else { return nil }
    let isReady = readiness.map { $0["ready"]?.bool ?? false } ?? true
    self.isOK = isOK && isReady
    reasons = readiness?["reasons"]?.elements.compactMap(\.string) ?? []
    self.address = address
    self.version = version
    self.stats = stats
    sources = status["sources"]?.elements ?? []
    sinks = status["sinks"]?.elements ?? []
  }

  /// The tables, without a newline at the end.
  func text(_ style: TerminalStyle) -> String {
    let verdict = isOK ? style.green("ok") : style.red("not ok")
    var parts = ["psql-streamer \(version.singleLine) at \(address): \(verdict)"]
    parts.append(table(sourceColumns, of: sources, stats: stats?["sources"], style))
    parts.append(table(sinkColumns, of: sinks, stats: stats?["sinks"], style))
    let errors = (sources + sinks).compactMap { object -> String? in
      guard let error = object["error"]?.string else { return nil }
      return "\(text(object["name"])): \(error)".singleLine
    }
    let held = sinks.flatMap { sink in
      (sink["quarantine"]?.elements ?? []).map { topic in
        "\(text(sink["name"])): \(text(topic["topic"])) is held: \(text(topic["records"])) records, "
          + "\(size(topic["bytes"])), since \(text(topic["since"])): \(text(topic["reason"]))"
          .singleLine
      }
    }
    if !held.isEmpty { parts.append(held.map(style.red).joined(separator: "\n")) }
    let lines = errors + reasons.map { "not ready: \($0)".singleLine }
    if !lines.isEmpty { parts.append(lines.map(style.red).joined(separator: "\n")) }
    return parts.joined(separator: "\n\n")
  }

  private struct Column {
    let name: String
    var isNumber = false
    let value: (_ object: JSONValue, _ counters: JSONValue?) -> String
  }

  private var sourceColumns: [Column] {
    [
      Column(name: "SOURCE") { object, _ in text(object["name"]) },
      Column(name: "TYPE") { object, _ in text(object["type"]) },
      Column(name: "STATE") { object, _ in text(object["state"]) },
      Column(name: "SINCE") { object, _ in text(object["since"]) },
      Column(name: "SLOT") { object, _ in text(object["slot"]) },
      Column(name: "RECEIVED", isNumber: true) { object, _ in text(object["receivedLSN"]) },
      Column(name: "CONFIRMED", isNumber: true) { object, _ in text(object["confirmedLSN"]) },
      Column(name: "LAG", isNumber: true) { object, _ in size(object["lagBytes"]) },
      Column(name: "WAL HELD", isNumber: true) { object, _ in size(object["walHeldBytes"]) },
      Column(name: "EVENTS", isNumber: true) { _, counters in text(counters?["events"]) },
      Column(name: "RECONNECTS", isNumber: true) { _, counters in
        text(counters?["replicaErrors"])
      },
    ]
  }

  private var sinkColumns: [Column] {
    [
      Column(name: "SINK") { object, _ in text(object["name"]) },
      Column(name: "TYPE") { object, _ in text(object["type"]) },
      Column(name: "STATE") { object, _ in text(object["state"]) },
      Column(name: "SINCE") { object, _ in text(object["since"]) },
      Column(name: "IN FLIGHT", isNumber: true) { object, _ in size(object["inFlightBytes"]) },
      Column(name: "EVENTS", isNumber: true) { _, counters in text(counters?["total"]) },
      Column(name: "DELIVERED", isNumber: true) { _, counters in
        text(counters?["kafkaMessages"])
      },
      Column(name: "NO TOPIC", isNumber: true) { _, counters in text(counters?["noTopic"]) },
      Column(name: "SKIPPED", isNumber: true) { _, counters in text(counters?["skipped"]) },
      Column(name: "ERRORS", isNumber: true) { _, counters in text(counters?["errors"]) },
    ]
  }

  private func table(
    _ columns: [Column], of objects: [JSONValue], stats: JSONValue?, _ style: TerminalStyle
  ) -> String {
    let numbers = Set(columns.indices.filter { columns[$0].isNumber })
    var table = TextTable(
      columns.map { TextTable.Cell($0.name, style.bold) }, rightAligned: numbers)
    for object in objects {
      let counters = stats?[object["name"]?.string ?? ""]
      table.add(
        columns.map { column in
          let value = column.value(object, counters)
          guard column.name == "STATE" else { return TextTable.Cell(value) }
          return TextTable.Cell(value) { colour(of: value, style)($0) }
        })
    }
    return table.text
  }

  private func colour(of state: String, _ style: TerminalStyle) -> (String) -> String {
    switch PipelineState(rawValue: state) {
    case .streaming, .snapshot: style.green
    case .retrying, .stopped, .failed, nil: style.red
    default: style.yellow
    }
  }

  /// A value as people read it; what is missing is a dash.
  private func text(_ value: JSONValue?) -> String {
    switch value {
    case .string(let text): text
    case .number(let digits): digits
    case .bool(let flag): "\(flag)"
    default: "–"
    }
  }

  private func size(_ value: JSONValue?) -> String {
    value?.integer.map { ByteSize($0).rounded } ?? "–"
  }
}
