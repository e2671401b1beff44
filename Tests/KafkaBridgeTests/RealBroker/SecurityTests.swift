import Glibc
import KafkaBridge
import Support
import Testing

extension OnRealKafka {
  /// The start-up check against each way to be refused: one line, within the timeout, naming it.
  @Suite(.serialized) struct SecurityTests {
    let broker: KafkaBroker

    init() throws { broker = try OnRealKafka.broker }

    private func refusal(
      _ listener: String, _ properties: [(String, String)], timeout: Duration = .seconds(10)
    ) throws -> KafkaError? {
      let address = try #require(broker.listeners[listener])
      let port = try #require(address.split(separator: ":").last)
      var configuration = KafkaConfiguration.producer(bootstrapServers: "localhost:\(port)")
      for (name, value) in properties { configuration.set(name, value) }
      let producer = try Producer(configuration: configuration)
      defer { #expect(producer.close(timeout: .seconds(5)).isDestroyed) }
      do throws(KafkaError) {
        try producer.checkConnection(timeout: timeout)
        return nil
      } catch {
        #expect(!error.description.contains("\n"))
        #expect(!error.description.contains("secret"))
        return error
      }
    }

    private func sasl(_ mechanism: String, password: String) -> [(String, String)] {
      [
        ("security.protocol", "sasl_plaintext"), ("sasl.mechanism", mechanism),
        ("sasl.username", "alice"), ("sasl.password", password),
      ]
    }

    @Test func plainWithTheRightPasswordConnects() throws {
      #expect(try refusal("SASL_PLAINTEXT", sasl("PLAIN", password: "alice-secret")) == nil)
    }

    @Test func plainWithAWrongPasswordIsRefused() throws {
      let error = try refusal("SASL_PLAINTEXT", sasl("PLAIN", password: "wrong-secret"))
      #expect(error?.category == .authentication)
      #expect(error?.text.contains("Invalid username or password") == true)
    }

    /// A broker ends connections whose credentials are too old: a new one proves itself again, and no
    /// record suffers.
    @Test func credentialsThatExpireAreRenewed() throws {
      try broker.createTopic("renewed")
      let address = try #require(broker.listeners["SASL_PLAINTEXT"])
      var configuration = KafkaConfiguration.producer(bootstrapServers: address)
      for (name, value) in sasl("PLAIN", password: "alice-secret") {
        configuration.set(name, value)
      }
      let producer = try Producer(configuration: configuration)
      try producer.checkConnection(timeout: .seconds(10))
      let topic = try producer.topic(named: "renewed", timeout: .seconds(10))
      var work = Workload(topic: topic)
      for round in 1...12 {
        work.produce(10, on: producer)
        work.awaitReports(10 * round, from: producer)
        usleep(useconds_t(OnRealKafka.session / .microseconds(4)))
      }
      #expect(work.reports.count == 120 && work.reports.allSatisfy { $0.error == nil })
      #expect(producer.close(timeout: .seconds(10)).isDestroyed)
      let values = try broker.records("renewed").map { "\($0.partition) \($0.value ?? "")" }
      #expect(values.count == 120 && Set(values).count == 120)
    }

    @Test func scramBefore261ExplainsItself() throws {
      let error = try refusal("SASL_PLAINTEXT", sasl("SCRAM-SHA-256", password: "alice-secret"))
      if KafkaVersion.number >= 0x0206_01ff {
        #expect(error == nil)
      } else {
        #expect(error?.category == .authentication)
        #expect(error?.remedy?.contains("2.6.1") == true)
      }
    }

    @Test func rightCAConnects() throws {
      let properties = [
        ("security.protocol", "ssl"), ("ssl.ca.location", "\(broker.tlsDirectory)/ca.crt"),
      ]
      #expect(try refusal("SSL", properties) == nil)
    }

    @Test func unknownCAIsNamed() throws {
      let properties = [
        ("security.protocol", "ssl"), ("ssl.ca.location", "\(broker.tlsDirectory)/other-ca.crt"),
      ]
      let error = try refusal("SSL", properties)
      #expect(error?.category == .tls)
      #expect(error?.text.contains("certificate verify failed") == true)
      #expect(error?.remedy?.contains("CA is unknown") == true)
      #expect(error?.remedy?.contains("localhost") == true)
    }

    @Test func missingClientCertificateIsRefused() throws {
      let properties = [
        ("security.protocol", "ssl"), ("ssl.ca.location", "\(broker.tlsDirectory)/ca.crt"),
      ]
      let error = try refusal("MTLS", properties)
      #expect(error?.category == .tls)
      #expect(error?.remedy?.contains("ssl.certificate.location") == true)
    }

    @Test func plainTextAgainstTLSIsHinted() throws {
      let error = try refusal("SSL", [], timeout: .seconds(2))
      #expect(error?.category == .unreachable)
      #expect(error?.remedy?.contains("security.protocol") == true)
    }
  }
}
