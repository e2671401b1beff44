/// A schema registry, as Confluent's and Apicurio's compatible interfaces are: gives schemas their
/// numbers, and remembers them.
///
/// Its calls block: they run on the I/O worker.
// SAFETY: only one source's worker thread calls it, one call after the other.
final class SchemaRegistry: @unchecked Sendable {
  /// What has been registered under which name.
  private struct Registered: Hashable {
    let subject: String
    let schema: String
  }

  private let configuration: RegistryConfiguration
  private let exchange = HTTPExchange()
  private var known: [Registered: UInt32] = [:]
  /// What was registered last, by subject.
  private var lastTexts: [String: String] = [:]
  /// The address that answered last: it is asked first.
  private var last = 0

  /// How long an answer may take.
  private let patience: Duration
  /// What earlier starts have learned; nil where nothing is kept.
  private let cache: SchemaCache?
  /// Its name in the cache.
  private let name: String
  /// Until when nobody is asked for what the cache knows, since nobody has answered.
  private var rest: ContinuousClock.Instant?

  init(
    _ configuration: RegistryConfiguration, cache: SchemaCache? = nil,
    patience: Duration = Limits.registryAnswer
  ) {
    self.configuration = configuration
    self.cache = cache
    self.patience = patience
    name = configuration.urls.map(\.shown).joined(separator: " ")
  }

  /// The number of a schema under a subject; `sink` names whoever asks in errors.
  ///
  /// What concerns this schema alone has the cause ``StreamerError/Cause/schema``.
  func number(
    of schema: String, kind: RegisteredSchema.Kind, subject: String, sink: String
  ) throws(StreamerError) -> UInt32 {
    let wanted = Registered(subject: subject, schema: schema)
    if let number = known[wanted] {
      lastTexts[subject] = schema
      return number
    }
    var body = JSONText()
    body.object { json in
      if kind != .avro {
        json.key("schemaType")
        json.value(kind.rawValue)
      }
      json.key("schema")
      json.value(schema)
    }
    var path = "/subjects/\(HTTPExchange.escaped(subject))"
    if configuration.register == .auto { path += "/versions" }
    if configuration.normalize { path += "?normalize=true" }
    let kept = cache?.number(of: schema, subject: subject, registry: name)
    let answer: UInt32
    switch try ask(path, body.bytes, about: subject, sink, unless: kept) {
    case .kept(let number): return number
    case .answered(let number, _): answer = number
    }
    cache?.learn(
      answer, of: schema, subject: subject, registry: name, keepsText: kind == .protobuf)
    if known.count >= Limits.registeredSchemas { known = [:] }
    known[wanted] = answer
    if lastTexts.count >= Limits.registeredSchemas { lastTexts = [:] }
    lastTexts[subject] = schema
    return answer
  }

  /// Takes a schema that the registry has refused, and that is held, for its subject's last version.
  func hold(_ schema: String, subject: String) { lastTexts[subject] = schema }

  /// The text of a subject's last version; nil where there is none.
  ///
  /// It is asked for once: after that it is what was registered last.
  func latest(of subject: String, sink: String) throws(StreamerError) -> String? {
    if let text = lastTexts[subject] { return text }
    let path = "/subjects/\(HTTPExchange.escaped(subject))/versions/latest"
    let kept = cache?.text(of: subject, registry: name)
    do throws(StreamerError) {
      switch try ask(path, nil, about: subject, sink, unless: kept) {
      case .kept(let text): return text
      case .answered(_, let text): return text
      }
    } catch {
      // What is wrong with the subject, registering says.
      guard error.cause == .schema else { throw error }
      return nil
    }
  }

  /// The schema of a number; nil where the registry has none.
  func schema(
    _ number: UInt32, sink: String
  ) throws(StreamerError) -> (kind: RegisteredSchema.Kind, text: String)? {
    var troubles: [String] = []
    for url in configuration.urls {
      guard let answer = answer(url, "/schemas/ids/\(number)", nil, &troubles) else { continue }
      if answer.status == 404 { return nil }
      if (200..<300).contains(answer.status), let body = JSONValue(answer.body),
        let text = body["schema"]?.string
      {
        // Avro's goes without saying.
        let kind = body["schemaType"]?.string.flatMap { RegisteredSchema.Kind(rawValue: $0) }
        return (kind ?? .avro, text)
      }
      if case .denied(let text) = RegistryAnswer(answer) { throw denied(url, text, sink) }
      troubles.append("\(url.shown): HTTP \(answer.status)")
    }
    throw unavailable(troubles, sink)
  }

