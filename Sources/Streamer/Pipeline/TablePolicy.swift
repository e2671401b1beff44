import PGWire
import Synchronization

/// Why a sink leaves a table's events out.
enum LeftOut: String, Hashable, Sendable {
  /// The sink's `exclude` says so.
  case exclude
  /// No rule of the sink has a topic for it.
  case noTopic = "no_topic"
  /// Its topic would have a name that Kafka does not take.
  case topicName = "topic_name"
  /// Its topic does not exist, or may not be used.
  case topicMissing = "missing_topic"
  /// A rule of the sink does not fit it.
  case rule
  /// The schema registry refuses its schema.
  case schema

  /// What a failure to find a topic means; nil when it concerns more than this one table.
  init?(_ error: StreamerError) {
    switch error.cause {
    case .topicName: self = .topicName
    case .topicMissing: self = .topicMissing
    case .tableRule: self = .rule
    default: return nil
    }
  }
}

/// What a table's trouble does to the others.
enum TableErrorAction: String, CaseIterable, Sendable {
  /// The source stops.
  case stop
  /// The table's events are left out, and counted.
  case exclude
}

/// Where a table goes in each sink, once the sinks have answered.
struct TableTopics: Sendable {
  /// The number of each lane's topic; nil leaves the table out.
  var topics: [TopicID?]
  /// Why the table is left out, in the lanes' order.
  var left: [LeftOut?]
}

/// Decides what becomes of tables that have no topic, or one that Kafka does not take: one table's
/// trouble stays with that table.
///
/// A table that was published when the process started is meant: without its topic the source stops,
/// since leaving it out would lose its events. One that appears later (a throw-away copy) is left
/// out. `onTableError` says the same of both.
// SAFETY: shared by the driver and its worker; what changes is behind a mutex.
final class TablePolicy: Sendable {
  /// A table's name, with its schema.
  struct Name: Hashable, Sendable {
    let schema: String
    let table: String
    var text: String { "\(schema).\(table)" }
    /// How the configuration names it.
    var pattern: TablePattern {
      TablePattern(schema: TablePattern.Part(name: schema), table: TablePattern.Part(name: table))
    }

    init(schema: String, table: String) {
      self.schema = schema
      self.table = table
    }

    init(_ relation: Relation) { self.init(schema: relation.schema, table: relation.name) }
  }

  private struct Known {
    /// The tables that were published at the start; nil when that is not known, and all count.
    var atStart: Set<Name>?
    var database = ""
    var told: Set<String> = []
    /// By sink, the tables of its topics.
    var owners: [String: TopicOwners] = [:]
  }

  private static let mostTold = 10_000
  private static let mostNamed = 10

  /// What the configuration says of one sink.
  private struct Rules: Sendable {
    let name: String
    let setup: LaneSetup

    var routing: TopicRouting { setup.routing }

    /// Why a rule of the sink cannot be followed for a table.
    func misfit(_ table: DescribedRelation) -> StreamerError? {
      setup.misfit(table, of: name)
    }

    /// Whether a table is the sink's outbox, which needs no topic of its own.
    func isOutbox(_ table: Name) -> Bool {
      setup.isOutbox(schema: table.schema, table: table.table)
    }
  }

  private let sinks: [Rules]
  private let log: Log
  private let known: Mutex<Known>

  /// Makes the policy of one source's sinks.
  init(sinks: [SinkPlan], log: Log) {
    self.sinks = sinks.map { Rules(name: $0.name, setup: $0.setup) }
    self.log = log
    known = Mutex(Known())
  }

  private init(_ sinks: [Rules], _ known: Known, _ log: Log) {
    self.sinks = sinks
    self.log = log
    self.known = Mutex(known)
  }

  /// The policy by which the same tables are judged when the sinks go by other setups.
  func adopting(_ setups: [LaneSetup]) -> TablePolicy {
    var known = known.withLock(\.self)
    known.told = []
    known.owners = [:]
    return TablePolicy(zip(sinks, setups).map { Rules(name: $0.name, setup: $1) }, known, log)
  }

