@testable import Streamer

extension Driver.Answer where S == PostgresSource {
  /// Its kind and how it went, for ``AnswerFates``.
  var kind: String {
    switch self {
    case .attempted(let attempt): Self.kind("attempted", attempt.result)
    case .source(.snapshot): "snapshot"
    case .source(.ordered(_, let outcome)): Self.kind("ordered", outcome)
    case .source(.signalled(let outcome)): Self.kind("signalled", outcome)
    case .source(.newTables(let outcome)): Self.kind("new tables", outcome)
    case .durable(_, _, let error): error == nil ? "durable" : "durable failed"
    case .released: "released"
    case .reload(_, let result, _): Self.kind("reload", result)
    case .closed: "closed"
    case .source(.found(_, let result)): Self.kind("found", result)
    case .source(.saved(_, let error)): error == nil ? "saved" : "saved failed"
    case .source(.topics): "topics"
    case .source(.slot): "slot"
    case .source(.recorded): "recorded"
    case .source(.heartbeat): "heartbeat"
    case .source(.seen(_, let result)): Self.kind("seen", result)
    }
  }

  private static func kind<T>(_ name: String, _ result: Result<T, StreamerError>) -> String {
    if case .failure = result { "\(name) failed" } else { name }
  }
}
