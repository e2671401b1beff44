import Support

/// A record of the native format, taken apart.
struct Event: Sendable {
  let record: KafkaRecord
  let value: JSON

  /// - Throws: `SupportError` when the record has no value or it is not JSON.
  init(_ record: KafkaRecord) throws {
    guard let text = record.value else { throw SupportError("a record without a value") }
    self.record = record
    value = try JSON(text)
  }

  var action: String { value["Action"]?.string ?? "" }
  var table: String { value["Table"]?.string ?? "" }
  var uuid: String { value["UUID"]?.string ?? "" }
  var ordinal: Int { value["Ordinal"]?.int ?? -1 }
  var commit: Int { value["WALPosition"]?.int ?? -1 }
  var xid: Int { value["XID"]?.int ?? -1 }
  var columns: JSON { value["Columns"] ?? .null }

  /// A column of the new row (of the old one for a delete).
  subscript(column: String) -> JSON? { columns[column] }
}

extension [Event] {
  /// In the server's order.
  var ordered: [Event] {
    sorted { ($0.commit, $0.ordinal) < ($1.commit, $1.ordinal) }
  }

  /// Without those whose UUID came before.
  var withoutRepetitions: [Event] {
    var seen: Set<String> = []
    return filter { seen.insert($0.uuid).inserted }
  }

  /// The integer column of each.
  func integers(_ column: String) -> [Int] { compactMap { $0[column]?.int } }
}
