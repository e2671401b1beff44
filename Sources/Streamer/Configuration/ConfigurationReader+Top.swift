import PGWire

extension ConfigurationReader {
  /// Reads `http`.
  mutating func httpAddress() -> HTTPAddress {
    let standard = "127.0.0.1:12080"
    let text = text("http")
    if let address = HTTPAddress(text?.value ?? standard) { return address }
    if let text {
      fail(
        "http", at: text.position, found: text.shown,
        expected: "an address such as \"\(standard)\", or \":12080\" for all interfaces")
    }
    guard let address = HTTPAddress(standard) else { preconditionFailure("the default is wrong") }
    return address
  }

  /// Reads `store`, or its old name `boltdb`.
  mutating func store(isNeeded: Bool) -> String? {
    let example = "Such as \"/var/lib/psql-streamer/positions.db\"."
    let (isNew, isOld) = (has("store"), has("boltdb"))
    let key = isNew ? "store" : "boltdb"
    if isNew, isOld {
      fail(
        "boltdb", at: entry("boltdb")?.position, found: "the old name of store beside it",
        expected: "one of the two", hint: "Remove boltdb.")
      return nil
    }
    guard isNew || isOld else {
      if isNeeded {
        missing("store", expected: "the path of the position store", hint: example)
      }
      return nil
    }
    guard let text = text(key, expected: "the path of the position store") else { return nil }
    guard !text.value.isEmpty else {
      if isNeeded {
        fail(
          key, at: text.position, found: text.shown, expected: "the path of the position store",
          hint: example)
      }
      return nil
    }
    if SeedStore.isBoltDB(text.value, readFile: context.secrets.readFile) {
      fail(
        key, at: text.position, found: "a BoltDB file, as the old psql-streamer wrote it",
        expected: "the path of a new position store", hint: SeedStore.remedy)
      return nil
    }
    return text.value
  }

  /// Checks what `store = "kafka"` asks of sources and sinks.
  mutating func checkKafkaStore(sources: [SourceConfiguration], sinks: [SinkConfiguration]) {
    for source in sources {
      guard case .postgres(let postgres) = source.kind else { continue }
      if postgres.walPositionOverride != nil {
        fail(
          "store", at: entry("store")?.position, found: "\"kafka\"",
          expected: "a file, for source.\(source.name).walPositionOverride",
          hint: "That it was applied is remembered there; `psql-streamer position set` needs none.")
      }
      if postgres.snapshot.needsStore || postgres.onGap == .snapshot {
        fail(
          "store", at: entry("store")?.position, found: "\"kafka\"",
          expected: "a file, for the existing rows of source.\(source.name)",
          hint: "How far they are copied is remembered there.")
      }
      for sink in sinks where sink.sources.contains(source.name) && !sink.keepsItsPosition {
        fail(
          "store", at: entry("store")?.position, found: "\"kafka\"",
          expected: "a file, for sink.\(sink.name)",
          hint: "Only sinks with delivery = \"exactly-once\" keep their position in Kafka.")
      }
    }
  }

  /// Checks that what is held back has a place.
  mutating func checkQuarantines(_ sinks: [SinkConfiguration], store: String?) {
    for sink in sinks {
      guard case .kafka(let kafka) = sink.kind, kafka.oversized == .quarantine,
        kafka.quarantine.directory ?? store == nil
      else { continue }
      fail(
        "store", at: entry("store")?.position,
        found: entry("store") == nil ? "nothing" : "no file",
        expected: "the path of the position store, beside which sink.\(sink.name) holds records",
        hint: "Or name a directory: quarantine.dir.")
    }
  }

  /// The names of all sources of the file, whether they are right or wrong.
  mutating func sourceNames() -> [String] {
    guard case .table(let table)? = entry("source")?.value.content else { return [] }
    return table.entries.map(\.key)
  }

  /// Reads every `[source.NAME]`.
  mutating func readSources(startTimeout: Duration?) -> [SourceConfiguration] {
    var sources: [SourceConfiguration] = []
    each("source", example: "[source.db1]") { name, reader in
      guard
        let source = SourceConfiguration(name: name, startTimeout: startTimeout, in: &reader)
      else { return }
      sources.append(source)
      if case .postgres = source.kind {
        reader.finish()
      } else {
        reader.finish()
      }
    }
    return sources
  }

