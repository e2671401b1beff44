import PGWire

/// Writes what lies in topics, and what a table's rows would be there, as JSON: records that name their
/// schema are read by it.
final class RecordTexts {
  /// What counts the schemas of the tables' own records.
  let list = SchemaList()
  private let registry: SchemaRegistry?
  private let sink: String
  /// Those of the registry, by their numbers; nil for one that cannot be read.
  private var known: [UInt32: RecordText?] = [:]

  /// For a sink that is set up so.
  init(_ setup: LaneSetup, sink: String) {
    registry = setup.schemas.registry.map { SchemaRegistry($0) }
    self.sink = sink
  }

  /// Writes a record of a topic; false where it cannot be read.
  func write(
    _ record: RawSpan, _ format: FormatConfiguration.Name, to json: inout ByteWriter
  ) throws(StreamerError) -> Bool {
    guard format.hasSchemas else {
      json.append(record)
      return true
    }
    guard let number = RecordText.number(in: record) else { return false }
    return try text(number)?.append(record, to: &json) ?? false
  }

  /// Writes a record that a row of a table would be.
  func write(
    ofTable record: RawSpan, _ format: FormatConfiguration.Name, to json: inout ByteWriter
  ) -> Bool {
    guard format.hasSchemas else {
      json.append(record)
      return true
    }
    return list.append(record, to: &json)
  }

  /// The key of a record of a topic, without the number of its schema; nil where it cannot be read.
  func key(
    _ key: RawSpan, _ format: FormatConfiguration.Name
  ) throws(StreamerError) -> [UInt8]? {
    guard format.hasSchemas, let number = RecordText.number(in: key) else { return key.array }
    var json = ByteWriter()
    guard let text = try text(number), text.append(key, to: &json) else { return nil }
    return json.bytes.array
  }

  /// The key that a row of a table would have.
  func key(ofTable key: [UInt8], _ format: FormatConfiguration.Name) -> [UInt8] {
    var json = ByteWriter()
    guard format.hasSchemas, list.append(unsafe key.span.bytes, to: &json) else { return key }
    return json.bytes.array
  }

  private func text(_ number: UInt32) throws(StreamerError) -> RecordText? {
    if let text = known[number] { return text }
    let schema = try registry?.schema(number, sink: sink)
    let text = schema.flatMap { RecordText($0.kind, $0.text) }
    known[number] = .some(text)
    return text
  }
}
