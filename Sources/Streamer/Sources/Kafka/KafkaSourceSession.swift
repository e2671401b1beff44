import KafkaBridge
import PGWire

/// What of a Kafka source may block: it runs on the driver's I/O worker.
struct KafkaSourceSession: Sendable {
  private let name: String
  private let source: KafkaSourceConfiguration
  /// How long one attempt to connect may take.
  private let connectTimeout: Duration
  private let log: Log

  init(_ plan: DriverPlan, _ source: KafkaSourceConfiguration, log: Log) {
    name = plan.name
    self.source = source
    let limit = plan.rules.startTimeout
    connectTimeout = limit > .zero ? min(limit, Limits.kafkaStart) : Limits.kafkaStart
    self.log = log
  }

  /// The sink of malformed records, not open yet; nil when the pipeline stops at one.
  func deadLetterSink() -> KafkaDeadLetterSink? {
    guard source.malformed == .deadLetter, let topic = source.deadLetterTopic else {
      return nil
    }
    return KafkaDeadLetterSink(
      name: name, source, topic: topic, startTimeout: connectTimeout, log: log)
  }

  /// Connects a consumer; it has not joined its group yet.
  func connect() -> Result<Consumer, StreamerError> {
    Result { () throws(StreamerError) in try connected() }
  }

  private func connected() throws(StreamerError) -> Consumer {
    do throws(KafkaError) {
      let consumer = try Consumer(configuration: KafkaProperties.consumer(source, log: log))
      do throws(KafkaError) {
        try consumer.checkConnection(timeout: connectTimeout)
        for topic in source.topics {
          _ = try consumer.describeTopic(topic, timeout: Limits.kafkaRequest)
        }
      } catch {
        consumer.close(timeout: .zero)
        throw error
      }
      return consumer
    } catch { throw StreamerError(error, kafkaSource: name) }
  }

  /// What became of an outage.
  enum Probe: Sendable {
    /// The cluster answers and has the topics.
    case over
    /// It goes on.
    case goesOn
    /// A topic is gone, or this user may not read it any more: time does not mend that.
    case refused(StreamerError)
  }

  /// Finds out whether the cluster answers again and has the topics.
  func probe(_ consumer: Consumer) -> Probe {
    do throws(KafkaError) {
      for topic in source.topics {
        _ = try consumer.describeTopic(topic, timeout: Limits.kafkaProbe)
      }
      return .over
    } catch {
      guard error.category == .missingTopic || error.category == .authorization else {
        return .goesOn
      }
      return .refused(StreamerError(error, kafkaSource: name))
    }
  }

  /// Commits offsets and waits for the answer; says what went wrong.
  func commit(_ places: [PartitionOffset], on consumer: Consumer) -> StreamerError? {
    do throws(KafkaError) {
      try consumer.commit(places, timeout: Limits.kafkaCommit)
      return nil
    } catch { return StreamerError(error, kafkaSource: name) }
  }
}

extension StreamerError {
  /// What a failure of Kafka means for a source, like ``init(_:sink:)``.
  init(_ error: KafkaError, kafkaSource name: String) {
    let sink = StreamerError(error, sink: name)
    self.init(
      what: "source \(name)", why: sink.why, exit: sink.exit, retryable: sink.isRetryable)
  }
}

extension KafkaProperties {
  /// Those of a source's consumer; the file's own `librdkafka` table comes last and wins.
  static func consumer(_ source: KafkaSourceConfiguration, log: Log) -> KafkaConfiguration {
    var properties = KafkaConfiguration.consumer(
      bootstrapServers: hosts(source.hosts), group: source.groupID)
    properties.log = handler(log)
    apply(source.librdkafka, to: &properties)
    return properties
  }

  /// Those of the producer of malformed records: the source's brokers and credentials.
  static func deadLetters(_ source: KafkaSourceConfiguration, log: Log) -> KafkaConfiguration {
    var properties = KafkaConfiguration.producer(bootstrapServers: hosts(source.hosts))
    properties.log = handler(log)
    apply(source.librdkafka.filter { isConnection($0.key) }, to: &properties)
    return properties
  }
}
