import Testing

@testable import Streamer

@Suite struct SecretTests {
  private static let expansion = SecretExpansion(
    environment: { ConfigurationFixture.variables[$0] }, readFile: ConfigurationFixture.read)

  static let good: [(text: String, result: String)] = [
    ("plain $ and {}", "plain $ and {}"),
    ("${PGPASS}", "geheim-env"),
    ("host=db1 password=${PGPASS} port=${TEN}0", "host=db1 password=geheim-env port=100"),
    ("${file:/run/secrets/token}", "geheim-file"),
    ("x${file:${RUN}/secrets/token}y", "xgeheim-filey"),
    ("${file:/run/${SECRETS}/token}${TEN}", "geheim-file10"),
    ("$${PGPASS} $$x", "${PGPASS} $$x"),
    ("a$", "a$"),
  ]

  @Test(arguments: good)
  func expands(_ text: String, _ result: String) throws {
    #expect(try Self.expansion.expand(text).text == result)
  }

  /// A value of `dsn` and what it is told, without the place.
  static let bad: [(text: String, error: String)] = [
    (
      "${NOPE}",
      "found ${NOPE}, which is not set, expected an environment variable that is set. "
        + "Set NOPE in the environment of psql-streamer."
    ),
    (
      "${file:/nope}",
      "found ${file:/nope}, which cannot be read (No such file or directory), "
        + "expected a readable file."
    ),
    (
      "${file:${RUN}/nope}",
      "found ${file:${RUN}/nope}, which cannot be read (No such file or directory), "
        + "expected a readable file."
    ),
    (
      "${file:${CREDENTIALS_DIRECTORY}/nope}",
      "found ${CREDENTIALS_DIRECTORY}, which is not set, expected an environment variable that is "
        + "set. Set CREDENTIALS_DIRECTORY in the environment of psql-streamer."
    ),
    (
      "geheim${file:${RUN}/x",
      "found \"${\" without its \"}\", expected ${NAME} or ${file:PATH}. "
        + "Write $${ for the two characters themselves."
    ),
    (
      "${file:${file:/run/secrets/token}}",
      "found a \"${file:…}\" within another, expected ${file:PATH}, where PATH may hold ${NAME}."
    ),
    (
      "${${TEN}}",
      "found \"${…}\" around what is no name, expected ${NAME} or ${file:PATH}. "
        + "A name has letters, digits and underscores; $${ stands for the two characters."
    ),
    (
      "${file:/run/secrets/binary}",
      "found ${file:/run/secrets/binary}, which is not UTF-8, "
        + "expected a text file with one secret."
    ),
    (
      "${file:/run/secrets/long}",
      "found ${file:/run/secrets/long}, which is longer than 64KiB, "
        + "expected a file with one secret."
    ),
    (
      "geheim${PGPASS",
      "found \"${\" without its \"}\", expected ${NAME} or ${file:PATH}. "
        + "Write $${ for the two characters themselves."
    ),
    (
      "${geheim geheim}",
      "found \"${…}\" around what is no name, expected ${NAME} or ${file:PATH}. "
        + "A name has letters, digits and underscores; $${ stands for the two characters."
    ),
  ]

  @Test(arguments: bad)
  func refuses(_ text: String, _ error: String) {
    let lines = ConfigurationFixture.errors(
      ConfigurationFixture.minimal.split(separator: "\n").map {
        $0.hasPrefix("dsn") ? "dsn = '\(text)'" : String($0)
      }.joined(separator: "\n"))
    #expect(lines == ["c.toml:4: source.db1.dsn: \(error)"])
    #expect(lines.allSatisfy { !$0.contains("geheim") })
  }

  @Test func referencesWorkForEveryKindOfValue() throws {
    let configuration = try ConfigurationFixture.parse(
      """
      store = "/${SOURCE}.db"
      httpToken = "${file:/run/secrets/token}"
      tickerInterval = "${TEN}s"
      inFlight = "${TEN}MiB"
      [source.db1]
      type = "postgres"
      dsn = "password=${PGPASS}"
      publication = "p"
      replicationSlot = "${SOURCE}_slot"
      batchSize = "${TEN}"
      verbose = "${YES}"
      [sink.k]
      type = "kafka"
      sources = ["${SOURCE}"]
      hosts = ["${SOURCE}:9092"]
      tableTopicMapping = { a = "${SOURCE}" }
      [sink.k.librdkafka]
      sasl.password = "${PGPASS}"
      """)
    #expect(configuration.store == "/db1.db")
    #expect(configuration.httpToken?.revealed == "geheim-file")
    #expect(configuration.tickerInterval == .seconds(10))
    #expect(configuration.inFlight == .mebibytes(10))
    #expect(configuration.sources[0].batchSize == 10)
    #expect(configuration.sources[0].verbose)
    #expect(configuration.sinks[0].sources == ["db1"])
    guard case .kafka(let kafka) = configuration.sinks[0].kind else {
      Issue.record("k is no kafka sink")
      return
    }
    #expect(kafka.hosts == ["db1:9092"])
    #expect(kafka.topics.mappings.first?.topic == "db1")
    #expect(kafka.librdkafka["sasl.password"]?.revealed == "geheim-env")

    var dumped = ""
    dump(configuration, to: &dumped)
    for text in ["\(configuration)", String(reflecting: configuration), dumped] {
      #expect(!text.contains("geheim"), "printing a configuration shows no secret")
    }
  }

