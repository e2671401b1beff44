import PGWire

/// The schemas of a source's tables in the registries of its sinks: looked up, like their topics,
/// before the first row of a table is read on.
///
/// A registry that does not answer holds the source back, and nothing is lost. A schema that it
/// refuses is its table's matter.
// SAFETY: only the source's worker thread calls it, one call after the other.
final class SchemaBook: @unchecked Sendable {
  private var registries: [RegistryConfiguration: SchemaRegistry] = [:]
  /// The refusals that were logged.
  private var told: Set<String> = []
  private let sinks: [SinkPlan]
  private let log: Log
  private let cache: SchemaCache?

  /// Makes an empty one for a source's sinks; what registries answer is kept in the file `cache`.
  init(sinks: [SinkPlan], cache: String? = nil, log: Log) {
    self.sinks = sinks
    self.log = log
    self.cache = cache.map { SchemaCache(path: $0, log: log) }
  }

  /// Adds the numbers of their schemas to what was found of tables; blocks.
  func find(
    _ requests: [TableRequest], _ answers: [TableAnswer]
  ) throws(StreamerError) -> [TableAnswer] {
    defer { cache?.save() }
    var answers = answers
    for (place, request) in requests.enumerated() where place < answers.count {
      for (lane, writer) in request.writers.enumerated() {
        guard let writer, lane < answers[place].topics.count,
          answers[place].topics[lane] != nil, let topic = request.topics[lane]
        else { continue }
        try find(request.relation, writer, topic: topic, lane: lane, &answers[place])
      }
    }
    return answers
  }

  private func find(
    _ relation: Relation, _ writer: SchemaWriter, topic: String, lane: Int,
    _ answer: inout TableAnswer
  ) throws(StreamerError) {
    let table = Table(relation, catalogKey: answer.catalogKey)
    let sink = sinks[lane].name
    do throws(StreamerError) {
      let numbers = try numbers(of: table, writer, answer.types, topic: topic, sinks[lane])
      while answer.schemas.count <= lane { answer.schemas.append(nil) }
      answer.schemas[lane] = numbers
    } catch {
      guard error.cause == .schema else { throw error }
      guard writer.onSchemaError == .exclude else {
        throw StreamerError(
          what: error.what, why: "table \(table.qualifiedName): \(error.why)", hint: error.hint,
          exit: error.exit, cause: .schema)
      }
      answer.topics[lane] = nil
      while answer.left.count <= lane { answer.left.append(nil) }
      answer.left[lane] = .schema
      guard told.count < Limits.registeredSchemas,
        told.insert("\(sink) \(table.qualifiedName) \(error.why)").inserted
      else { return }
      log.warning(
        "a table is left out",
        [
          "sink": sink, "table": table.qualifiedName, "reason": LeftOut.schema.rawValue,
          "error": error.why,
        ])
    }
  }

  private func numbers(
    of table: Table, _ writer: SchemaWriter, _ types: TypeCatalog, topic: String, _ plan: SinkPlan
  ) throws(StreamerError) -> SchemaNumbers {
    let sink = plan.name
    // What does not fit was found when the topics were.
    let rule = writer.rules.rule(schema: table.relation.schema, table: table.relation.name)
    let own = rule.isEmpty ? table : (try? RowRules(rule, table, types))?.view ?? table
    let registry = registries[writer.registry] ?? SchemaRegistry(writer.registry, cache: cache)
    registries[writer.registry] = registry
    var numbers = SchemaNumbers()
    for draft in writer.drafts(of: own, types) {
      try refuseTwins(draft, of: own, writer, sink: sink)
      // A sink for measurements has no topics.
      let subject = RegisteredSchema.subject(
        name: draft.schema.name ?? "", isKey: draft.isKey,
        of: topic.isEmpty ? table.qualifiedName : topic,
        writer.registry.subjects)
      if let list = plan.list {
        numbers.set(
          list.number(of: writer.registered(draft, FieldNumbers())), FieldNumbers(), draft)
        continue
      }
      let fields = try fields(of: draft, writer, registry, subject: subject, sink: sink)
      let schema = writer.registered(draft, fields)
      let number: UInt32
      do throws(StreamerError) {
        number = try registry.number(
          of: schema.text, kind: schema.kind, subject: subject, sink: sink)
      } catch {
        guard error.cause == .schema, writer.onSchemaError == .quarantine,
          let file = plan.quarantine
        else { throw error }
        number = try file.number(
          of: HeldSchema(kind: schema.kind, subject: subject, text: schema.text), topic: topic)
        registry.hold(schema.text, subject: subject)
        numbers.refusal = error.why
      }
      numbers.set(number, fields, draft)
    }
    return numbers
  }

  /// Refuses a schema in which two columns have one name, since their own have characters that none of
  /// its names has.
  private func refuseTwins(
    _ draft: SchemaWriter.Draft, of table: Table, _ writer: SchemaWriter, sink: String
  ) throws(StreamerError) {
    let fields = Dictionary(grouping: draft.fields, by: \.self).filter { $0.value.count > 1 }
    guard let field = fields.keys.min() else { return }
    let columns = table.relation.columns.map(\.name)
      .filter { writer.options.fieldNames.adjusted($0) == field }
    throw StreamerError(
      what: "sink \(sink)",
      why:
        "columns \(columns.map { "\"\($0)\"" }.joined(separator: " and ")) are both \(field) in its schema",
      hint: "Give one of them another name, or leave it out, with rename or exclude in "
        + "[sink.\(sink).table], or set onSchemaError = \"exclude\".",
      exit: .preflight, cause: .schema)
  }

  /// The numbers of a schema's fields: what the subject's last version says of them goes on, so that
  /// a column that is added or dropped leaves the others what they are.
  private func fields(
    of draft: SchemaWriter.Draft, _ writer: SchemaWriter, _ registry: SchemaRegistry,
    subject: String, sink: String
  ) throws(StreamerError) -> FieldNumbers {
    guard writer.kind == .protobuf else { return FieldNumbers() }
    let latest = try registry.latest(of: subject, sink: sink)
    let known = latest.flatMap { KnownFieldNumbers(in: $0, of: draft.path) }
    return FieldNumbers(of: draft.fields, after: known ?? KnownFieldNumbers())
  }
}

extension SchemaNumbers {
  /// Takes the number of a schema, and those of its fields.
  fileprivate mutating func set(
    _ number: UInt32, _ fields: FieldNumbers, _ draft: SchemaWriter.Draft
  ) {
    if draft.isKey {
      key = number
      keyFields = fields.numbers
    } else {
      value = number
      valueFields = fields.numbers
    }
  }
}