  /// Reads every `[sink.NAME]`.
  mutating func readSinks(sourceNames: [String]) -> [SinkConfiguration] {
    var sinks: [SinkConfiguration] = []
    each("sink", example: "[sink.kafka1]") { name, reader in
      guard let sink = SinkConfiguration(name: name, sourceNames: sourceNames, in: &reader) else {
        return
      }
      sinks.append(sink)
      if case .kafka = sink.kind {
        reader.finish(later: KafkaSinkConfiguration.later)
      } else {
        reader.finish()
      }
    }
    return sinks
  }

  /// Calls `read` for every table in the table `key`, which must have at least one.
  private mutating func each(
    _ key: String, example: String, _ read: (String, inout ConfigurationReader) -> Void
  ) {
    guard has(key) else {
      missing(key, expected: "at least one \(key)", hint: "It begins with \(example).")
      return
    }
    guard var all = section(key, subject: "the \(key)s") else { return }
    if all.table.entries.isEmpty {
      all.fail(
        found: "no \(key)", expected: "at least one", hint: "It begins with \(example).")
    }
    var names: Set<String> = []
    for entry in all.table.entries {
      if !names.insert(entry.key.lowercased()).inserted {
        all.fail(
          entry.key, at: entry.position, found: "the same name a second time",
          expected: "each name once", hint: "Names are the same in any letter case.")
      }
      guard var reader = all.section(entry, subject: subject(of: entry, key)) else { continue }
      read(entry.key, &reader)
      all.absorb(reader)
    }
    absorb(all)
  }

  /// What a source's or sink's table describes, as far as its type tells: "a kafka sink".
  private func subject(of entry: TOMLTable.Entry, _ key: String) -> String {
    guard case .table(let table) = entry.value.content,
      case .string(let type)? = table.entries.first(where: { $0.key.lowercased() == "type" })?
        .value.content, !type.contains("${")
    else { return "a \(key)" }
    return "a \(type) \(key)"
  }

  /// Checks what sources and sinks say together.
  mutating func checkPipelines(sources: [SourceConfiguration], sinks: [SinkConfiguration]) {
    let used = Set(sinks.flatMap(\.sources))
    var slots: [DSN: [String: String]] = [:]
    for source in sources {
      guard let place = place("source", source.name) else { continue }
      let path = "source.\(source.name)"
      if !used.contains(source.name), !sinks.isEmpty {
        notes.append(
          ConfigurationNote(
            file: context.file, line: place.line, path: path,
            text: "no sink lists this source: it is not started"))
      }
      guard case .postgres(let postgres) = source.kind, !postgres.replicationSlot.isEmpty else {
        continue
      }
      if let other = slots[postgres.dsn, default: [:]].updateValue(
        source.name, forKey: postgres.replicationSlot), !postgres.dsn.string.values.isEmpty
      {
        errors.append(
          ConfigurationError(
            file: context.file, line: place.line, path: "\(path).replicationSlot",
            found: "the slot of source.\(other)", expected: "a slot of its own",
            hint: "A slot serves one source; a source may feed several sinks."))
      }
    }
    checkTransactions(sources: sources, sinks: sinks)
    checkRules(sources: sources, sinks: sinks)
    checkOutboxes(sources: sources, sinks: sinks)
    var paths: [String: String] = [:]
    for sink in sinks {
      guard case .file(let file) = sink.kind, !file.path.isEmpty,
        let other = paths.updateValue(sink.name, forKey: file.path),
        let place = place("sink", sink.name)
      else { continue }
      errors.append(
        ConfigurationError(
          file: context.file, line: place.line, path: "sink.\(sink.name).path",
          found: "the file of sink.\(other)", expected: "a file of its own", hint: ""))
    }
  }

