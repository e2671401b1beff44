import Testing

@testable import KafkaBridge

@Suite struct KafkaConfigurationTests {
  private func producer(_ properties: (String, String)...) -> KafkaConfiguration {
    var configuration = KafkaConfiguration.producer(bootstrapServers: "localhost:1")
    for (name, value) in properties { configuration.set(name, value) }
    return configuration
  }

  private func refusal(of configuration: KafkaConfiguration) -> KafkaError? {
    do throws(KafkaError) {
      try configuration.validate()
      return nil
    } catch { return error }
  }

  @Test func defaultsAreAccepted() throws {
    try producer().validate()
    try KafkaConfiguration.consumer(bootstrapServers: "localhost:1", group: "g").validate()
    try KafkaConfiguration.admin(bootstrapServers: "localhost:1").validate()
  }

  @Test func anyPropertyOfLibrdkafkaIsAccepted() throws {
    try producer(("linger.ms", "20"), ("client.rack", "b"), ("acks", "-1")).validate()
  }

  @Test func unknownPropertyIsNamed() throws {
    let error = try #require(refusal(of: producer(("linger.mss", "1"))))
    #expect(error.category == .configuration)
    #expect(error.description.contains("linger.mss"))
  }

  @Test func badValueIsNamed() throws {
    let error = try #require(refusal(of: producer(("linger.ms", "soon"))))
    #expect(error.description.contains("linger.ms"))
  }

  @Test(arguments: [
    ("acks", "1"), ("request.required.acks", "0"), ("enable.idempotence", "false"),
    ("enable.gapless.guarantee", "false"), ("message.timeout.ms", "30000"),
    ("delivery.timeout.ms", "30000"), ("max.in.flight", "6"),
    ("max.in.flight.requests.per.connection", "100"), ("delivery.report.only.error", "true"),
    ("transactional.id", "x"),
  ])
  func valueThatBreaksAGuaranteeIsExplained(name: String, value: String) throws {
    let error = try #require(refusal(of: producer((name, value))))
    #expect(error.description.contains("\(name)=\(value)"))
    #expect(error.remedy?.contains("allowLoss") == true)
    #expect(!error.description.contains("\n"))
  }

  @Test(arguments: [
    ("acks", "1"), ("enable.idempotence", "false"), ("enable.gapless.guarantee", "false"),
    ("message.timeout.ms", "30000"), ("max.in.flight", "6"),
  ])
  func allowLossAcceptsIt(name: String, value: String) throws {
    var configuration = producer((name, value))
    configuration.allowLoss = true
    try configuration.validate()
    let producer = try Producer(configuration: configuration)
    #expect(producer.close(timeout: .seconds(5)).isDestroyed)
  }

  @Test func consumerDoesNotCommitByItself() throws {
    var configuration = KafkaConfiguration.consumer(bootstrapServers: "localhost:1", group: "g")
    configuration.set("enable.auto.commit", "true")
    let error = try #require(refusal(of: configuration))
    #expect(error.description.contains("enable.auto.commit=true"))
  }

  @Test(arguments: ["sasl.password", "ssl.key.password", "ssl.key.pem", "ssl.keystore.password"])
  func secretsAreHidden(name: String) {
    let configuration = producer((name, "hunter2"), ("client.rack", "b"))
    #expect(!configuration.description.contains("hunter2"))
    #expect(configuration.description.contains("\(name)=[redacted]"))
    #expect(configuration.description.contains("client.rack=b"))
  }

  @Test func contradictionIsAnErrorOfTheClient() throws {
    let configuration = producer(("security.protocol", "ssl"), ("ssl.ca.location", "/none.crt"))
    let error = #expect(throws: KafkaError.self) { try Producer(configuration: configuration) }
    #expect(error?.category == .configuration)
    #expect(error?.description.contains("/none.crt") == true)
  }

  /// Versions that are known to lose, double or hang are told of, and no others.
  @Test(arguments: [
    (0x0200_02ff, false), (0x0201_01ff, false), (0x0202_00ff, true), (0x0203_00ff, true),
    (0x0204_00ff, true), (0x0205_00ff, true), (0x0205_03ff, false), (0x0208_00ff, false),
    (0x020a_00ff, true), (0x020a_01ff, false), (0x0210_00ff, false),
  ])
  func versionsWithKnownFaults(number: UInt32, isFaulty: Bool) {
    #expect((KafkaVersion.fault(of: number) != nil) == isFaulty)
  }
}