  /// Asks whether it is there and lets this program in; gives the address that answers.
  func check(sink: String) throws(StreamerError) -> String {
    var troubles: [String] = []
    for url in configuration.urls {
      guard let answer = answer(url, "/schemas/types", nil, &troubles) else { continue }
      if (200..<300).contains(answer.status) { return url.shown }
      switch RegistryAnswer(answer) {
      case .denied(let text): throw denied(url, text, sink)
      case .known: break
      case .refused(let text), .unavailable(let text), .foreign(let text):
        troubles.append("\(url.shown): \(text)")
      }
    }
    throw unavailable(troubles, sink)
  }

  /// What came of a question to which the cache may know an answer.
  private enum Outcome<Kept> {
    case answered(UInt32, text: String?)
    case kept(Kept)
  }

  /// Asks, and takes what is kept where nobody answers.
  private func ask<Kept>(
    _ path: String, _ body: [UInt8]?, about subject: String, _ sink: String, unless kept: Kept?
  ) throws(StreamerError) -> Outcome<Kept> {
    if let rest, let kept, .now < rest { return .kept(kept) }
    do throws(StreamerError) {
      let answer = try ask(path, body, about: subject, sink)
      rest = nil
      return .answered(answer.number, text: answer.text)
    } catch {
      guard error.isRetryable, let kept else { throw error }
      rest = .now + Limits.registryRest
      cache?.stand(in: name, because: error)
      return .kept(kept)
    }
  }

  /// Asks one address after the other.
  private func ask(
    _ path: String, _ body: [UInt8]?, about subject: String, _ sink: String
  ) throws(StreamerError) -> (number: UInt32, text: String?) {
    var troubles: [String] = []
    for attempt in configuration.urls.indices {
      let index = (last + attempt) % configuration.urls.count
      let url = configuration.urls[index]
      guard let answer = answer(url, path, body, &troubles) else { continue }
      switch RegistryAnswer(answer) {
      case .known(let number):
        last = index
        return (number, body == nil ? JSONValue(answer.body)?["schema"]?.string : nil)
      case .refused(let text): throw refused(url, subject, text, sink)
      case .denied(let text): throw denied(url, text, sink)
      case .unavailable(let text): troubles.append("\(url.shown): \(text)")
      case .foreign(let text):
        throw StreamerError(
          what: "sink \(sink)", why: "\(url.shown) is no schema registry: \(text)",
          hint: "Correct urls in [sink.\(sink).registry]; Apicurio's has the path "
            + "/apis/ccompat/v7.", exit: .preflight)
      }
    }
    throw unavailable(troubles, sink)
  }

  private func answer(
    _ url: RegistryURL, _ path: String, _ body: [UInt8]?, _ troubles: inout [String]
  ) -> HTTPExchange.Answer? {
    guard let exchange else {
      troubles.append("libcurl cannot be used")
      return nil
    }
    let request = HTTPExchange.Request(
      url: Secret(url.address.revealed + path), body: body,
      credentials: HTTPExchange.Credentials(
        user: configuration.user, password: configuration.password, token: configuration.token,
        ca: configuration.ca, certificate: configuration.certificate, key: configuration.key),
      patience: patience)
    do throws(HTTPExchange.Failure) { return try exchange.ask(request) } catch {
      troubles.append("\(url.shown): \(error.why)")
      return nil
    }
  }

  // MARK: - Errors

  private func refused(
    _ url: RegistryURL, _ subject: String, _ text: String, _ sink: String
  ) -> StreamerError {
    let isMissing = configuration.register == .never && text.hasPrefix("404")
    return StreamerError(
      what: "sink \(sink)",
      why: "the schema registry \(url.shown) refuses the schema of subject \(subject): \(text)",
      hint: isMissing
        ? "Register the schema, or set register = \"auto\" in [sink.\(sink).registry]."
        : "Change the subject's compatibility or the table, or set onSchemaError = \"exclude\" "
          + "or \"quarantine\".",
      exit: .preflight, cause: .schema)
  }

  private func denied(_ url: RegistryURL, _ text: String, _ sink: String) -> StreamerError {
    StreamerError(
      what: "sink \(sink)", why: "the schema registry \(url.shown) does not let it in: \(text)",
      hint: "Set user and password, or token, in [sink.\(sink).registry] to those of somebody who "
        + "may write its subjects.", exit: .preflight)
  }

  private func unavailable(_ troubles: [String], _ sink: String) -> StreamerError {
    let reasons = troubles.isEmpty ? configuration.urls.map(\.shown) : troubles
    return StreamerError(
      what: "sink \(sink)",
      why: "no schema registry answers: \(reasons.joined(separator: "; "))",
      hint: "Nothing is lost: it is asked again.", retryable: true)
  }
}
