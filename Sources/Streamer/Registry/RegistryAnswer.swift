/// What a schema registry's answer to a registration, or a look-up, means.
enum RegistryAnswer: Hashable {
  /// The schema's number.
  case known(UInt32)
  /// The schema is incompatible with earlier ones, invalid, or not there: it is this schema's matter.
  case refused(String)
  /// Who asks is not known, or may not: asking again does not help.
  case denied(String)
  /// It may help to ask again, or somebody else.
  case unavailable(String)
  /// Whoever answers is no schema registry.
  case foreign(String)

  /// Judges an answer by its status and body.
  init(_ answer: HTTPExchange.Answer) {
    let document = JSONValue(answer.body)
    let code = document?["error_code"]?.integer
    let message = document?["message"]?.string.map(Self.shortened)
    let text = Self.text(answer.status, code, message)
    switch answer.status {
    case 200..<300:
      if let number = document?["id"]?.integer, let id = UInt32(exactly: number) {
        self = .known(id)
      } else {
        self = .foreign("it answers with \(answer.status) and no schema's number")
      }
    case 401, 403, 407: self = .denied(text)
    // It says itself that it is a subject or a schema that is missing.
    case 404 where (code ?? 0) / 100 == 404: self = .refused(text)
    case 409, 413, 422: self = .refused(text)
    case 408, 425, 429, 500...: self = .unavailable(text)
    default: self = .foreign("it answers with \(text)")
    }
  }

  private static func text(_ status: Int, _ code: Int?, _ message: String?) -> String {
    let shown = code.map { $0 == status ? "\(status)" : "\(status), error \($0)" } ?? "\(status)"
    return message.map { "\(shown): \($0)" } ?? shown
  }

  /// Registries repeat whole schemas in their messages.
  private static func shortened(_ message: String) -> String {
    let line = message.singleLine
    return line.count > Limits.registryMessage ? "\(line.prefix(Limits.registryMessage))…" : line
  }
}
