import CRdKafka
import Glibc

extension KafkaConfiguration {
  /// A property whose value decides whether records can be lost, doubled or reordered.
  private struct Guarantee: Sendable {
    let property: String
    let isKept: @Sendable (String) -> Bool
    let reason: String
  }

  private static let producerGuarantees = [
    Guarantee(
      property: "acks", isKept: { $0 == "-1" || $0 == "all" },
      reason: "a record acknowledged by fewer than all replicas in sync can be lost"),
    Guarantee(
      property: "enable.idempotence", isKept: { $0 == "true" },
      reason: "without it retries double and reorder records"),
    Guarantee(
      property: "enable.gapless.guarantee", isKept: { $0 == "true" },
      reason: "without it a refused record leaves a gap that later records pass"),
    Guarantee(
      property: "message.timeout.ms", isKept: { $0 == "0" },
      reason: "a timeout drops records during an outage; 0 means none"),
    Guarantee(
      property: "max.in.flight.requests.per.connection", isKept: { (Int($0) ?? 0) <= 5 },
      reason: "the broker keeps the order of at most 5 requests"),
    Guarantee(
      property: "delivery.report.only.error", isKept: { $0 == "false" },
      reason: "positions move by the reports of delivered records"),
    Guarantee(
      property: "isolation.level", isKept: { $0 == "read_committed" },
      reason: "a commit counts once a reader of what is committed would see it"),
    Guarantee(
      property: "transactional.id", isKept: { $0.isEmpty },
      reason: "it belongs to exactly-once delivery, which sets it itself"),
  ]

  private static let consumerGuarantees = [
    Guarantee(
      property: "enable.auto.commit", isKept: { $0 == "false" },
      reason: "offsets of records that no sink acknowledged would be committed"),
    Guarantee(
      property: "enable.auto.offset.store", isKept: { $0 == "false" },
      reason: "offsets of records that no sink acknowledged would be committed"),
  ]

  // librdkafka knows some properties by two names.
  private static let aliases: [[String]] = [
    ["acks", "request.required.acks"],
    ["message.timeout.ms", "delivery.timeout.ms"],
    ["max.in.flight.requests.per.connection", "max.in.flight"],
    ["bootstrap.servers", "metadata.broker.list"],
    ["sasl.mechanism", "sasl.mechanisms"],
    ["linger.ms", "queue.buffering.max.ms"],
    ["compression.type", "compression.codec"],
  ]

  /// All the names that librdkafka has for a property.
  static func spellings(of name: String) -> [String] {
    aliases.first { $0.contains(name) } ?? [name]
  }

  /// Makes librdkafka's configuration object, which then belongs to the caller.
  func makeConf() throws(KafkaError) -> OpaquePointer {
    guard let conf = unsafe rd_kafka_conf_new() else {
      throw .configuration("out of memory")
    }
    do throws(KafkaError) {
      for property in defaults where !isGivenUp(property) {
        try unsafe set(property, on: conf)
      }
      for property in properties { try unsafe set(property, on: conf) }
      // What brokers refuse and librdkafka tries again by itself stands in this log alone.
      if role == .producer, !isDebugged { try unsafe set(Property("debug", "msg"), on: conf) }
      if !allowLoss { try unsafe checkGuarantees(of: conf) }
    } catch {
      unsafe rd_kafka_conf_destroy(conf)
      throw error
    }
    return unsafe conf
  }

  // librdkafka refuses contradictions, so with allowLoss our defaults give way to the user's.
  private func isGivenUp(_ property: Property) -> Bool {
    guard allowLoss else { return false }
    func user(_ name: String) -> String? {
      let names = KafkaConfiguration.spellings(of: name)
      return properties.last { names.contains($0.name) }?.value
    }
    let weak =
      (user("acks").map { $0 != "all" && $0 != "-1" } ?? false)
      || (user("max.in.flight").flatMap { Int($0) } ?? 0) > 5
      || user("enable.idempotence") == "false"
    return weak && ["enable.idempotence", "enable.gapless.guarantee"].contains(property.name)
  }

  private func set(_ property: Property, on conf: OpaquePointer) throws(KafkaError) {
    var text = [CChar](repeating: 0, count: 512)
    // SAFETY: the strings live for the call; the text is zero-terminated within its count.
    let result = unsafe rd_kafka_conf_set(
      conf, property.name, property.value, &text, text.count)
    guard result != RD_KAFKA_CONF_OK else { return }
    if result == RD_KAFKA_CONF_UNKNOWN {
      throw .configuration(
        "librdkafka \(KafkaVersion.text) has no property \(property.name)",
        remedy: "check the spelling")
    }
    // librdkafka's text may quote the value of a secret and names the property by its main name.
    let reason = property.isSecret ? "the value is not accepted" : String(zeroTerminated: text)
    throw .configuration("\(property): \(reason)")
  }

  /// The user's properties that a text of librdkafka mentions, with their values.
  func mentioned(in text: String) -> String {
    let found = properties.filter { text.contains($0.name) && !$0.isSecret }
    return found.isEmpty ? "" : " (" + found.map(\.description).joined(separator: " ") + ")"
  }

  // The values are read back: whatever spelling was used, librdkafka knows what it means.
  private func checkGuarantees(of conf: OpaquePointer) throws(KafkaError) {
    let guarantees =
      switch role {
      case .producer: KafkaConfiguration.producerGuarantees
      case .consumer: KafkaConfiguration.consumerGuarantees
      case .admin: [Guarantee]()
      }
    for guarantee in guarantees where !isReplaced(guarantee) {
      guard let value = unsafe KafkaConfiguration.value(of: guarantee.property, in: conf),
        !guarantee.isKept(value)
      else { continue }
      let names = KafkaConfiguration.spellings(of: guarantee.property)
      let property =
        properties.last { names.contains($0.name) } ?? Property(guarantee.property, value)
      throw .configuration(
        "\(property.name)=\(property.value) breaks the guarantees of delivery: \(guarantee.reason)",
        remedy: "remove it, or set allowLoss = true to accept that")
    }
  }

  /// Whether transactions see to what a property would.
  private func isReplaced(_ guarantee: Guarantee) -> Bool {
    guard let transactionalID else { return false }
    switch guarantee.property {
    case "enable.gapless.guarantee", "message.timeout.ms": return true
    case "transactional.id": return value(of: "transactional.id") == transactionalID
    default: return false
    }
  }

  /// The value that a configuration object holds for a property, nil when it has none.
  static func value(of name: String, in conf: OpaquePointer) -> String? {
    var size = 512
    var text = [CChar](repeating: 0, count: size)
    // SAFETY: the text is zero-terminated within its size.
    guard unsafe rd_kafka_conf_get(conf, name, &text, &size) == RD_KAFKA_CONF_OK else { return nil }
    return String(zeroTerminated: text)
  }
}

extension String {
  /// The text that C wrote into a buffer.
  init(zeroTerminated buffer: [CChar]) {
    self.init(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
  }
}
