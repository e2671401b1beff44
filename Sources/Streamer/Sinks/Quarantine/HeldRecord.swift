import KafkaBridge
import PGWire

/// A record that is held back: all that is needed to send it later as it would have been sent.
struct HeldRecord: Hashable, Sendable {
  /// The topic's name.
  var topic: String
  /// What decides the partition.
  var partitionHash: Int32
  /// Its key; nil for none.
  var key: [UInt8]?
  /// Its value; nil for a tombstone.
  var value: [UInt8]?
  /// Its headers, in their order.
  var headers: [RecordHeader] = []
  /// Its own time, in milliseconds since 1970; nil leaves it to the producer.
  var time: Int64?

  /// Key and value together, in bytes.
  var payloadBytes: Int { (key?.count ?? 0) + (value?.count ?? 0) }

  /// The same with its headers.
  var wholeBytes: Int {
    headers.reduce(payloadBytes) { $0 + $1.name.utf8.count + ($1.value?.count ?? 0) }
  }
}

/// What is held of one topic, and why.
struct HeldTopic: Hashable, Sendable {
  /// Why the first record is held, and where it came from.
  struct Reason: Hashable, Sendable {
    /// The table's qualified name.
    var table: String
    /// Where its change stands: "LSN 0/16B3748, transaction 0/16B3800,".
    var place: String
    /// The record's key, if it is short text; nil otherwise.
    var key: String?
    /// The record's key and value, in bytes.
    var size: Int
    /// Why it cannot be delivered.
    var text: String
  }

  /// Its name.
  var topic: String
  /// Why, as of its first record.
  var reason: Reason
  /// Since when, in RFC 3339.
  var since: String
  /// How many records are on disk.
  var records = 0
  /// Their keys, values and headers, in bytes.
  var bytes = 0
  /// Whether they are being sent now.
  var isReleasing = false
}

extension [RecordHeader] {
  /// The headers as they are kept: of each name and value its length (4 bytes, all ones for null) and
  /// its bytes.
  var kept: [UInt8] {
    var bytes: [UInt8] = []
    func add(_ part: [UInt8]?) {
      let length = part.map { UInt32($0.count) } ?? .max
      for shift in [24, 16, 8, 0] as [UInt32] { bytes.append(UInt8(length >> shift & 0xFF)) }
      bytes += part ?? []
    }
    for header in self {
      add(Array<UInt8>(header.name.utf8))
      add(header.value)
    }
    return bytes
  }

  /// Reads what ``kept`` has written; nil for anything else.
  init?(kept bytes: [UInt8]) {
    self = []
    var rest = bytes[...]
    func next() -> [UInt8]?? {
      guard rest.count >= 4 else { return nil }
      let length = rest.prefix(4).reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
      rest = rest.dropFirst(4)
      if length == .max { return .some(nil) }
      guard rest.count >= Int(length) else { return nil }
      defer { rest = rest.dropFirst(Int(length)) }
      return .some([UInt8](rest.prefix(Int(length))))
    }
    while !rest.isEmpty {
      guard case .some(.some(let name)) = next(), case .some(let value) = next() else { return nil }
      append(RecordHeader(name: String(decoding: name, as: UTF8.self), value: value))
    }
  }
}