  /// Asks the sinks for all topics that the setups name and those of `tables`, and gives those of
  /// logical messages; throws where one would stop the source; blocks.
  func agree(
    on tables: [(name: Name, topics: [String?])], in sinks: SinkList
  ) throws(StreamerError) -> [TopicID?] {
    let start = known.withLock(\.self)
    try judge(Array(start.atStart ?? []), database: start.database)
    let named = self.sinks.map(\.setup.namedTopics)
    let rows = (0..<(named.map(\.count).max() ?? 0)).map { row in
      named.map { row < $0.count ? $0[row] : nil }
    }
    _ = try sinks.prepare(rows)
    _ = try find(tables, in: sinks)
    return try sinks.prepare([self.sinks.map(\.setup.messageTopic)])[0]
  }

  /// Takes the tables that are published at the start of the process: says which ones go nowhere,
  /// and throws where one cannot have a topic.
  ///
  /// `described` are those whose columns are known: whether the sinks' rules fit them.
  func start(
    _ tables: [Name], _ described: [DescribedRelation] = [], database: String
  ) throws(StreamerError) {
    let isFirst = known.withLock { known in
      guard known.atStart == nil else { return false }
      known.atStart = Set(tables)
      known.database = database
      return true
    }
    guard isFirst else { return }
    try judge(tables, database: database)
    for table in described {
      for sink in sinks where sink.setup.onTableError != .exclude {
        let name = Name(table.relation)
        let topic = sink.setup.topic(
          database: database, schema: name.schema, table: name.table)
        guard topic != nil || sink.isOutbox(name), let error = sink.misfit(table) else {
          continue
        }
        throw Self.stop(name, error)
      }
    }
  }

  private func judge(_ tables: [Name], database: String) throws(StreamerError) {
    for sink in sinks where sink.setup.routesTables {
      var homeless: [String] = []
      var illegal: [(table: Name, topic: String)] = []
      for table in tables.sorted(by: { $0.text < $1.text }) where !sink.isOutbox(table) {
        let topic = sink.routing.topic(
          database: database, schema: table.schema, table: table.table)
        if let topic {
          if !TopicRouting.isTopicName(topic) { illegal.append((table, topic)) }
          tellOfSharedTopic(table, sink)
        } else if !sink.routing.excludes(schema: table.schema, table: table.table) {
          homeless.append(table.text)
        }
      }
      if !homeless.isEmpty {
        log.warning(
          "tables without a topic are left out",
          [
            "sink": sink.name, "count": "\(homeless.count)", "tables": Self.list(homeless),
            "hint": "Add them to tableTopicMapping, set topicFallback or topicTemplate, "
              + "or name them in exclude.",
          ])
        for name in homeless { _ = tell(name, sink) }
      }
      guard let first = illegal.first, sink.setup.onTableError != .exclude else { continue }
      throw StreamerError(
        what: "sink \(sink.name)",
        why: "\"\(first.topic)\", the topic of table \(first.table.text), is no topic's name"
          + (illegal.count > 1 ? " (so are those of \(illegal.count - 1) more tables)" : ""),
        hint: Self.remedy(first.table), exit: .preflight)
    }
  }

  /// Asks the sinks for the topics of tables that were described, like
  /// ``settle(_:_:)``, and whether the sinks' rules fit them and their types; blocks.
  func find(
    _ tables: [(name: Name, topics: [String?])], _ described: [DescribedRelation] = [],
    in sinks: SinkList
  ) throws(StreamerError) -> [TableTopics] {
    var answers = sinks.answers(tables.map(\.topics))
    for (place, table) in described.enumerated() where place < answers.count {
      for (index, sink) in self.sinks.enumerated()
      where answers[place][index] != nil || sink.isOutbox(tables[place].name) {
        if let error = sink.misfit(table) { answers[place][index] = .failure(error) }
      }
    }
    return try settle(tables, answers)
  }

