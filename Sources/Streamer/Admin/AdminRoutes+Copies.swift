/// `/snapshot`: copies of existing rows, listed, asked for, paused, resumed and stopped.
extension AdminRoutes {
  private static let copiesPath = "/snapshot"
  private static let actions = ["pause", "resume", "stop"]

  /// Whether a path is one of these.
  static func isOfCopies(_ path: String) -> Bool {
    path == copiesPath || actions.contains { path == "\(copiesPath)/\($0)" }
  }

  /// Answers one request about them.
  func copies(_ request: AdminRequest) -> AdminResponse {
    let action = request.path.split(separator: "/").dropFirst().first.map(String.init)
    if action == nil, request.method == "GET" || request.method == "HEAD" {
      return .json(200, CopiesDocument.json(status.sources))
    }
    guard request.method == "POST" else {
      let methods = action == nil ? "GET, HEAD, POST" : "POST"
      return .text(405, "Only \(methods) is answered here.").with("Allow", methods)
    }
    if let refusal = refusal(request) { return refusal }
    guard let body = request.body else {
      return .text(413, "A request may have \(Limits.adminBody) bytes.")
    }
    let wish: Wish
    switch Wish.read(body, action: action) {
    case .success(let read): wish = read
    case .failure(let fault): return .text(400, fault.text)
    }
    if token == nil, case .copy(_, .some, _) = wish.command {
      return .text(
        403, "\"where\" is SQL that runs with the source's rights: it needs httpToken to be set.")
    }
    switch status.order(wish.command, of: wish.source) {
    case .failure(let error):
      return .text(error.isRetryable ? 503 : error.exit == .failure ? 500 : 400, "\(error)")
    case .success(let (source, changed)):
      return .json(action == nil ? 202 : 200, CopiesDocument.json(source, changed))
    }
  }

  /// The keys as they are kept; nil where they are none.
  private static func goneKeys(_ value: JSONValue) -> String? {
    let keys = value.elements.map(\.members)
    guard !keys.isEmpty, keys.allSatisfy({ !$0.isEmpty }) else { return nil }
    var isPlain = true
    var json = JSONText()
    json.array { json in
      for key in keys {
        json.object { json in
          for member in key {
            json.key(member.name)
            switch member.value {
            case .number(let digits): json.plain(digits)
            case .string(let text): json.value(text)
            default: isPlain = false
            }
          }
        }
      }
    }
    guard isPlain else { return nil }
    return String(decoding: json.bytes, as: UTF8.self)
  }

  /// What a request wants.
  private struct Wish {
    var source: String?
    var command: CopyCommand

    /// Why a request cannot be read.
    struct Fault: Error { let text: String }

    /// Reads the body of a request for a copy, or of one for an action, which may be empty.
    static func read(_ body: [UInt8], action: String?) -> Result<Wish, Fault> {
      let text = body.isEmpty && action != nil ? Array("{}".utf8) : body
      guard let document = JSONValue(text), case .object(let members) = document else {
        let example =
          action == nil ? #"{"tables": ["public.orders"], "where": "…"}"# : #"{"id": 3}"#
        return .failure(Fault(text: "The request has to bring a JSON object such as \(example)."))
      }
      let known = action == nil ? ["source", "tables", "where", "gone"] : ["source", "id"]
      if let other = members.first(where: { !known.contains($0.name) }) {
        let names = known.joined(separator: ", ")
        return .failure(
          Fault(text: "\"\(other.name.singleLine)\" is not known here, only \(names)."))
      }
      func isMissing(_ name: String) -> Bool { document[name] == nil || document[name] == .null }
      let source = document["source"]?.string
      guard source != nil || isMissing("source") else {
        return .failure(Fault(text: "\"source\" has to be a source's name."))
      }
      guard let action else {
        let tables = document["tables"]?.elements.map(\.string) ?? []
        guard !tables.isEmpty, !tables.contains(nil) else {
          return .failure(
            Fault(text: "\"tables\" has to be a list of tables such as [\"public.orders\"]."))
        }
        let filter = document["where"]?.string
        guard filter != nil || isMissing("where") else {
          return .failure(Fault(text: "\"where\" has to be a condition in SQL."))
        }
        guard isMissing("gone") else {
          guard let keys = document["gone"].flatMap(AdminRoutes.goneKeys), filter == nil,
            tables.count == 1,
            let table = tables[0]
          else {
            return .failure(
              Fault(
                text: "\"gone\" has to be a list of keys such as [{\"id\": 3}] of one table, "
                  + "without \"where\"."))
          }
          return .success(Wish(source: source, command: .tellGone(table: table, keys: keys)))
        }
        let command = CopyCommand.copy(tables: tables.compactMap(\.self), filter: filter)
        return .success(Wish(source: source, command: command))
      }
      let number = document["id"]?.integer
      guard number != nil || isMissing("id") else {
        return .failure(Fault(text: "\"id\" has to be the number of a copy."))
      }
      let command: CopyCommand =
        switch action {
        case "pause": .pause(number)
        case "resume": .resume(number)
        default: .stop(number)
        }
      return .success(Wish(source: source, command: command))
    }
  }
}
