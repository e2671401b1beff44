import CRdKafka

/// What Kafka or librdkafka refused, what we were about to do, and what may help.
///
/// One pointer wide, so that throwing it and carrying it in a ``DeliveryReport`` cost nothing while
/// all is well. It holds no secret and no byte of a record.
public struct KafkaError: Error, Sendable {
  /// What kind of failure it is, for the decisions of the caller.
  public enum Category: Hashable, Sendable {
    /// A property that librdkafka does not know or does not accept, or that breaks a guarantee.
    case configuration
    /// The topic or the partition does not exist.
    case missingTopic
    /// Kafka takes no topic of that name: it is illegal, or collides with another one's.
    case invalidTopic
    /// Kafka does not create topics as they are asked for, whatever their names.
    case creationRefused
    /// The broker does not accept the credentials or the mechanism.
    case authentication
    /// The broker denies the operation to this user.
    case authorization
    /// The TLS handshake failed.
    case tls
    /// No broker answered in time.
    case unreachable
    /// The record is larger than the client or the topic allows.
    case recordTooLarge
    /// The topic takes no such record: one without a key where it is compacted, for one.
    case recordRefused
    /// librdkafka's own queue is full.
    case queueFull
    /// Another producer took over the same transactional.id, or the transaction timed out.
    case fenced
    /// Anything else.
    case other
  }

  private final class Content: Sendable {
    let code: Int32
    let name: String
    let text: String
    let operation: String
    let topic: String?
    let category: Category
    let remedy: String?
    let isFatal: Bool
    let isRetriable: Bool
    let requiresAbort: Bool

    init(
      code: Int32, name: String, text: String, operation: String, topic: String?,
      category: Category, remedy: String?, isFatal: Bool, isRetriable: Bool, requiresAbort: Bool
    ) {
      self.code = code
      self.name = name
      self.text = text
      self.operation = operation
      self.topic = topic
      self.category = category
      self.remedy = remedy
      self.isFatal = isFatal
      self.isRetriable = isRetriable
      self.requiresAbort = requiresAbort
    }
  }

  private let content: Content

  /// The numeric code: positive from the broker, negative from librdkafka.
  public var code: Int32 { content.code }
  /// The code's name in librdkafka, "_TRANSPORT" or "MSG_SIZE_TOO_LARGE".
  public var name: String { content.name }
  /// The words of the broker or of librdkafka, on one line.
  public var text: String { content.text }
  /// What was being done, "produce to topic orders".
  public var operation: String { content.operation }
  /// The topic concerned, when there is one.
  public var topic: String? { content.topic }
  /// What kind of failure it is.
  public var category: Category { content.category }
  /// What may help, when that is known.
  public var remedy: String? { content.remedy }
  /// Whether the instance is lost: it must be closed and a new one made.
  public var isFatal: Bool { content.isFatal }
  /// Whether the same call may succeed later.
  public var isRetriable: Bool { content.isRetriable }
  /// Whether the transaction must be aborted before anything else.
  public var requiresAbort: Bool { content.requiresAbort }
}

extension KafkaError: Equatable {
  /// Compares code, operation and text.
  public static func == (a: KafkaError, b: KafkaError) -> Bool {
    a.content === b.content
      || (a.code == b.code && a.operation == b.operation && a.text == b.text)
  }
}

extension KafkaError: CustomStringConvertible {
  /// One line: what was being done, what was said, the code's name and the remedy.
  public var description: String {
    "\(operation): \(text) (\(name))" + (remedy.map { "; \($0)" } ?? "")
  }
}

extension KafkaError {
  /// Makes an error from a code of librdkafka.
  ///
  /// Without `text` the library's own words for the code are used.
  init(
    _ code: rd_kafka_resp_err_t, text: String? = nil, operation: String, topic: String? = nil,
    category: Category? = nil, remedy: String? = nil, isFatal: Bool = false,
    isRetriable: Bool? = nil, requiresAbort: Bool = false
  ) {
    // SAFETY: both functions return static texts for any code.
    let name = unsafe String(cString: rd_kafka_err2name(code))
    let words = unsafe text ?? String(cString: rd_kafka_err2str(code))
    let kind = category ?? Category(code, text: words)
    self.content = Content(
      code: code.rawValue, name: name, text: KafkaError.oneLine(words), operation: operation,
      topic: topic, category: kind,
      remedy: remedy ?? KafkaError.remedy(for: name, category: kind),
      isFatal: isFatal || code == RD_KAFKA_RESP_ERR__FATAL,
      isRetriable: isRetriable ?? KafkaError.isRetriable(code), requiresAbort: requiresAbort)
  }

  /// Takes over and destroys an error object of librdkafka.
  init(consuming error: OpaquePointer, operation: String, topic: String? = nil) {
    // SAFETY: the object is ours and destroyed once, after its last use.
    unsafe self.init(
      rd_kafka_error_code(error), text: String(cString: rd_kafka_error_string(error)),
      operation: operation, topic: topic,
      isFatal: rd_kafka_error_is_fatal(error) != 0,
      isRetriable: rd_kafka_error_is_retriable(error) != 0,
      requiresAbort: rd_kafka_error_txn_requires_abort(error) != 0)
    unsafe rd_kafka_error_destroy(error)
  }

  /// Reads the error of an event that librdkafka still owns.
  init(event: OpaquePointer, operation: String, topic: String? = nil) {
    // SAFETY: the caller's event lives during the call.
    let text = unsafe rd_kafka_event_error_string(event).map { unsafe String(cString: $0) }
    unsafe self.init(rd_kafka_event_error(event), text: text, operation: operation, topic: topic)
  }

  /// Makes an error about a property of the configuration.
  static func configuration(_ text: String, remedy: String? = nil) -> KafkaError {
    KafkaError(
      RD_KAFKA_RESP_ERR__INVALID_ARG, text: text, operation: "configure the Kafka client",
      category: .configuration, remedy: remedy, isRetriable: false)
  }

  /// A topic has another number of partitions than its producer began with.
  public static func partitionsChanged(_ topic: String, from: Int, to: Int) -> KafkaError {
    KafkaError(
      RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION,
      text: "it had \(from) partitions and has \(to): records are spread over all from now on",
      operation: "look at topic \(topic)", topic: topic, category: .other, isRetriable: true)
  }

  /// Kafka takes no topic of that name.
  public static func invalidTopic(_ name: String) -> KafkaError {
    KafkaError(
      RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION,
      text: "\"\(name)\" is no topic's name: those have 1 to 249 letters, digits, \".\", \"_\" "
        + "and \"-\"",
      operation: "find a topic", topic: name)
  }

  /// The same error of something else that was being done.
  public func with(operation: String) -> KafkaError {
    KafkaError(
      rd_kafka_resp_err_t(rawValue: code), text: text, operation: operation, topic: nil,
      category: category, remedy: remedy, isFatal: isFatal, isRetriable: isRetriable,
      requiresAbort: requiresAbort)
  }

  /// The same error with another remedy.
  func with(remedy: String) -> KafkaError {
    KafkaError(
      rd_kafka_resp_err_t(rawValue: code), text: text, operation: operation, topic: topic,
      category: category, remedy: remedy, isFatal: isFatal, isRetriable: isRetriable,
      requiresAbort: requiresAbort)
  }

  // Peers' texts may have several lines; a log line and a description have one.
  private static func oneLine(_ text: String) -> String {
    guard text.utf8.contains(where: { $0 < 0x20 }) else { return text }
    return String(text.unicodeScalars.map { $0.value < 0x20 ? " " : Character($0) })
  }
}