  @Test func printsAsStars() {
    let secret = Secret("geheim")
    #expect("\(secret)" == "***")
    #expect(String(reflecting: secret) == "***")
    #expect(secret.revealed == "geheim")
  }

  /// Wherever a reference stands wrongly, what it stands for is not shown.
  @Test(arguments: [
    "http", "tickerInterval", "inFlight", "logFormat", "logLevel", "shutdownTimeout", "store",
    "source.s.type", "source.s.batchSize", "source.s.replicationSlot", "source.s.protocol",
    "source.s.walPositionOverride", "source.s.onGap", "source.s.tables", "source.s.verbose",
    "source.s.walRetain", "source.s.timeout", "source.s.hosts", "source.s.topics",
    "source.s.unknown", "source.s.streaming", "sink.k.sources", "sink.k.hosts",
    "sink.k.tableTopicMapping.x", "sink.k.topicFallback", "sink.k.topicTemplate",
    "sink.k.handlers", "sink.k.requiredAcks", "sink.k.format", "sink.k.topics.partitions",
    "sink.k.topics.config", "sink.k.librdkafka", "sink.k.librdkafka.acks", "sink.k.createTopics",
    "sink.k.messageTopic", "sink.k.delivery", "sink.k.async", "sink.k.path", "sink.k.type",
  ])
  func noErrorShowsWhatAReferenceStandsFor(_ key: String) {
    for reference in ["${PGPASS}", "x y ${file:/run/secrets/token}"] {
      for type in ["source.s.type = \"postgres\"", "source.s.type = \"kafka\"", ""] {
        let types = key.hasSuffix("type") ? "" : "\(type)\nsink.k.type = \"kafka\"\n"
        let lines = ConfigurationFixture.errors("\(types)\n\(key) = '\(reference)'\n")
        #expect(!lines.isEmpty)
        #expect(lines.allSatisfy { !$0.contains("geheim") }, "\(lines)")
      }
    }
  }

  /// The same for every key that there is (A7).
  @Test func noErrorOfAnyKeyShowsWhatAReferenceStandsFor() throws {
    let tables = [
      ("Top of the file", ""), ("Source postgres", "[source.s]\ntype = \"postgres\"\n"),
      ("Source kafka", "[source.s]\ntype = \"kafka\"\n"),
      ("Source recording", "[source.s]\ntype = \"recording\"\n"),
      ("Sink kafka", "[sink.k]\ntype = \"kafka\"\n"),
      ("Sink file", "[sink.k]\ntype = \"file\"\n"),
      ("Every sink", "[sink.k]\ntype = \"file\"\n"),
    ]
    let documented = try ConfigurationDocumentationTests.documentedKeys()
    for (section, head) in tables {
      let keys = try #require(documented[section])
      for key in keys where key != "type" {
        for value in ["'${PGPASS}'", "'x ${PGPASS} y'", "['${PGPASS}']", "{ a = '${PGPASS}' }"] {
          let lines = ConfigurationFixture.errors("\(head)\(key) = \(value)\n")
          #expect(!lines.isEmpty)
          #expect(lines.allSatisfy { !$0.contains("geheim") }, "\(key): \(lines)")
        }
      }
    }
  }

  static let syntax: [(text: String, error: String)] = [
    ("httpToken = trugeheim", "Error while parsing boolean: expected 'true', saw '…'"),
    (
      "httpToken = 99999999999999999999",
      "Error while parsing decimal integer: '…' is not representable in 64 bits"
    ),
    ("httpToken = geheim", "Error while parsing value: could not determine value type"),
    ("httpToken = \"geheim\\q\"", "Error while parsing string: unknown escape sequence '\\q'"),
    (
      "[a]\n[a]", "Error while parsing table header: cannot redefine existing table 'a'"
    ),
  ]

  @Test(arguments: syntax)
  func syntaxErrorShowsNoValue(_ text: String, _ message: String) {
    let error = #expect(throws: TOMLSyntaxError.self) { try TOMLDocument(parsing: text) }
    #expect(error?.text == message)
  }
}
