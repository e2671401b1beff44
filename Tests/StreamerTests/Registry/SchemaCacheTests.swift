import Glibc
import Support
import Testing

@testable import Streamer

/// What is kept of registries' answers: used where one is down, and ignored where it is no use.
@Suite(.serialized) struct SchemaCacheTests {
  private let directory: TemporaryDirectory
  private var path: String { directory.path + "/schemas-a.json" }

  init() throws { directory = try TemporaryDirectory() }

  private func registry(_ url: String, _ cache: SchemaCache) -> SchemaRegistry {
    var configuration = RegistryConfiguration()
    configuration.urls = [RegistryURL(url)].compactMap(\.self)
    return SchemaRegistry(configuration, cache: cache, patience: .milliseconds(500))
  }

  private func number(
    _ registry: SchemaRegistry, _ schema: String, kind: RegisteredSchema.Kind = .avro
  ) throws(StreamerError) -> UInt32 {
    try registry.number(of: schema, kind: kind, subject: "t-value", sink: "k")
  }

  /// The lines that a cache of that file logs while `body` uses it.
  private func lines(
    limit: Int = 100, _ body: (SchemaCache) throws -> Void
  ) throws -> [String] {
    let log = directory.path + "/log"
    let descriptor = unsafe open(log, O_RDWR | O_CREAT | O_TRUNC, 0o600)
    try #require(descriptor >= 0)
    defer { close(descriptor) }
    try body(SchemaCache(path: path, limit: limit, log: Log(descriptor: descriptor)))
    let bytes = try FileReading.read(log, limit: 1 << 20)
    return String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init)
  }

  private func quiet(_ limit: Int = 100) -> SchemaCache {
    SchemaCache(path: path, limit: limit, log: Log(level: .error, descriptor: -1))
  }

  private func write(_ bytes: [UInt8]) throws {
    let descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    try #require(descriptor >= 0)
    defer { close(descriptor) }
    try #require(unsafe Glibc.write(descriptor, bytes, bytes.count) == bytes.count)
  }

  @Test func aStartGoesOnWhileTheRegistryIsDown() throws {
    let server = try ScriptedRegistry()
    let first = quiet()
    _ = try number(registry(server.url, first), #""string""#)
    let known = try number(registry(server.url, first), #""long""#)
    first.save()
    try server.stop()
    let logged = try lines { cache in
      let registry = registry(server.url, cache)
      #expect(try number(registry, #""long""#) == known)
      #expect(try number(registry, #""string""#) != known)
      // What nobody has answered before is waited for.
      do throws(StreamerError) {
        _ = try number(registry, #""int""#)
        Issue.record("it has no number")
      } catch { #expect(error.isRetryable) }
      let again = try ScriptedRegistry(port: server.port)
      #expect(try number(registry, #""int""#) == 1)
      // The registry is believed before the file.
      #expect(try number(registry, #""long""#) == 2)
      try again.stop()
    }
    #expect(logged.count == 1 && logged[0].contains("does not answer"), "\(logged)")
  }

  @Test func aRefusalIsNoOutage() throws {
    let server = try ScriptedRegistry()
    let cache = quiet()
    _ = try number(registry(server.url, cache), #""string""#)
    for status in [409, 422, 401, 403] {
      try server.answer(#"{"status":\#(status)}"#)
      #expect(throws: StreamerError.self, "\(status)") {
        try number(registry(server.url, cache), #""string""#)
      }
    }
  }

  @Test func anotherRegistrysNumbersAreNotTaken() throws {
    let server = try ScriptedRegistry()
    let cache = quiet()
    _ = try number(registry(server.url, cache), #""string""#)
    let dead = "http://127.0.0.1:\(try FreePort.take())"
    #expect(throws: StreamerError.self) { try number(registry(dead, cache), #""string""#) }
  }

  @Test func theLastVersionIsKeptWhereFieldsHaveNumbers() throws {
    let server = try ScriptedRegistry()
    let text = #"syntax = "proto3"; message A { int32 a = 1; }"#
    let first = quiet()
    let known = try number(registry(server.url, first), text, kind: .protobuf)
    first.save()
    try server.stop()
    let registry = registry(server.url, quiet())
    #expect(try registry.latest(of: "t-value", sink: "k") == text)
    #expect(try number(registry, text, kind: .protobuf) == known)
    #expect(throws: StreamerError.self) { try registry.latest(of: "u-value", sink: "k") }
  }

  @Test func aDamagedFileIsIgnoredWithOneWarning() throws {
    let cache = quiet()
    for number in 0..<20 {
      cache.learn(
        UInt32(number), of: "s\(number)", subject: "t", registry: "r", keepsText: number == 3)
    }
    cache.save()
    let whole = try FileReading.read(path, limit: 1 << 20)
    #expect(quiet().number(of: "s7", subject: "t", registry: "r") == 7)
    var damaged = stride(from: 0, to: whole.count, by: 7).map { Array(whole[..<$0]) }
    damaged += stride(from: 0, to: whole.count, by: 11).map { place in
      var bytes = whole
      bytes[place] ^= 0x10
      return bytes
    }
    for bytes in damaged {
      try write(bytes)
      let logged = try lines { cache in
        #expect(cache.number(of: "s7", subject: "t", registry: "r") == nil)
        #expect(cache.text(of: "t", registry: "r") == nil)
      }
      #expect(logged.count == 1 && logged[0].contains("is not used"), "\(logged)")
    }
    // It is written anew with the next answer.
    let after = quiet()
    after.learn(9, of: "s9", subject: "t", registry: "r", keepsText: false)
    after.save()
    let logged = try lines { cache in
      #expect(cache.number(of: "s9", subject: "t", registry: "r") == 9)
    }
    #expect(logged.isEmpty)
  }

  @Test func itIsBounded() throws {
    let cache = quiet(8)
    for number in 0..<100 {
      cache.learn(UInt32(number), of: "s\(number)", subject: "t", registry: "r", keepsText: true)
    }
    cache.save()
    let kept = (0..<100).filter { quiet().number(of: "s\($0)", subject: "t", registry: "r") != nil }
    #expect(kept == [96, 97, 98, 99])
  }

  @Test func whatCannotBeWrittenIsToldOnce() throws {
    let log = try lines { cache in
      try #require(unsafe mkdir(path + ".new", 0o700) == 0)
      cache.learn(1, of: "s", subject: "t", registry: "r", keepsText: false)
      cache.save()
      cache.save()
    }
    #expect(log.count == 1 && log[0].contains("cannot be kept"), "\(log)")
    try #require(unsafe rmdir(path + ".new") == 0)
  }
}
