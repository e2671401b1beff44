import KafkaBridge
import PGWire

/// What a ``KafkaPipeline`` is to do, taken from the configuration.
struct KafkaSourcePlan {
  /// The source's name in the configuration.
  let name: String
  /// The source.
  let source: KafkaSourceConfiguration
  /// The longest pause before a sink or broker that failed is tried again.
  let longestRetry: Duration
  /// The sinks in the configuration's order.
  let sinks: [PipelinePlan.Sink]
  /// Bytes that may be read and not yet delivered, over all sinks.
  let inFlight: Int
  /// How long a broker may be unreachable at the start; 0 for ever.
  let startTimeout: Duration
  /// How long a stop may wait for deliveries.
  let shutdownTimeout: Duration
}

/// What of a Kafka source may block: it runs on the pipeline's I/O worker.
struct KafkaSourceSession: Sendable {
  private let name: String
  private let source: KafkaSourceConfiguration
  /// How long one attempt to connect may take.
  private let connectTimeout: Duration
  private let log: Log

  init(_ plan: KafkaSourcePlan, log: Log) {
    name = plan.name
    source = plan.source
    connectTimeout =
      plan.startTimeout > .zero ? min(plan.startTimeout, Limits.kafkaStart) : Limits.kafkaStart
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

  /// Opens sinks, and connects a consumer unless there is one; it has not joined its group yet.
  func establish(
    opening sinks: SinkList, connects: Bool
  ) -> Result<Consumer?, StreamerError> {
    do throws(StreamerError) {
      for sink in sinks.sinks { try sink.open() }
      return .success(connects ? try connect() : nil)
    } catch { return .failure(error) }
  }

  private func connect() throws(StreamerError) -> Consumer {
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
        _ = try consumer.describeTopic(topic, timeout: .seconds(1))
      }
      return .over
    } catch {
      guard error.category == .missingTopic || error.category == .authorization else {
        return .goesOn
      }
      return .refused(StreamerError(error, kafkaSource: name))
    }
  }

  /// The number of each sink's topic; nil where the table is excluded.
  func prepare(
    _ request: KafkaTableRequest, sinks: SinkList
  ) -> Result<[TopicID?], StreamerError> {
    do throws(StreamerError) {
      var numbers: [TopicID?] = []
      for (sink, topic) in zip(sinks.sinks, request.topics) {
        if let topic { numbers.append(try sink.prepare(topic: topic)) } else { numbers.append(nil) }
      }
      return .success(numbers)
    } catch { return .failure(error) }
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
