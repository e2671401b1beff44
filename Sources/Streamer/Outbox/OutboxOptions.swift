/// The outbox of a sink, `[sink.NAME.outbox]`: whose rows or messages become records as they are,
/// each in the topic that it names itself.
///
/// The names are those of Debezium's transform EventRouter.
struct OutboxOptions: Hashable, Sendable {
  /// What becomes of an operation that is neither an insert nor a delete.
  enum InvalidOperation: String, CaseIterable, Sendable {
    /// It is passed over, and a warning says so.
    case warn
    /// It is passed over, and an error in the log says so.
    case error
    /// The source stops.
    case fatal
  }

  /// A column beside those that every event has, and where its value stands in the record.
  struct Placement: Hashable, Sendable {
    /// Where it stands.
    enum Place: String, CaseIterable, Sendable {
      /// In a header.
      case header
      /// In the value, which is a JSON object then, beside the payload.
      case envelope
      /// It is the number of the record's partition.
      case partition
    }

    /// The column's name.
    let column: String
    /// Where its value stands.
    let place: Place
    /// What it is called there.
    let alias: String
  }

  /// The tables; nil for none.
  var table: TablePattern?
  /// What the prefixes of logical messages begin with; nil for none.
  var messages: String?
  /// The column of the event's id, which becomes the header `id`.
  var eventID = "id"
  /// The column of the record's key.
  var eventKey = "aggregateid"
  /// The column of the record's value.
  var payload = "payload"
  /// The column of the record's timestamp; nil leaves it to the producer.
  var timestamp: String?
  /// The column that decides the topic.
  var routeBy = "aggregatetype"
  /// Further columns.
  var placements: [Placement] = []
  /// The topic's name with {routedByValue}.
  var topicTemplate = "outbox.event.{\(OutboxOptions.routedByValue)}"
  /// What is replaced in the names that the template makes.
  var topicRegex: TopicRegex?
  /// Whether a payload that is a JSON document is part of the envelope, not a string in it.
  var expandPayload = false
  /// Whether a record of an empty payload has no value.
  var tombstoneOnEmptyPayload = false
  /// What becomes of updates.
  var onInvalidOperation = InvalidOperation.warn
  /// The columns' keys and where they stand in the file, for errors.
  var places: [String: String] = [:]

  /// The template's name for the value that decides the topic.
  static let routedByValue = "routedByValue"

  /// Whether a table is an outbox.
  func covers(schema: String, table name: String) -> Bool {
    table?.matches(schema: schema, table: name) ?? false
  }

  /// The topic of events with that value; `names` says what becomes of characters that Kafka does not
  /// take.
  func topic(of value: String, _ names: TopicRouting.TopicNames) -> String {
    let made =
      TopicRouting.expand(topicTemplate) { $0 == Self.routedByValue ? value : nil } ?? value
    let topic = topicRegex?.replace(made) ?? made
    return names == .replace ? TopicRouting.legalName(topic) : topic
  }

  /// Whether the value is an object with the payload as a member.
  var hasEnvelope: Bool { placements.contains { $0.place == .envelope } }

  /// The columns that it names, each with the key that does.
  var columns: [(key: String, column: String)] {
    [("eventID", eventID), ("eventKey", eventKey), ("payload", payload), ("routeBy", routeBy)]
      + (timestamp.map { [("timestamp", $0)] } ?? [])
      + placements.map { ("placement", $0.column) }
  }
}

extension OutboxOptions {
  /// Compares what was configured, not where.
  static func == (a: OutboxOptions, b: OutboxOptions) -> Bool {
    a.table == b.table && a.messages == b.messages && a.eventID == b.eventID
      && a.eventKey == b.eventKey && a.payload == b.payload && a.timestamp == b.timestamp
      && a.routeBy == b.routeBy && a.placements == b.placements
      && a.topicTemplate == b.topicTemplate && a.topicRegex == b.topicRegex
      && a.expandPayload == b.expandPayload
      && a.tombstoneOnEmptyPayload == b.tombstoneOnEmptyPayload
      && a.onInvalidOperation == b.onInvalidOperation
  }

