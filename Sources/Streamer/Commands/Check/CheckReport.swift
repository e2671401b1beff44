/// One thing that was examined.
struct CheckFinding: Hashable, Sendable {
  /// How it stands.
  enum Result: String, Sendable {
    /// As it should be.
    case ok
    /// It works, and somebody should know about it.
    case warn
    /// `run` would refuse to start, or stop.
    case fail
  }

  /// What was examined: "publication", "slot".
  let check: String
  /// Of what: "source pg", "sink out".
  let target: String
  /// How it stands.
  let result: Result
  /// What was found; no secret and no row value.
  let found: String
  /// What to do about it; nil when there is nothing to do.
  let remedy: String?
  /// How `run` would end because of it.
  let exit: StreamerError.Exit

  /// Makes a finding.
  init(
    _ check: String, _ target: String, _ result: Result, _ found: String, _ remedy: String? = nil,
    exit: StreamerError.Exit = .preflight
  ) {
    self.exit = result == .fail ? exit : .done
    self.check = check
    self.target = target
    self.result = result
    self.found = found
    self.remedy = remedy.flatMap { $0.isEmpty ? nil : $0 }
  }
}

/// Everything that `check` found, in the order in which it was examined.
struct CheckReport {
  /// The findings.
  private(set) var findings: [CheckFinding] = []

  /// Adds a finding.
  mutating func add(_ finding: CheckFinding) { findings.append(finding) }

  /// Adds everything that is wrong with a file.
  mutating func add(_ errors: ConfigurationErrors) {
    for error in errors.errors {
      let place = error.line > 0 ? "\(error.file):\(error.line)" : error.file
      add(
        CheckFinding(
          "configuration", error.path.isEmpty ? error.file : error.path, .fail,
          "\(place): found \(error.found), expected \(error.expected)", error.hint,
          exit: errors.exit))
    }
  }

  /// Adds what a failure says.
  mutating func add(_ check: String, _ target: String, _ error: StreamerError) {
    add(
      CheckFinding(
        check, target, .fail, error.why.isEmpty ? error.what : error.why, error.hint,
        exit: error.exit))
  }

  /// "1 table", "2 tables".
  static func count(_ number: Int, _ noun: String) -> String {
    "\(number) \(noun)\(number == 1 ? "" : "s")"
  }

  /// How the command ends: 0 when nothing failed, 1 when all that failed may pass by itself, 2 when
  /// the file is wrong, 3 when a server or a person must change something.
  var exit: StreamerError.Exit {
    let exits = Set(findings.map(\.exit)).subtracting([.done])
    if exits.contains(.usage) { return .usage }
    return exits.isEmpty ? .done : exits == [.failure] ? .failure : .preflight
  }

  /// `[{"check","target","result":"ok|warn|fail","found","remedy","exit"}]`; a missing remedy is null.
  ///
  /// docs/check.schema.json describes it.
  var json: [UInt8] {
    var json = JSONText()
    json.array { json in
      for finding in findings {
        json.object { json in
          for (name, value) in [
            ("check", finding.check), ("target", finding.target),
            ("result", finding.result.rawValue), ("found", finding.found),
            ("remedy", finding.remedy),
          ] as [(String, String?)] {
            json.key(name)
            json.value(value)
          }
          json.key("exit")
          json.value(finding.exit.rawValue)
        }
      }
    }
    return json.bytes
  }

  /// A table, each remedy below its row, and the counts; without a newline at the end.
  func text(_ style: TerminalStyle) -> String {
    var table = TextTable(["RESULT", "TARGET", "CHECK", "FOUND"].map { .init($0, style.bold) })
    for finding in findings {
      table.add([
        .init(finding.result.rawValue, colour(of: finding.result, style)), .init(finding.target),
        .init(finding.check), .init(finding.found),
      ])
      if let remedy = finding.remedy {
        table.add([.init(""), .init(""), .init(""), .init("→ \(remedy)", style.faint)])
      }
    }
    let counts = [CheckFinding.Result.ok, .warn, .fail].map { result in
      "\(findings.count { $0.result == result }) \(result.rawValue)"
    }
    return table.text + "\n\n" + counts.joined(separator: ", ")
  }

  private func colour(
    of result: CheckFinding.Result, _ style: TerminalStyle
  ) -> (String) -> String {
    switch result {
    case .ok: style.green
    case .warn: style.yellow
    case .fail: style.red
    }
  }
}
