import Support
import Testing

@testable import Streamer

/// The client against a scripted registry: what it asks, and what it makes of each answer.
@Suite(.serialized) struct SchemaRegistryTests {
  private let server: ScriptedRegistry

  init() throws { server = try ScriptedRegistry() }

  private func registry(
    _ urls: [String]? = nil, _ change: (inout RegistryConfiguration) -> Void = { _ in }
  ) -> SchemaRegistry {
    var configuration = RegistryConfiguration()
    configuration.urls = (urls ?? [server.url]).compactMap { RegistryURL($0) }
    change(&configuration)
    return SchemaRegistry(configuration, patience: .milliseconds(500))
  }

  private func number(
    _ registry: SchemaRegistry, _ schema: String = #""string""#, _ subject: String = "t-value"
  ) throws(StreamerError) -> UInt32 {
    try registry.number(of: schema, kind: .avro, subject: subject, sink: "k")
  }

  /// What stands in the way.
  private func trouble(_ registry: SchemaRegistry) -> StreamerError? {
    do throws(StreamerError) {
      _ = try number(registry)
      return nil
    } catch { return error }
  }

  private func requests() throws -> [String] {
    let exchange = try #require(HTTPExchange())
    let answer = try exchange.ask(.init(url: Secret(server.url + "/requests")))
    return JSONValue(answer.body)?.elements.compactMap(\.string) ?? []
  }

  @Test func aSchemaIsRegisteredOnce() throws {
    let registry = registry()
    let first = try number(registry)
    #expect(try number(registry) == first)
    #expect(try number(registry, #""long""#) == first + 1)
    // The same schema has the same number under another subject, which has to know it.
    #expect(try number(registry, #""string""#, "a b/é-key") == first)
    #expect(
      try requests() == [
        "POST /subjects/t-value/versions", "POST /subjects/t-value/versions",
        "POST /subjects/a%20b%2F%C3%A9-key/versions",
      ])
  }

  @Test func nothingIsRegisteredWhereThatIsSomebodyElses() throws {
    let missing = trouble(registry { $0.register = .never })
    #expect(missing?.cause == .schema)
    #expect(missing?.isRetryable == false)
    #expect(missing?.hint.contains("Register the schema") == true)
    #expect(missing?.why.contains("Subject 't-value' not found") == true)
    let known = try number(registry())
    #expect(
      try number(
        registry {
          $0.register = .never
          $0.normalize = true
        }) == known)
    #expect(try requests().last == "POST /subjects/t-value?normalize=true")
  }

  @Test func anAnswerThatIsFinalSaysWhatToDo() throws {
    let answers = [
      (409, 40901, true), (422, 42201, true), (422, 42205, true), (413, 413, true),
      (401, 40101, false), (403, 40301, false), (404, 404, false), (302, 302, false),
      (400, 400, false),
    ]
    for (status, code, isTheSchemas) in answers {
      try server.answer(#"{"status":\#(status),"code":\#(code),"message":"the reason"}"#)
      let error = try #require(trouble(registry()))
      #expect(error.isRetryable == false)
      #expect(error.exit == .preflight)
      #expect((error.cause == .schema) == isTheSchemas, "\(status)")
      #expect(error.why.contains("\(status)") && error.why.contains("the reason"))
      #expect(!error.hint.isEmpty)
    }
  }

  @Test func anAnswerThatMayPassIsAskedForAgain() throws {
    for status in [408, 429, 500, 502, 503, 504] {
      let registry = registry()
      try server.answer(#"{"status":\#(status),"times":2}"#)
      let error = try #require(trouble(registry))
      #expect(error.isRetryable && error.cause != .schema)
      #expect(error.why.contains("\(status)"))
      _ = trouble(registry)
      #expect(try number(registry) > 0)
    }
  }

  @Test func whatIsNoRegistryIsSaidToBeNone() throws {
    for body in ["<html>", "", "{}", #"{\"id\":-1}"#, #"{\"id\":4294967296}"#, "[[[["] {
      try server.answer(#"{"body":"\#(body)"}"#)
      let error = try #require(trouble(registry()))
      #expect(!error.isRetryable && error.why.contains("no schema registry"), "\(body)")
    }
    try server.answer(#"{"size":\#(2 << 20)}"#)
    #expect(try #require(trouble(registry())).why.contains("too large"))
  }

  @Test func oneThatDoesNotAnswerIsNotWaitedForForEver() throws {
    let registry = registry()
    try server.answer(#"{"delay":3,"times":1}"#)
    let error = try #require(trouble(registry))
    #expect(error.isRetryable)
    #expect(try number(registry) > 0)
  }

  @Test func anotherAddressIsAsked() throws {
    let dead = "http://127.0.0.1:\(try FreePort.take())"
    let registry = registry([dead, server.url])
    #expect(try number(registry) > 0)
    let other = try ScriptedRegistry()
    try other.answer(#"{"status":503}"#)
    #expect(try number(self.registry([other.url, server.url + "/"])) > 0)
    let error = try #require(trouble(self.registry([dead, other.url])))
    #expect(error.isRetryable)
    #expect(error.why.contains(dead) && error.why.contains("503"))
  }

  @Test func oneThatComesBackIsFound() throws {
    let registry = registry()
    #expect(try number(registry) == 1)
    try server.stop()
    // What is known needs no registry.
    #expect(try number(registry) == 1)
    #expect(throws: StreamerError.self) { try number(registry, #""long""#) }
    let again = try ScriptedRegistry(port: server.port)
    #expect(try number(registry, #""long""#) == 1)
    try again.stop()
  }

  @Test func whoAsksIsShown() throws {
    try server.answer(#"{"user":"me:geheim"}"#)
    let denied = try #require(trouble(registry()))
    #expect(denied.why.contains("401") && denied.hint.contains("password"))
    #expect(
      try number(
        registry {
          $0.user = "me"
          $0.password = Secret("geheim")
        }) > 0)
    let inAddress = "http://me:geheim@127.0.0.1:\(server.port)"
    #expect(try number(registry([inAddress])) > 0)
    let wrong = try #require(trouble(registry(["http://me:falsch@127.0.0.1:\(server.port)"])))
    #expect(!"\(wrong)".contains("falsch"))
    try server.answer(#"{"token":"abc"}"#)
    #expect(try number(registry { $0.token = Secret("abc") }) > 0)
  }

  @Test func theCheckAsksWhetherItIsThere() throws {
    #expect(try registry().check(sink: "k") == server.url)
    try server.answer(#"{"status":403}"#)
    #expect(throws: StreamerError.self) { try registry().check(sink: "k") }
    try server.stop()
    #expect(throws: StreamerError.self) { try registry().check(sink: "k") }
  }

  @Test func addressesAreThoseOfHTTP() {
    #expect(RegistryURL("http://a:8081/")?.address.revealed == "http://a:8081")
    #expect(RegistryURL("HTTPS://u:p@h/apis/ccompat/v7")?.shown == "https://h/apis/ccompat/v7")
    for text in ["", "a:8081", "ftp://a", "http://", "http://u@", "http://a b", "http://a?x"] {
      #expect(RegistryURL(text) == nil, "\(text)")
    }
  }
}
