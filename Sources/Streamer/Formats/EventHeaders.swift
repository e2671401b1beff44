import KafkaBridge
import PGWire

/// What a record's headers say of its event, for sinks that are asked for them.
struct EventHeaders: Hashable, Sendable {
  /// What one header says.
  enum Part: Hashable, Sendable {
    case uuid, lsn, schema, table, action
    /// The value of a column, in tables that have it.
    case column(String)

    /// What stands before a column's name in the configuration.
    private static let columnPrefix = "column:"
    /// Those that every event has, in the order in which `headers = true` writes them.
    static let ofEvents: [Part] = [.uuid, .lsn, .schema, .table, .action]

    /// The header's name.
    var name: String {
      switch self {
      case .uuid: "UUID"
      case .lsn: "LSN"
      case .schema: "Schema"
      case .table: "Table"
      case .action: "Action"
      case .column(let name): name
      }
    }

    /// Reads what the configuration calls it; nil for what there is not.
    init?(_ text: String) {
      if text.hasPrefix(Self.columnPrefix) {
        let name = text.dropFirst(Self.columnPrefix.count)
        guard !name.isEmpty else { return nil }
        self = .column(String(name))
      } else {
        guard let part = Self.ofEvents.first(where: { $0.name == text }) else { return nil }
        self = part
      }
    }
  }

  /// The headers in their order.
  let parts: [Part]

  /// No headers.
  static let none = EventHeaders(parts: [])
  /// Those that every event has.
  static let all = EventHeaders(parts: Part.ofEvents)

  /// Whether records have none.
  var isEmpty: Bool { parts.isEmpty }

  /// The headers of an event, without those whose values `value` does not know; a logical message
  /// has no schema, no table and no columns.
  func make(
    _ action: EventAction, _ place: EventPlace, _ state: borrowing EncodingState, schema: String,
    table: String, isExtraDelete: Bool = false, column value: (String) -> [UInt8]? = { _ in nil }
  ) -> [RecordHeader] {
    var headers: [RecordHeader] = []
    for part in parts {
      let bytes: [UInt8]?
      switch part {
      case .uuid:
        guard let uuid = state.uuid else { continue }
        var text = ByteWriter(capacity: 40)
        uuid.append(ordinal: place.ordinal, isExtraDelete: isExtraDelete, to: &text)
        bytes = Array(text.bytes.text.utf8)
      case .lsn: bytes = Array("\(place.lsn)".utf8)
      case .schema: bytes = Array(schema.utf8)
      case .table: bytes = Array(table.utf8)
      case .action: bytes = Array("\(action.name)".utf8)
      case .column(let name): bytes = value(name)
      }
      if let bytes { headers.append(RecordHeader(name: part.name, value: bytes)) }
    }
    return headers
  }
}

extension ConfigurationReader {
  /// Reads `headers`: true or false, or a list of what they say.
  mutating func eventHeaders() -> EventHeaders {
    guard case .array = entry("headers")?.value.content else {
      return boolean("headers", default: false) ? .all : .none
    }
    let names = EventHeaders.Part.ofEvents.map(\.name)
    let expected = "\(names.map { "\"\($0)\"" }.joined(separator: ", ")) or \"column:NAME\""
    var parts: [EventHeaders.Part] = []
    for text in requiredTexts("headers", expected: "a list of \(expected)")
    where !text.value.isEmpty {
      guard let part = EventHeaders.Part(text.value) else {
        let near = NearestName.of(text.value, among: names)
        fail(
          "headers", at: text.position, found: text.shown, expected: expected,
          hint: near.map { "Did you mean \"\($0)\"?" } ?? "")
        continue
      }
      guard !parts.contains(where: { $0.name == part.name }) else {
        fail(
          "headers", at: text.position, found: "a second header \"\(part.name)\"",
          expected: "each name once")
        continue
      }
      parts.append(part)
    }
    return EventHeaders(parts: parts)
  }
}