  /// Checks that rules of tables are followed: events that come from Kafka are passed on as they are.
  private mutating func checkRules(
    sources: [SourceConfiguration], sinks: [SinkConfiguration]
  ) {
    for sink in sinks {
      guard
        let entry = sink.rules.entries.first(where: { !$0.rule.isEmpty || $0.rule.format != nil }),
        let source = sources.first(where: {
          if case .kafka = $0.kind { sink.sources.contains($0.name) } else { false }
        }),
        let place = place("sink", sink.name)
      else { continue }
      errors.append(
        ConfigurationError(
          file: context.file, line: place.line, path: "sink.\(sink.name).table",
          found: "a rule of \(entry.tables) for source.\(source.name), whose type is kafka",
          expected: "rules where changes come from PostgreSQL or a recording",
          hint:
            "Events from Kafka are passed on as they are: give the rule to the sink that wrote them."
        ))
    }
  }

  /// Checks that outboxes have sources that can fill them.
  private mutating func checkOutboxes(
    sources: [SourceConfiguration], sinks: [SinkConfiguration]
  ) {
    for sink in sinks {
      guard case .kafka(let kafka) = sink.kind, let outbox = kafka.outbox,
        let place = place("sink", sink.name)
      else { continue }
      func fail(_ key: String, _ found: String, _ expected: String, _ hint: String) {
        errors.append(
          ConfigurationError(
            file: context.file, line: place.line, path: "sink.\(sink.name).\(key)", found: found,
            expected: expected, hint: hint))
      }
      for source in sources where sink.sources.contains(source.name) {
        switch source.kind {
        case .kafka:
          fail(
            "outbox", "an outbox for source.\(source.name), whose type is kafka",
            "an outbox where changes come from PostgreSQL or a recording",
            "Events from Kafka are passed on as they are.")
        case .postgres(let postgres) where outbox.messages != nil && !postgres.output.messages:
          fail(
            "outbox.messages", "an outbox of messages for source.\(source.name)",
            "messages = true there", "Without it the server sends no logical messages.")
        default: break
        }
      }
    }
  }

  /// Checks what exactly-once asks of the sources.
  private mutating func checkTransactions(
    sources: [SourceConfiguration], sinks: [SinkConfiguration]
  ) {
    for sink in sinks {
      guard case .kafka(let kafka) = sink.kind, kafka.delivery == .exactlyOnce,
        let place = place("sink", sink.name)
      else { continue }
      func fail(_ key: String, _ found: String, _ expected: String, _ hint: String) {
        errors.append(
          ConfigurationError(
            file: context.file, line: place.line, path: "sink.\(sink.name).\(key)", found: found,
            expected: expected, hint: hint))
      }
      if sink.sources.count > 1, kafka.transactionalID != nil || kafka.positionTopic != nil {
        fail(
          kafka.transactionalID != nil ? "transactionalID" : "positionTopic",
          "one for \(sink.sources.count) sources", "none, or a single source",
          "Each source has a position of its own; by default its name stands in both.")
      }
      for source in sources where sink.sources.contains(source.name) {
        let topic = "\(kafka.transactionalID(source: source.name, sink: sink.name)).position"
        if kafka.positionTopic == nil, !TopicRouting.isTopicName(topic) {
          fail(
            "positionTopic", "none, which makes \"\(topic)\" of the names",
            "a topic's name", "Name one with letters, digits, \".\", \"_\" and \"-\".")
        }
        guard case .postgres(let postgres) = source.kind else {
          fail(
            "delivery", "\"exactly-once\" for source.\(source.name)",
            "a source with type = \"postgres\"",
            "Only PostgreSQL's positions go into Kafka's transactions.")
          continue
        }
        if postgres.walPositionOverride != nil, !postgres.allowDuplicates {
          fail(
            "delivery", "\"exactly-once\" with source.\(source.name).walPositionOverride",
            "allowDuplicates = true there", "What lies behind the override comes a second time.")
        }
      }
    }
  }

  private func place(_ key: String, _ name: String) -> TOMLPosition? {
    guard
      case .table(let table)? = table.entries.first(where: { $0.key.lowercased() == key })?
        .value.content
    else { return nil }
    return table.entries.first { $0.key == name }?.position
  }
}
