import PGWire
import Synchronization

/// Numbers for schemas of records that this program itself reads, to show or to compare them: no
/// registry is asked.
final class SchemaList: Sendable {
  private struct State {
    var numbers: [String: UInt32] = [:]
    var texts: [RecordText?] = []
  }

  private let state = Mutex(State())

  /// The number of a schema: they are counted from 1 on.
  func number(of schema: RegisteredSchema) -> UInt32 {
    state.withLock { state in
      if let number = state.numbers[schema.text] { return number }
      state.texts.append(RecordText(schema.kind, schema.text))
      let number = UInt32(state.texts.count)
      state.numbers[schema.text] = number
      return number
    }
  }

  /// Appends a record as JSON; false where it is none of a schema that has a number here.
  func append(_ record: RawSpan, to json: inout ByteWriter) -> Bool {
    guard let number = RecordText.number(in: record), number > 0 else { return false }
    let text = state.withLock { state in
      number <= state.texts.count ? state.texts[Int(number) - 1] : nil
    }
    return text?.append(record, to: &json) ?? false
  }

  /// A record as one line; in base64 where its schema has no number here.
  func line(of record: RawSpan) -> [UInt8] {
    var json = ByteWriter()
    if append(record, to: &json) { return json.bytes.array }
    json.removeAll()
    Base64.append(record, to: &json)
    return json.bytes.array
  }
}
