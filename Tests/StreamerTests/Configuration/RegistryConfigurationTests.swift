import Support
import Testing

@testable import Streamer

/// The keys of formats whose schemas a registry keeps.
@Suite struct RegistryConfigurationTests {
  private static func kafka(_ lines: String) -> String {
    ConfigurationFixture.minimal + """
      [sink.k]
      type = "kafka"
      sources = ["db1"]
      hosts = ["k:9092"]
      topicFallback = "t"
      \(lines)

      """
  }

  private func errors(_ lines: String) -> [String] {
    ConfigurationFixture.errors(Self.kafka(lines)).map { line in
      guard let start = line.firstRange(of: "sink.k")?.lowerBound else { return line }
      return String(line[start...])
    }
  }

  @Test func allKeysAreRead() throws {
    let configuration = try ConfigurationFixture.parse(
      Self.kafka(
        """
        format = "avro"
        schemaStyle = "plain"
        onSchemaError = "exclude"
        [sink.k.registry]
        urls = ["https://me:pw@r1/apis/ccompat/v7/", "http://r2:8081"]
        user = "u"
        password = "geheim"
        ca = "/ca.pem"
        certificate = "/c.pem"
        key = "/k.pem"
        subjects = "topic-record"
        register = "never"
        normalize = true
        """))
    let setup = configuration.sinks[1].setup(for: "db")
    let registry = try #require(setup.schemas.registry)
    #expect(setup.format == .avro && setup.keyFormat == .avro && setup.schemas.style == .plain)
    #expect(setup.schemas.onError == .exclude && setup.schemas.isRowAlone)
    #expect(registry.urls.map(\.shown) == ["https://r1/apis/ccompat/v7", "http://r2:8081"])
    #expect(registry.user == "u" && registry.password == Secret("geheim"))
    #expect(
      registry.ca == "/ca.pem" && registry.certificate == "/c.pem" && registry.key == "/k.pem")
    #expect(registry.subjects == .topicRecord && registry.register == .never && registry.normalize)
    #expect(!"\(registry)".contains("geheim") && !"\(registry)".contains("pw"))
  }

  @Test func itsDefaultsAreThoseOfConfluentsSerializers() throws {
    let setup = try ConfigurationFixture.parse(
      Self.kafka(
        """
        format = "avro"
        keyFormat = "scalar"
        registry = { urls = "http://r:8081" }
        """)
    ).sinks[1].setup(for: "db")
    #expect(setup.keyFormat == .scalar)
    #expect(setup.schemas.style == .debezium && !setup.schemas.isRowAlone)
    #expect(setup.schemas.onError == .stop)
    #expect(setup.schemas.registry?.subjects == .topic && setup.schemas.registry?.register == .auto)
  }

  @Test(
    arguments: [
      (
        #"format = "avro""#,
        "sink.k.registry: found nothing, expected a table with the urls of a schema registry. "
          + #"Write [sink.k.registry] urls = ["http://registry:8081"]."#
      ),
      (
        "format = \"avro\"\nregistry = { urls = [\"r:8081\"] }",
        "sink.k.registry.urls: found a text that is no address of HTTP, expected a list of "
          + #"addresses such as ["http://registry:8081"]."#
      ),
      (
        "format = \"avro\"\nmessageTopic = \"m\"\nregistry = { urls = [\"http://r\"] }",
        #"sink.k.messageTopic: found a topic, expected no messageTopic beside format = "avro". "#
          + "Logical messages have no schema yet: let another sink write them."
      ),
      (
        "format = \"avro\"\nregistry = { urls = [\"http://r\"], token = \"t\", user = \"u\" }",
        "sink.k.registry.token: found a token beside user or password, expected one of them."
      ),
      (
        "format = \"avro\"\nonSchemaError = \"quarantine\"\nregistry = { urls = [\"http://r\"] }",
        #"sink.k.onSchemaError: found "quarantine", expected oversized = "quarantine" beside it, "#
          + #"in a sink of type "kafka"."#
      ),
      (
        "keyFormat = \"avro\"",
        #"sink.k.keyFormat: found "avro", expected format = "avro" beside it."#
      ),
      (
        "keyFormat = \"protobuf\"",
        #"sink.k.keyFormat: found "protobuf", expected format = "protobuf" beside it."#
      ),
    ])
  func whatIsWrongIsSaid(_ lines: String, _ error: String) {
    #expect(errors(lines) == [error])
  }

  /// Lines of a file are for other programs, those of standard output for people.
  @Test func noFileTakesIt() {
    let errors = ConfigurationFixture.errors(
      ConfigurationFixture.minimal + """
        [sink.s]
        type = "file"
        path = "/tmp/lines"
        sources = ["db1"]
        format = "avro"
        registry = { urls = ["http://r"] }

        """)
    #expect(errors.count == 1 && errors[0].contains("its records are no lines"), "\(errors)")
  }

  @Test func whatIsShownNeedsNoRegistry() throws {
    let shown =
      ConfigurationFixture.minimal + """
        [sink.s]
        type = "stdout"
        sources = ["db1"]
        format = "avro"

        """
    #expect(try ConfigurationFixture.parse(shown).notes.isEmpty)
    let notes = try ConfigurationFixture.parse(shown + "registry = { urls = [\"http://r\"] }\n")
      .notes
    #expect(notes.count == 1 && "\(notes[0])".contains("registry"), "\(notes)")
  }
}
