extension StatusPage {
  // MARK: - Trouble

  /// What is wrong, since when, and what to do about it: at the top, and not there when all is well.
  func writeTrouble(to html: inout HTMLText) {
    let troubled = [("source", sources), ("sink", sinks)].flatMap { kind, objects in
      objects.filter { $0["error"]?.string != nil || tone(of: $0) == .bad }.map { (kind, $0) }
    }
    // What a state says already is not said twice.
    let told = Set(
      troubled.map { "\($0) \"\(string($1["name"]))\" is \(string($1["state"]))" })
    let more = reasons.filter { !told.contains($0) }
    guard !troubled.isEmpty || !more.isEmpty else { return }
    let whole = verdict.tone
    html.element("h2", text: whole == .bad ? "What is not well" : "What it waits for")
    html.element("ul", ["class": "trouble \(whole.rawValue)"]) { html in
      for (kind, object) in troubled {
        html.element("li") { html in
          html.element("strong", text: "\(kind) \(string(object["name"]))")
          html.put(" ")
          writeState(of: object, to: &html)
          if let begin = since(object) {
            html.element("span", ["class": "faint"]) { html in
              html.put(" since ")
              html.element("time", ["datetime": begin.description], text: begin.clock(beside: now))
              html.put(", \(Self.age(begin, now))")
            }
          }
          guard let error = object["error"]?.string else { return }
          // An error begins with the name, which stands beside it.
          let name = "\(kind) \(string(object["name"])): "
          html.element("p", text: String(error.trimmingPrefix(name)))
        }
      }
      for reason in more { html.element("li", text: "Not ready: \(reason).") }
    }
  }

  private func tone(of object: JSONValue) -> Tone {
    Tone(object["state"]?.string.flatMap(PipelineState.init))
  }

  private func writeState(of object: JSONValue, to html: inout HTMLText) {
    let tone = tone(of: object)
    html.element("span", ["class": tone.rawValue], text: "\(tone.sign) \(string(object["state"]))")
  }

  // MARK: - Tables

  private static let rate = "Per second"

  func writeSources(to html: inout HTMLText) {
    write(
      "Sources", ["Source", "State"], ["Lag", "WAL held", "Confirmed", "Events", Self.rate], &html
    ) { html in
      for source in sources {
        html.element("tr") { html in
          let name = string(source["name"])
          let slot = source["slot"]?.string.map { " · slot \($0)" } ?? ""
          writeName(name, "\(string(source["type"]))\(slot)", to: &html)
          writeStateCell(of: source, to: &html)
          let readsLog = SourceMetrics.readsLog(string(source["type"]))
          writeCell("Lag", readsLog ? size(source["lagBytes"]) : "–", lag(source), to: &html)
          writeWAL(source, to: &html)
          writeCell("Confirmed", string(source["confirmedLSN"]), to: &html)
          let counters = stats["sources"]?[name]
          writeCount(
            "Events", counters?["events"], rate: "source \(name)", hasLine: true, to: &html)
        }
      }
    }
  }

  func writeSinks(to html: inout HTMLText) {
    write(
      "Sinks", ["Sink", "State"], ["In flight", "Left out", "Errors", "Delivered", Self.rate], &html
    ) { html in
      for sink in sinks {
        html.element("tr") { html in
          let name = string(sink["name"])
          let counters = stats["sinks"]?[name]
          writeName(name, string(sink["type"]), to: &html)
          writeStateCell(of: sink, to: &html)
          writeCell("In flight", size(sink["inFlightBytes"]), to: &html)
          writeCell("Left out", Self.number(counters?["noTopic"]), to: &html)
          writeCell("Errors", Self.number(counters?["errors"]), to: &html)
          writeCount(
            "Delivered", counters?["kafkaMessages"], rate: "sink \(name)", hasLine: true, to: &html)
        }
      }
    }
  }