  func hash(into hasher: inout Hasher) {
    hasher.combine(table)
    hasher.combine(messages)
    hasher.combine(topicTemplate)
    hasher.combine(routeBy)
    hasher.combine(placements)
  }
}

extension OutboxOptions {
  /// Reads the table `outbox`; nil when there is none, or it says nothing that counts.
  init?(in reader: inout ConfigurationReader) {
    guard var section = reader.section("outbox", subject: "an outbox") else { return nil }
    self.init()
    if let text = section.text("table"), !text.value.isEmpty {
      table = TablePattern.reading(text.value)
      if table == nil {
        section.fail(
          "table", at: text.position, found: text.shown, expected: TablePattern.expected)
      }
    }
    messages = section.text("messages").flatMap { $0.value.isEmpty ? nil : $0.value }
    if !section.has("table"), !section.has("messages") {
      section.fail(
        found: "neither table nor messages", expected: "one of them, or both",
        hint: "table = \"public.outbox\" names the outbox, messages = \"outbox\" what the "
          + "prefixes of logical messages begin with.")
    }
    eventID = section.column("eventID") ?? eventID
    eventKey = section.column("eventKey") ?? eventKey
    payload = section.column("payload") ?? payload
    routeBy = section.column("routeBy") ?? routeBy
    timestamp = section.column("timestamp")
    for key in ["eventType", "schemaVersion"] where section.column(key) != nil {
      section.note(
        key,
        "has no effect, since it is not written by itself: placement puts a column into a header")
    }
    placements = section.placements()
    topicTemplate = section.template("topicTemplate", fields: [Self.routedByValue]) ?? topicTemplate
    topicRegex = section.topicRegex()
    expandPayload = section.boolean("expandPayload", default: false)
    tombstoneOnEmptyPayload = section.boolean("tombstoneOnEmptyPayload", default: false)
    onInvalidOperation = section.choice("onInvalidOperation", default: InvalidOperation.warn)
    if section.has("expandPayload"), expandPayload, !hasEnvelope {
      section.note(
        "expandPayload", "has no effect without an envelope: the value is the document anyway")
    }
    places = section.places
    section.finish()
    reader.absorb(section)
  }
}

extension ConfigurationReader {
  /// Where each key stands, as an error names it; the table itself by an empty name.
  fileprivate var places: [String: String] {
    var places = ["": "\(context.file):\(position.line): \(path)"]
    for entry in table.entries {
      places[entry.key.lowercased()] =
        "\(context.file):\(entry.position.line): \(path(of: entry.key))"
    }
    return places
  }

  fileprivate mutating func column(_ key: String) -> String? {
    guard let text = text(key) else { return nil }
    guard text.value.isEmpty else { return text.value }
    fail(key, at: text.position, found: text.shown, expected: "a column's name")
    return nil
  }

  fileprivate mutating func placements() -> [OutboxOptions.Placement] {
    var placements: [OutboxOptions.Placement] = []
    let expected =
      "\"COLUMN:header\" or \"COLUMN:envelope\", perhaps with \":ALIAS\", or \"COLUMN:partition\""
    guard has("placement") else { return [] }
    for text in requiredTexts("placement", expected: "a list of \(expected)")
    where !text.value.isEmpty {
      let parts = text.value.split(separator: ":", omittingEmptySubsequences: false)
        .map(String.init)
      guard (2...3).contains(parts.count), !parts.contains(""),
        let place = OutboxOptions.Placement.Place(rawValue: parts[1]),
        place != .partition || parts.count == 2
      else {
        fail("placement", at: text.position, found: text.shown, expected: expected)
        continue
      }
      let placement = OutboxOptions.Placement(
        column: parts[0], place: place, alias: parts.count == 3 ? parts[2] : parts[0])
      let isTaken =
        placements.contains {
          $0.place == place && (place == .partition || $0.alias == placement.alias)
        }
        || place == .header && placement.alias == OutboxPlan.idHeader
        || place == .envelope && placement.alias == OutboxPlan.payloadMember
      guard !isTaken else {
        fail(
          "placement", at: text.position, found: "a second \(place.rawValue) of that name",
          expected: "each name once")
        continue
      }
      placements.append(placement)
    }
    return placements
  }
}