  /// Takes the sinks' answers for tables that were described; throws where one stops the source.
  func settle(
    _ tables: [(name: Name, topics: [String?])], _ answers: [[Result<TopicID, StreamerError>?]]
  ) throws(StreamerError) -> [TableTopics] {
    var settled: [TableTopics] = []
    for (table, answers) in zip(tables, answers) {
      var result = TableTopics(
        topics: answers.map { _ in nil }, left: answers.map { _ in nil })
      for (index, sink) in sinks.enumerated() where index < answers.count {
        switch answers[index] {
        case .success(let topic):
          result.topics[index] = topic
          if sink.setup.routesTables { tellOfSharedTopic(table.name, sink) }
        case .failure(let error):
          guard let reason = LeftOut(error), !stops(table.name, sink) else {
            throw LeftOut(error) == nil ? error : Self.stop(table.name, error)
          }
          result.left[index] = reason
          note(table.name, sink, reason, error.why)
        case nil where sink.isOutbox(table.name): break
        case nil:
          let isExcluded = sink.routing.excludes(
            schema: table.name.schema, table: table.name.table)
          result.left[index] = isExcluded ? .exclude : .noTopic
          if sink.setup.routesTables, !isExcluded { note(table.name, sink, .noTopic, nil) }
        }
      }
      settled.append(result)
    }
    return settled
  }

  /// Says which other table's topic this one has come into, unless that is meant.
  private func tellOfSharedTopic(_ table: Name, _ sink: Rules) {
    let shared = known.withLock { known in
      known.owners[sink.name, default: TopicOwners(most: Self.mostTold)].claim(
        table, database: known.database, sink.routing)
    }
    guard let shared else { return }
    log.warning(
      "two tables have one topic",
      [
        "sink": sink.name, "topic": shared.topic,
        "tables": "\(shared.other.pattern), \(table.pattern)",
        "hint": "Give one of them another with tableTopicMapping.",
      ])
  }

  private func stops(_ table: Name, _ sink: Rules) -> Bool {
    if let action = sink.setup.onTableError { return action == .stop }
    return known.withLock { $0.atStart?.contains(table) ?? true }
  }

  private func note(_ table: Name, _ sink: Rules, _ reason: LeftOut, _ why: String?) {
    guard reason != .exclude, tell(table.text, sink) else { return }
    log.warning(
      "a table is left out",
      [
        "sink": sink.name, "table": table.text, "reason": reason.rawValue,
        "error": why ?? "no rule of the sink has a topic for it",
      ])
  }

  /// Whether a table is told of for the first time.
  private func tell(_ table: String, _ sink: Rules) -> Bool {
    known.withLock { known in
      guard known.told.count < Self.mostTold else { return false }
      return known.told.insert("\(sink.name) \(table)").inserted
    }
  }

  private static func stop(_ table: Name, _ error: StreamerError) -> StreamerError {
    let hint =
      switch error.cause {
      case .tableRule: error.hint
      case .topicName: remedy(table)
      default:
        error.hint.isEmpty
          ? remedy(table)
          : error.hint + " Or " + remedy(table).prefix(1).lowercased()
            + remedy(table).dropFirst()
      }
    return StreamerError(
      what: error.what, why: "table \(table.text): \(error.why)", hint: hint, exit: .preflight,
      cause: error.cause)
  }

  /// What may be written for a table; a configuration's strings quote as JSON's do.
  private static func remedy(_ table: Name) -> String {
    var json = ByteWriter()
    json.append(jsonString: "\(table.pattern)")
    let name = json.bytes.text
    // In a key there are no references; in a string what looks like one has to be told from them.
    let listed = name.replacing("${", with: "$${")
    return "Write tableTopicMapping = { \(name) = \"TOPIC\" }, exclude = [\(listed)], "
      + "topicNames = \"replace\", or onTableError = \"exclude\"."
  }

  private static func list(_ names: [String]) -> String {
    names.prefix(mostNamed).joined(separator: ", ") + (names.count > mostNamed ? ", …" : "")
  }
}