  func writeTables(to html: inout HTMLText) {
    let (listed, count) = tables
    guard !listed.isEmpty else { return }
    write(
      "Tables by changes", ["Table"], ["Inserts", "Updates", "Deletes", "All", Self.rate], &html
    ) { html in
      for table in listed {
        html.element("tr") { html in
          writeName(table.table, "source \(table.source)", to: &html)
          for (label, count) in [
            ("Inserts", table.inserts), ("Updates", table.updates), ("Deletes", table.deletes),
          ] { writeCell(label, Self.grouped("\(count)"), to: &html) }
          writeCount(
            "All", .number("\(table.total)"), rate: "table \(table.source) \(table.table)",
            hasLine: false, to: &html)
        }
      }
    }
    guard count > listed.count else { return }
    html.element(
      "p", ["class": "faint"],
      text: "and \(count - listed.count) more: psql_streamer_rows_total")
  }

  /// The topics whose records sinks hold back.
  func writeHeld(to html: inout HTMLText) {
    let all = sinks.flatMap { sink in
      (sink["quarantine"]?.elements ?? []).map { (string(sink["name"]), $0) }
    }
    guard !all.isEmpty else { return }
    html.element("h2", text: "Held back")
    html.element("table", ["class": "card", "id": "held"]) { html in
      html.element("tbody") { html in
        for (sink, topic) in all {
          html.element("tr") { html in
            writeName(string(topic["topic"]), "sink \(sink)", to: &html)
            let records = CheckReport.count(topic["records"]?.integer ?? 0, "record")
            html.element("td", ["data-label": "Held"], text: records)
            html.element("td", ["data-label": "Why"], text: string(topic["reason"]))
          }
        }
      }
    }
  }

  /// The tables that sinks leave out.
  func writeLeftOut(to html: inout HTMLText) {
    let all = sinks.flatMap { sink in
      (sink["excludedTables"]?.elements ?? []).map { (string(sink["name"]), $0) }
    }
    guard !all.isEmpty else { return }
    html.element("h2", text: "Left out")
    html.element("details", ["class": "card", "id": "left-out"]) { html in
      html.element(
        "summary", text: CheckReport.count(all.count, "table") + " that a sink leaves out")
      html.element("table") { html in
        html.element("tbody") { html in
          for (sink, table) in all {
            html.element("tr") { html in
              writeName(string(table["table"]), "sink \(sink)", to: &html)
              let reason = LeftOut(rawValue: string(table["reason"])).map(Self.words) ?? "–"
              html.element("td", ["data-label": "Why"], text: reason)
            }
          }
        }
      }
    }
  }

  private static func words(_ reason: LeftOut) -> String {
    switch reason {
    case .exclude: "the sink's exclude names it"
    case .noTopic: "no rule of the sink has a topic for it"
    case .topicName: "Kafka takes no topic of that name"
    case .topicMissing: "its topic does not exist, or may not be used"
    case .schema: "the schema registry refuses its schema"
    case .rule: "a rule of the sink does not fit it"
    }
  }

  // MARK: - Cells

  private func write(
    _ title: String, _ texts: [String], _ numbers: [String], _ html: inout HTMLText,
    _ rows: (inout HTMLText) -> Void
  ) {
    html.element("h2", text: title)
    html.element("div", ["class": "card"]) { html in
      html.element("table") { html in
        html.element("thead") { html in
          html.element("tr") { html in
            for text in texts { html.element("th", ["scope": "col"], text: text) }
            for text in numbers {
              let kind = text == Self.rate ? "n rate" : "n"
              html.element("th", ["scope": "col", "class": kind], text: text)
            }
          }
        }
        html.element("tbody") { rows(&$0) }
      }
    }
  }

  private func writeName(_ name: String, _ more: String, to html: inout HTMLText) {
    html.element("th", ["scope": "row"]) { html in
      html.put(name)
      html.element("small", text: more)
    }
  }

  private func writeStateCell(of object: JSONValue, to html: inout HTMLText) {
    html.element("td", ["data-label": "State"]) { html in
      html.element("div") { html in
        writeState(of: object, to: &html)
        guard let begin = since(object) else { return }
        html.element("small") { html in
          html.put("for ")
          html.element(
            "time", ["datetime": begin.description, "title": begin.description],
            text: Self.age(begin, now))
        }
      }
    }
  }

  private func writeCell(
    _ label: String, _ value: String, _ more: String? = nil, tone: Tone = .good,
    to html: inout HTMLText
  ) {
    html.element("td", ["class": "n", "data-label": label]) { html in
      html.element("div") { html in
        html.put(value)
        guard let more else { return }
        html.element("small") { html in
          if tone == .good {
            html.put(more)
          } else {
            html.element("span", ["class": tone.rawValue], text: more)
          }
        }
      }
    }
  }

