import PGWire

/// What `/gaps` answers: every place behind which changes may be missing, the oldest first.
///
/// `[{"source","from","to","cause","action","at"}]`; docs/OPERATING.md says what they mean.
enum GapsDocument {
  /// The document's UTF-8.
  static func json(_ sources: [SourceStatus]) -> [UInt8] {
    var json = JSONText()
    json.array { json in
      for gap in sources.flatMap(\.gaps).sorted(by: { $0.at < $1.at }) { write(gap, to: &json) }
    }
    return json.bytes
  }

  /// One gap by itself, as the document has it.
  static func json(_ gap: Gap) -> [UInt8] {
    var json = JSONText()
    write(gap, to: &json)
    return json.bytes
  }

  private static func write(_ gap: Gap, to json: inout JSONText) {
    json.object { json in
      json.key("source")
      json.value(gap.source)
      json.key("from")
      json.value(gap.from?.description)
      json.key("to")
      json.value(gap.to?.description)
      json.key("cause")
      json.value(gap.cause)
      json.key("action")
      json.value(gap.action.rawValue)
      json.key("at")
      json.value(gap.at.description)
    }
  }
}
