/// `snapshot`: what somebody wants of the copies of existing rows of an instance that runs.
enum SnapshotCommand {
  /// Asks for it.
  static func run(_ options: CommandLineRequest.SnapshotOptions) throws(StreamerError) -> Int32 {
    let configuration: Configuration
    do throws(ConfigurationErrors) {
      // A connection's secrets are of no use here.
      let unconnected = try Configuration.loadUnconnected(path: options.configuration)
      configuration =
        unconnected.httpToken == nil
        ? unconnected : try Configuration.load(path: options.configuration)
    } catch {
      error.complain()
      return error.exit.rawValue
    }
    let location = try HTTPLocation(of: configuration)
    let token = configuration.httpToken?.revealed
    guard case .order(let command) = options.action else {
      let answer = try ask(HTTPMessage("GET", "/snapshot"), at: location, token)
      Terminal.print(list(answer, source: options.source))
      return 0
    }
    let answer = try ask(message(command, source: options.source), at: location, token)
    let source = answer["source"]?.string ?? ""
    let numbers = answer["ids"]?.elements.compactMap(\.integer).map(String.init) ?? []
    let tables = answer["tables"]?.elements.count ?? 0
    let text = numbers.joined(separator: ", ")
    switch command {
    case .decide, .tellGone: break
    case .copy:
      Terminal.print(
        "copy \(text) of source \(source): \(tables) \(tables == 1 ? "table" : "tables")")
    case .pause: Terminal.print("paused of source \(source): \(text)")
    case .resume: Terminal.print("resumed of source \(source): \(text)")
    case .stop: Terminal.print("stopped of source \(source): \(text)")
    }
    return 0
  }

  /// What asks the instance for it.
  static func message(_ command: CopyCommand, source: String?) -> HTTPMessage {
    var json = JSONText()
    var path = "/snapshot"
    json.object { json in
      if let source {
        json.key("source")
        json.value(source)
      }
      func id(_ number: Int?, _ action: String) {
        path += action
        guard let number else { return }
        json.key("id")
        json.value(number)
      }
      switch command {
      case .copy(let tables, let filter, _):
        json.key("tables")
        json.array { json in for table in tables { json.value(table) } }
        json.key("where")
        json.value(filter)
      case .tellGone(let table, let keys):
        json.key("tables")
        json.array { json in json.value(table) }
        json.key("gone")
        json.plain(keys)
      case .decide: break
      case .pause(let number): id(number, "/pause")
      case .resume(let number): id(number, "/resume")
      case .stop(let number): id(number, "/stop")
      }
    }
    return HTTPMessage("POST", path, json.bytes)
  }

  /// Asks the instance, and gives its answer.
  static func ask(
    _ message: HTTPMessage, at location: HTTPLocation, _ token: String?
  ) throws(StreamerError) -> JSONValue {
    let answer = try HTTPRequest.send(
      message, to: location, token: token, until: ContinuousClock.now + Limits.copyAnswer * 3)
    if answer.code == 200 || answer.code == 202, let document = JSONValue(answer.body) {
      return document
    }
    let line = String(decoding: answer.body, as: UTF8.self).singleLine.trimmingSpaces
    let isRefused = (400..<500).contains(answer.code)
    throw StreamerError(
      what: line.isEmpty || answer.body.count > 4_096
        ? "\(location) answered \(answer.code)" : line,
      exit: isRefused ? .usage : .failure)
  }

  private static func list(_ answer: JSONValue, source: String?) -> String {
    var table = TextTable(
      ["SOURCE", "ID", "STATE", "TABLES", "ROWS", "OF", "WHERE", "ERROR"].map { .init($0) })
    for copy in answer["copies"]?.elements ?? [] {
      guard source == nil || copy["source"]?.string == source else { continue }
      let patterns = copy["tables"]?.elements.compactMap(\.string) ?? []
      let done = copy["tablesDone"]?.integer ?? 0
      let cells = [
        copy["source"]?.string ?? "", "\(copy["id"]?.integer ?? 0)", copy["state"]?.string ?? "",
        "\(done)/\(copy["tablesTotal"]?.integer ?? 0)", "\(copy["rows"]?.integer ?? 0)",
        patterns.isEmpty ? "the start" : patterns.joined(separator: " "),
        copy["gone"]?.bool == true ? "deleted keys" : copy["where"]?.string ?? "–",
        copy["error"]?.string ?? "–",
      ]
      table.add(cells.map { .init($0.singleLine) })
    }
    return table.text
  }
}

extension String {
  /// The text without spaces at its ends.
  fileprivate var trimmingSpaces: String {
    let front = drop { $0 == " " }
    return String(front.reversed().drop { $0 == " " }.reversed())
  }
}