  /// A total, and the cell in which the script writes how fast it grows, with a line if wanted.
  private func writeCount(
    _ label: String, _ value: JSONValue?, rate: String, hasLine: Bool, to html: inout HTMLText
  ) {
    writeCell(label, Self.number(value), to: &html)
    html.element(
      "td",
      [
        "class": "n rate", "data-label": Self.rate, "data-rate": rate,
        "data-count": "\(value?.integer ?? 0)", "data-line": hasLine ? "yes" : "no",
      ], text: "–")
  }

  private func writeWAL(_ source: JSONValue, to html: inout HTMLText) {
    guard source["slot"]?.string != nil else { return writeCell("WAL held", "–", to: &html) }
    let status = source["walStatus"]?.string
    let safe = source["safeWALBytes"].flatMap { $0.integer == nil ? nil : "\(size($0)) to go" }
    let left = source["walSecondsLeft"]?.integer
    let isAtRisk =
      status == "unreserved" || status == "lost"
      || left.map { .seconds($0) < Limits.shortWALTime } ?? false
    let time = left.map { "\(Self.duration($0)) left" }
    let more = [status, safe, time].compactMap(\.self).joined(separator: " · ")
    writeCell(
      "WAL held", size(source["walHeldBytes"]), more.isEmpty ? nil : more,
      tone: isAtRisk ? .bad : .good, to: &html)
  }

  private func lag(_ source: JSONValue) -> String? {
    guard case .number(let text) = source["lagSeconds"], let seconds = Double(text) else {
      return nil
    }
    let tenths = Int(clamping: Int64((min(seconds, 1e9) * 10).rounded()))
    return (1..<100).contains(tenths)
      ? "\(tenths / 10).\(tenths % 10) s" : Self.duration(tenths / 10)
  }

  // MARK: - Words

  private func size(_ value: JSONValue?) -> String {
    value?.integer.map { ByteSize(max($0, 0)).rounded } ?? "–"
  }

  private static func number(_ value: JSONValue?) -> String {
    if case .number(let digits) = value { grouped(digits) } else { "–" }
  }

  /// Digits in groups of three, with narrow spaces between.
  private static func grouped(_ digits: String) -> String {
    var result = ""
    for (place, digit) in digits.enumerated() {
      if place > 0, (digits.utf8.count - place) % 3 == 0 { result += "\u{202F}" }
      result.append(digit)
    }
    return result
  }

  private static func age(_ since: UTCTime, _ now: UTCTime) -> String {
    duration(Int(clamping: max(now.microseconds - since.microseconds, 0) / 1_000_000))
  }

  /// About how long it is: "42 s", "3 min", "5 h 20 min", "12 d".
  private static func duration(_ seconds: Int) -> String {
    switch seconds {
    case ..<60: "\(seconds) s"
    case ..<3600: "\(seconds / 60) min"
    case ..<86_400: "\(seconds / 3600) h \(seconds / 60 % 60) min"
    default: "\(seconds / 86_400) d"
    }
  }
}

extension UTCTime {
  /// The moment as RFC 3339 in UTC, as ``description`` writes it; nil when it is something else.
  init?(_ text: String) {
    let numbers = text.split { !("0"..."9" ~= $0) }.compactMap { Int64($0) }
    guard numbers.count == 7, text.hasSuffix("Z") else { return nil }
    // Years begin in March, as in the way back.
    let (year, month) = (numbers[0] - (numbers[1] < 3 ? 1 : 0), (numbers[1] + 9) % 12)
    let days =
      365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + numbers[2] - 1
      - 719_468
    let seconds = ((days * 24 + numbers[3]) * 60 + numbers[4]) * 60 + numbers[5]
    self.init(microseconds: seconds * 1_000_000 + numbers[6])
  }

  /// The time of day, "08:15:50 UTC", with the date when that is another one than `other` has.
  func clock(beside other: UTCTime) -> String {
    let (text, beside) = (description, other.description)
    let time = text.dropFirst(11).prefix(8)
    return text.prefix(10) == beside.prefix(10) ? "\(time) UTC" : "\(text.prefix(10)) \(time) UTC"
  }
}
