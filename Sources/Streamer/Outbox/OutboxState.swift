import PGWire

/// What a lane keeps of its outbox from event to event.
struct OutboxState: ~Copyable {
  /// The topics of its events.
  var topics = OutboxTopics()
  /// Why no record was made of the last event; nil when one was.
  var fault: OutboxFault?
  /// Tells whether payloads and messages are JSON; made when it is needed.
  var documents: JSONDocumentCheck?

  /// Whether bytes are a whole JSON document.
  mutating func isDocument(_ bytes: RawSpan) -> Bool {
    if documents == nil { documents = JSONDocumentCheck() }
    return documents?.accepts(bytes) ?? false
  }
}

/// Why no record is made of an event of an outbox.
enum OutboxFault: Hashable, Sendable {
  /// The column that decides the topic is null or empty.
  case noRoute(String)
  /// The topic would have a name that Kafka does not take.
  case topicName(String)
  /// The column that names the partition holds something else.
  case noPartition(String)
  /// The column of the payload holds a value that was not sent as its type says.
  case malformed(String)
  /// The message is no JSON object.
  case noObject
  /// The message has no such member.
  case noMember(String)
  /// It is an update.
  case update

  /// The same in words, after the event's name.
  var why: String {
    switch self {
    case .noRoute(let column): "\"\(column)\", which decides the topic, is null or empty"
    case .topicName(let name): "its topic would be \"\(name)\", which is no topic's name"
    case .noPartition(let column): "\"\(column)\" is no number of a partition"
    case .malformed(let column): "the value of \"\(column)\" is not what its type says"
    case .noObject: "its content is no JSON object"
    case .noMember(let name): "its content has no member \"\(name)\""
    case .update: "it is an update, and an outbox has inserts and deletes only"
    }
  }

  /// What may be done about it in `[sink.NAME]`.
  func remedy(_ sink: String) -> String {
    let dead = "set oversized = \"dead-letter\" in [sink.\(sink)], and such events go there"
    switch self {
    case .topicName:
      return "Set topicNames = \"replace\" or onTableError = \"exclude\" in [sink.\(sink)], "
        + "or \(dead)."
    case .update:
      return "Set onInvalidOperation = \"warn\" in [sink.\(sink).outbox], or \(dead)."
    default: return "Mend what writes the outbox, and \(dead)."
    }
  }
}
