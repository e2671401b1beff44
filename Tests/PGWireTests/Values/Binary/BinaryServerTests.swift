import Support
import Testing

@testable import PGWire

/// Our text of binary values against what a real server prints of the same values.
@Suite struct BinaryServerTests {
  /// A value as the server sends it in both forms.
  struct Value {
    let type: String
    let format: BinaryFormat
    let binary: [UInt8]
    let text: String
  }

  /// Values of every type from one server, and the formats to read them.
  final class Collection {
    var formats: BinaryFormats
    var values: [Value] = []
    private var catalog = TypeCatalog()
    private let version: Int
    private let server: PostgresServer
    private var connection: Connection

    init(version: Int, count: Int) throws {
      server = try PostgresServer(version: version)
      self.version = version
      formats = BinaryFormats(serverMajor: version)
      connection = try Connection.open(
        ConnectionParameters(ConnectionString(server.dsn())),
        startup: [
          ("client_encoding", "UTF8"), ("DateStyle", "ISO, MDY"), ("IntervalStyle", "postgres"),
          ("extra_float_digits", "3"), ("bytea_output", "hex"), ("TimeZone", "UTC"),
          ("lc_monetary", "C"), ("search_path", ""),
        ])
      _ = try connection.query(TypeSamples.types)
      var types = TypeSamples.builtin
      for (name, own) in TypeSamples.extensions.sorted(by: { $0.key < $1.key }) {
        let isThere = try connection.query(
          "SELECT 1 FROM pg_available_extensions WHERE name = '\(name)'")
        guard isThere.first?.rows.isEmpty == false else { continue }
        _ = try connection.query("CREATE EXTENSION \(name) SCHEMA public")
        types += own
      }
      if (try? connection.query("SELECT '<a/>'::xml")) == nil {
        printToStandardError("skipped: xml, which this PostgreSQL \(version) is built without")
        types.removeAll { $0 == "xml" }
      }
      var samples = TypeSamples(seed: UInt64(version))
      for type in types {
        try collect(samples.values(of: type, count), type)
        try collect(samples.arrays(of: type, count / 10), "\(type)[]")
      }
    }

    private func collect(_ expressions: [String], _ type: String) throws {
      let facts = try connection.query(
        "SELECT oid::int8, typsend::text FROM pg_type WHERE oid = '\(type)'::regtype")
      let row = try #require(facts.first?.rows.first)
      let oid = try #require(row[0].flatMap { UInt32($0) })
      let missing = catalog.missing(for: [oid])
      if !missing.isEmpty {
        let rows = try connection.query(TypeCatalogQuery.text(for: missing, serverMajor: version))
        catalog.learn(try TypeCatalogQuery.descriptions(of: rows.first?.rows ?? []))
      }
      let resolved = formats.resolve(oid, in: catalog)
      let format = try #require(resolved, "\(type) is not readable")
      let send = try #require(row[1])
      // Another type's function that SQL does not find for it.
      let argument = type.hasPrefix("refcursor") && send == "textsend" ? "v::text" : "v"
      let list = expressions.map { "(\($0))" }.joined(separator: ",\n")
      let answer = try connection.query(
        "SELECT v, encode(\(send)(\(argument)), 'hex') FROM (VALUES \(list)) s(v)")
      for row in answer.first?.rows ?? [] {
        let text = try #require(row[0])
        let binary = try Self.bytes(hexadecimal: try #require(row[1]))
        values.append(Value(type: type, format: format, binary: binary, text: text))
      }
    }

    private static func bytes(hexadecimal text: String) throws -> [UInt8] {
      let digits = Array(text.utf8)
      return try stride(from: 0, to: digits.count, by: 2).map {
        try #require(UInt8(String(decoding: digits[$0..<$0 + 2], as: UTF8.self), radix: 16))
      }
    }
  }

  static let versions = PostgresPrograms.installed.keys.filter { $0 >= 14 }.sorted()

  @Test(.needsPostgres, arguments: versions) func everyTypeReadsAsItsText(version: Int) throws {
    let collection = try Collection(version: version, count: 400)
    var output = ByteWriter()
    for value in collection.values {
      output.removeAll()
      do throws(DecodingError) {
        try collection.formats.appendText(
          of: unsafe value.binary.span.bytes, as: value.format, to: &output)
      } catch { Issue.record("\(value.type) \(value.text): \(error)") }
      let text = output.bytes.text
      #expect(text == value.text, "\(value.type)")
    }
    print("PostgreSQL \(version): \(collection.values.count) values read as their text")
    #expect(collection.values.count > 20_000)
    malformed(collection)
  }

  /// Each value cut at every length must throw, but for the types whose bytes are their text; each
  /// with a byte changed must not trap.
  private func malformed(_ collection: Collection) {
    var random = SeededRandom(seed: 7)
    var output = ByteWriter()
    func read(_ bytes: [UInt8], _ format: BinaryFormat) -> Bool {
      output.removeAll()
      do throws(DecodingError) {
        try collection.formats.appendText(of: unsafe bytes.span.bytes, as: format, to: &output)
        return true
      } catch { return false }
    }
    var cut = 0
    for value in collection.values where value.binary.count <= 200 {
      let isFree = [.text, .versionedText, .bytea].contains(value.format.rule)
      if Int.random(in: 0..<8, using: &random) == 0 {
        for length in 0..<value.binary.count where !isFree {
          cut += 1
          let isRead = read(Array(value.binary.prefix(length)), value.format)
          #expect(!isRead, "\(value.type) \(value.text) cut at \(length)")
        }
      }
      for _ in 0..<4 where !value.binary.isEmpty {
        var changed = value.binary
        let place = Int.random(in: 0..<changed.count, using: &random)
        changed[place] = UInt8.random(in: 0...255, using: &random)
        _ = read(changed, value.format)
      }
    }
    #expect(cut > 10_000)
  }
}
