import KafkaBridge
import PGWire

/// A row that somebody has inserted into the signal table, or a record of a signal topic: Debezium's
/// three columns.
struct SignalRow: Hashable, Sendable {
  /// What the row asks for.
  enum Meaning: Hashable {
    case commands([CopyCommand])
    /// A type that is another program's.
    case unknown
    /// A type of ours that says nothing; why.
    case fault(String)
  }

  /// Where it stands: nothing else has the same place.
  var place: String
  /// Its columns; empty where one is missing or null.
  var id = ""
  var type = ""
  var data = ""
  /// The data, where it is no text of its own.
  private var document: JSONValue?

  /// Takes the columns of an inserted row.
  init(_ change: borrowing Change, of relation: Relation, at lsn: LSN) {
    place = "\(lsn)"
    for (index, column) in relation.columns.enumerated() {
      guard case .text(let text) = change.new.value(at: index) else { continue }
      switch column.name {
      case "id": id = text.text
      case "type": type = text.text
      case "data": data = text.text
      default: break
      }
    }
  }

  init(lsn: LSN, id: String, type: String, data: String) {
    place = "\(lsn)"
    self.id = id
    self.type = type
    self.data = data
  }

  /// Takes the value of a record, `{"id": …, "type": …, "data": {…}}`; nil for anything else.
  ///
  /// Without an id it is known by its place.
  init?(value: [UInt8], of partition: TopicPartition, at offset: Int64) {
    guard let record = JSONValue(value), let type = record["type"]?.string else { return nil }
    place = "\(partition.topic):\(partition.partition):\(offset)"
    id = record["id"]?.string ?? "\(partition.partition)-\(offset)"
    self.type = type
    switch record["data"] {
    case .string(let text): data = text
    case let value: document = value ?? .object([])
    }
  }

  /// What it asks for; one copy for the tables without a condition, and one for each that has one.
  var meaning: Meaning {
    let document = self.document ?? JSONValue(Array((data.isEmpty ? "{}" : data).utf8))
    let collections = document?["data-collections"]?.elements.compactMap(\.string) ?? []
    switch type {
    case "execute-snapshot":
      guard !collections.isEmpty else {
        return .fault("its data names no data-collections")
      }
      return .commands(copies(of: collections, document))
    case "stop-snapshot": return .commands([.decide(.stopped, tables: collections)])
    case "pause-snapshot": return .commands([.decide(.paused, tables: [])])
    case "resume-snapshot": return .commands([.decide(.active, tables: [])])
    default: return .unknown
    }
  }

  private func copies(of collections: [String], _ document: JSONValue?) -> [CopyCommand] {
    var filters: [String: String] = [:]
    for condition in document?["additional-conditions"]?.elements ?? [] {
      guard let table = condition["data-collection"]?.string else { continue }
      filters[table] = condition["filter"]?.string
    }
    // The same row read again says the same.
    func mark(_ part: String) -> String { "\(place) \(id) \(part)" }
    let plain = collections.filter { filters[$0] == nil }
    var commands: [CopyCommand] = []
    if !plain.isEmpty { commands.append(.copy(tables: plain, filter: nil, mark: mark(""))) }
    for table in collections {
      guard let filter = filters[table] else { continue }
      commands.append(.copy(tables: [table], filter: filter, mark: mark(table)))
    }
    return commands
  }
}
