import KafkaBridge
import PGWire

/// Where the attributes of a CloudEvent stand.
enum CloudEventsMode: String, Hashable, Sendable, CaseIterable {
  /// In the value, around the data.
  case structured
  /// In the record's headers; the value is the data.
  case binary
}

/// What CloudEvents keep of a transaction; a lane has one.
struct CloudEventsState: ~Copyable {
  /// From the event's start into its id.
  var head = ByteWriter(capacity: 32)
  /// When it was committed, as a header says it; nil for a message outside.
  var time: String?
}

/// What an event is about: its table.
final class CloudEventsSubject {
  /// The text.
  let text: String
  /// From the end of the type to the colon before the data.
  fileprivate let member: PreparedBytes

  /// Control characters, which attributes must not have, become `_`.
  init(_ table: String) {
    var text = ""
    for scalar in table.unicodeScalars {
      text.unicodeScalars.append(scalar.properties.generalCategory == .control ? "_" : scalar)
    }
    self.text = text
    var member = ByteWriter(capacity: 32)
    member.append("\",\"subject\":")
    member.append(jsonString: text)
    member.append(",\"data\":")
    self.member = PreparedBytes(member)
  }

  /// Bytes that were prepared.
  var ownedBytes: Int { member.count }
}

/// Writes the attributes of CloudEvents 1.0, as its JSON format and its binding to Kafka have them.
///
/// In structured mode nothing is allocated for a row; headers of a row's own are.
final class CloudEventsEnvelope {
  private let mode: CloudEventsMode
  private let source: String
  /// From the event's start to its time.
  private let start: PreparedBytes
  /// The headers that all records have.
  private let headers: [RecordHeader]

  init(_ origin: StreamOrigin, _ mode: CloudEventsMode) {
    self.mode = mode
    source = "postgresql://\(Self.encoded(origin.host))/\(Self.encoded(origin.database))"
    var start = ByteWriter()
    start.append("{\"specversion\":\"1.0\",\"source\":")
    start.append(jsonString: source)
    start.append(",\"datacontenttype\":\"application/json\"")
    self.start = PreparedBytes(start)
    headers =
      switch mode {
      case .structured: [Self.header("content-type", "application/cloudevents+json; charset=UTF-8")]
      case .binary:
        [
          Self.header("content-type", "application/json"), Self.header("ce_specversion", "1.0"),
          Self.header("ce_source", source),
        ]
      }
  }

  /// A part of a URI: what is not unreserved is percent-encoded.
  private static func encoded(_ text: String) -> String {
    let digits = Array("0123456789ABCDEF")
    var encoded = ""
    for byte in text.utf8 {
      switch byte {
      case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x7E:
        encoded.unicodeScalars.append(Unicode.Scalar(byte))
      default: encoded += "%\(digits[Int(byte >> 4)])\(digits[Int(byte & 15)])"
      }
    }
    return encoded
  }

  private static func header(_ name: String, _ value: String) -> RecordHeader {
    RecordHeader(name: name, value: Array(value.utf8))
  }

  /// A transaction begins, whose UUIDs are known.
  func begin(_ transaction: Transaction, _ state: inout EncodingState) {
    state.cloudEvents.head.removeAll()
    state.cloudEvents.time = nil
    start.append(to: &state.cloudEvents.head)
    if let time = transaction.commitTime {
      state.cloudEvents.head.append(",\"time\":\"")
      let first = state.cloudEvents.head.count
      EventTimestamp.append(microseconds: time, to: &state.cloudEvents.head)
      if mode == .binary {
        let end = state.cloudEvents.head.count
        state.cloudEvents.time = state.cloudEvents.head.bytes(first..<end).text
      }
      state.cloudEvents.head.append("\"")
    }
    state.cloudEvents.head.append(",\"id\":\"")
    state.uuid?.appendCommon(to: &state.cloudEvents.head)
  }

  /// Appends what stands before the data; gives the record's headers.
  @inline(__always)
  func open(
    _ action: EventAction, _ place: EventPlace, _ subject: CloudEventsSubject?,
    isExtraDelete: Bool = false, _ state: borrowing EncodingState, to json: inout ByteWriter
  ) -> [RecordHeader] {
    guard mode == .structured else {
      return headers(action, place, subject, isExtraDelete: isExtraDelete, state)
    }
    json.append(state.cloudEvents.head.bytes)
    EventUUID.append(ordinal: place.ordinal, isExtraDelete: isExtraDelete, to: &json)
    json.append("\",\"type\":\"psql-streamer.")
    json.append(action.name)
    if let subject { subject.member.append(to: &json) } else { json.append("\",\"data\":") }
    return headers
  }

  /// Appends what stands behind the data.
  @inline(__always)
  func close(_ json: inout ByteWriter) {
    if mode == .structured { json.append(0x7D as UInt8) }
  }

  private func headers(
    _ action: EventAction, _ place: EventPlace, _ subject: CloudEventsSubject?,
    isExtraDelete: Bool, _ state: borrowing EncodingState
  ) -> [RecordHeader] {
    var id = ByteWriter(capacity: 40)
    state.uuid?.append(ordinal: place.ordinal, isExtraDelete: isExtraDelete, to: &id)
    var all = headers
    all.append(Self.header("ce_id", id.bytes.text))
    all.append(Self.header("ce_type", "psql-streamer.\(action.name)"))
    if let time = state.cloudEvents.time { all.append(Self.header("ce_time", time)) }
    if let subject { all.append(Self.header("ce_subject", subject.text)) }
    return all
  }
}
