/// A rule of what `[….librdkafka]` may not say.
struct LibrdkafkaRule: Sendable {
  /// The property and its other names.
  let names: [String]
  /// The values that may stand there, in lower case; none when the property is psql-streamer's own.
  let allowed: [String]
  /// Why, and what to write instead.
  let hint: String
  /// Whether `allowLoss = true` lifts the rule.
  var isLiftedByAllowLoss = false

  /// What a Kafka sink's producer must keep so that nothing is lost or out of order.
  static let producer: [LibrdkafkaRule] = [
    brokers,
    LibrdkafkaRule(
      names: ["acks", "request.required.acks"], allowed: ["all", "-1"],
      hint: "Records that not every in-sync replica has may be lost; allowLoss = true permits it.",
      isLiftedByAllowLoss: true),
    LibrdkafkaRule(
      names: ["enable.idempotence"], allowed: ["true"],
      hint:
        "Without idempotence a retry may repeat or reorder records; allowLoss = true permits it.",
      isLiftedByAllowLoss: true),
    LibrdkafkaRule(
      names: ["enable.gapless.guarantee"], allowed: ["true"],
      hint: "A gap is a lost record; allowLoss = true permits it.", isLiftedByAllowLoss: true),
    LibrdkafkaRule(
      names: ["message.timeout.ms", "delivery.timeout.ms"], allowed: ["0"],
      hint: "A record that times out is lost; allowLoss = true permits it.",
      isLiftedByAllowLoss: true),
    LibrdkafkaRule(
      names: ["message.send.max.retries", "retries"], allowed: ["2147483647"],
      hint: "A record whose retries are used up is lost; allowLoss = true permits it.",
      isLiftedByAllowLoss: true),
    LibrdkafkaRule(
      names: ["transactional.id"], allowed: [],
      hint: "delivery = \"exactly-once\" has it; transactionalID names it."),
    LibrdkafkaRule(
      names: ["delivery.report.only.error"], allowed: ["false"],
      hint: "Positions move only by delivery reports."),
  ]

  /// What a Kafka source's consumer must keep so that nothing is committed too early.
  static let consumer: [LibrdkafkaRule] = [
    brokers,
    LibrdkafkaRule(names: ["group.id"], allowed: [], hint: "Write groupID instead."),
    LibrdkafkaRule(
      names: ["enable.auto.commit"], allowed: ["false"],
      hint: "Offsets are committed only when every sink has acknowledged."),
    LibrdkafkaRule(
      names: ["enable.auto.offset.store"], allowed: ["false"],
      hint: "Offsets are committed only when every sink has acknowledged."),
  ]

  private static let brokers = LibrdkafkaRule(
    names: ["bootstrap.servers", "metadata.broker.list"], allowed: [], hint: "Write hosts instead.")
}

extension ConfigurationReader {
  /// Reads the properties of `librdkafka`, which go there verbatim, by name.
  ///
  /// A property's name has points, which TOML reads as tables in tables: they are joined again. All
  /// values are secrets, since some are.
  mutating func librdkafkaProperties(
    rules: [LibrdkafkaRule], allowLoss: Bool = false
  ) -> [String: Secret] {
    guard var section = section("librdkafka", subject: "librdkafka's properties") else {
      return [:]
    }
    var properties: [String: Secret] = [:]
    section.collect(
      section.table, prefix: "", rules: rules.filter { !($0.isLiftedByAllowLoss && allowLoss) },
      into: &properties)
    absorb(section)
    return properties
  }

  private mutating func collect(
    _ table: TOMLTable, prefix: String, rules: [LibrdkafkaRule],
    into properties: inout [String: Secret]
  ) {
    for entry in table.entries {
      let name = prefix + entry.key
      let value: String
      switch entry.value.content {
      case .table(let below):
        collect(below, prefix: name + ".", rules: rules, into: &properties)
        continue
      case .string(let raw):
        guard let text = expand(raw, of: name, at: entry.position) else { continue }
        value = text.value
      case .integer(let number): value = "\(number)"
      case .boolean(let flag): value = "\(flag)"
      case .float(let number): value = "\(number)"
      case .time, .array:
        fail(
          name, at: entry.position, found: entry.value.kind,
          expected: "a string, an integer or a boolean")
        continue
      }
      check(entry, name, value, rules: rules)
      properties[name] = Secret(value)
    }
  }

  private mutating func check(
    _ entry: TOMLTable.Entry, _ name: String, _ value: String, rules: [LibrdkafkaRule]
  ) {
    guard let rule = rules.first(where: { $0.names.contains(name) }) else { return }
    if rule.allowed.isEmpty {
      fail(
        name, at: entry.position, found: "a property that psql-streamer sets itself",
        expected: "other properties only", hint: rule.hint)
    } else if !rule.allowed.contains(value.lowercased()) {
      let list = rule.allowed.map { "\"\($0)\"" }.joined(separator: " or ")
      fail(
        name, at: entry.position, found: entry.value.summary, expected: list, hint: rule.hint)
    }
  }
}
