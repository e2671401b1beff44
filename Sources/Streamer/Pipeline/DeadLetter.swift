import PGWire

/// What a dead letter topic gets in place of a change that cannot be delivered as an event: a JSON
/// object that says what it was, and where.
struct DeadLetter {
  /// Why it could not be delivered; the raw values are those of the metric's label `cause`.
  enum Cause: String, CaseIterable, Sendable {
    /// The record is larger than the client or its topic takes.
    case oversized
    /// The change is larger than `maxRowSize`.
    case rowSize = "row_size"
    /// Something of it is no text.
    case notText = "not_text"
    /// Its table's schema cannot say a value of it.
    case noSchema = "no_schema"
    /// It is an event of an outbox of which no record can be made.
    case outbox
  }

  /// The source's name in the configuration.
  var source: String
  /// The sink's name.
  var sink: String
  /// The topic that it would have gone to; empty where nobody has come to know.
  var topic: String
  /// The table's qualified name, or what else it is.
  var table: String
  /// Where it stands.
  var place: EventPlace
  /// Its transaction's commit LSN.
  var commitLSN: LSN
  /// Why it could not be delivered.
  var cause: Cause
  /// The same in words.
  var reason: String
  /// The record's key and value together, or the change as it was received, in bytes.
  var size: Int
  /// The digest of the record's value, or of the row's values one after the other; empty where that
  /// is too much.
  var digest: [UInt8]
  /// The record's key, or the key's columns as a JSON object.
  var key: [UInt8]?
  /// The record's value; nil where none was made, or the topic cannot take it.
  var payload: [UInt8]?

  /// What the topic gets.
  var json: [UInt8] {
    var json = JSONText()
    json.object { json in
      for (name, text) in [
        ("Source", source), ("Sink", sink), ("Topic", topic), ("Table", table),
        ("LSN", "\(place.lsn)"), ("CommitLSN", "\(commitLSN)"),
      ] {
        json.key(name)
        json.value(text)
      }
      json.key("Ordinal")
      json.value(place.ordinal)
      json.key("Cause")
      json.value(cause.rawValue)
      json.key("Reason")
      json.value(reason)
      json.key("Size")
      json.value(size)
      json.key("SHA256")
      json.value(digest.isEmpty ? nil : Self.hexadecimal(digest))
      Self.write("Key", key, to: &json)
      Self.write("Payload", payload, to: &json)
    }
    return json.bytes
  }

  /// Bytes that are text as text, others in base64 under another name.
  private static func write(_ name: String, _ bytes: [UInt8]?, to json: inout JSONText) {
    guard let bytes, String(validating: bytes, as: UTF8.self) == nil else {
      json.key(name)
      return json.value(bytes.map { String(decoding: $0, as: UTF8.self) })
    }
    var text = ByteWriter()
    unsafe Base64.append(characters: bytes.span.bytes, to: &text)
    json.key("\(name)Base64")
    json.value(text.bytes.text)
  }

  private static func hexadecimal(_ bytes: [UInt8]) -> String {
    bytes.map { (($0 < 16) ? "0" : "") + String($0, radix: 16) }.joined()
  }
}

/// A record that a broker has refused, and will refuse again: it is not sent again.
struct RefusedRecord: Hashable, Sendable {
  /// The topic's name.
  var topic: String
  /// Its key and value together, in bytes.
  var bytes: Int
}

/// A change that went to the dead letter topic, for the log.
struct BuriedChange: Sendable {
  var table: String
  var lsn: LSN
  var topic: String
  var cause: DeadLetter.Cause
  var size: Int
}

extension RawSpan {
  /// The bytes as an array; it allocates, so not for the row path.
  var copied: [UInt8] {
    // SAFETY: the pointer does not leave the closure.
    unsafe withUnsafeBytes { unsafe Array($0) }
  }
}

extension TupleData {
  /// A digest of the values one after the other; empty where they are too many bytes.
  func digest(of size: Int) -> [UInt8] {
    guard size <= Limits.hashedBytes else { return [] }
    var bytes: [UInt8] = []
    var cursor = columns
    for _ in 0..<count {
      switch cursor.next() {
      case .text(let value), .binary(let value):
        bytes += value.copied
      case .null, .unchangedToast: break
      }
    }
    return SHA256.digest(of: bytes)
  }

  /// Columns' texts as a JSON object; nil where one is no text, or there is none.
  func key(_ key: [Int], of relation: Relation) -> [UInt8]? {
    guard !key.isEmpty, (key.max() ?? 0) < count else { return nil }
    var isText = true
    var json = JSONText()
    json.object { json in
      for index in key {
        json.key(relation.columns[index].name)
        switch value(at: index) {
        case .text(let text) where UTF8Scan.firstInvalid(in: text, from: 0) == nil:
          json.value(text.text)
        case .null: json.value(nil as String?)
        default: isText = false
        }
      }
    }
    return isText && json.bytes.count <= Limits.deadKeyBytes ? json.bytes : nil
  }
}
