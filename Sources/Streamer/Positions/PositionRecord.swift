import KafkaBridge
import PGWire

/// A position as it lies in its topic, written by the transaction whose records lead to it.
///
/// The value is one JSON object, for people and for the next start.
struct PositionRecord: Hashable, Sendable {
  /// What this version writes.
  private static let version = 1

  /// Which source, sink and history it is of, and how far it is.
  var position: Position
  /// What of the transaction behind it is written.
  var cut: ReadPlace.Cut?
  /// How far existing rows are written; nil where none are copied.
  var copied: CopyPlace?
  /// The place before the transaction: where reading begins again if that should turn out torn.
  var from: ReadPlace
  /// What was asked of pgoutput.
  var options: String
  /// What the transaction has written to each partition.
  var written: [WrittenPartition]

  /// The record's key: the last one of a key stays when the topic is compacted.
  static func key(source: String, sink: String) -> [UInt8] {
    var text = JSONText()
    text.object {
      $0.key("source")
      $0.value(source)
      $0.key("sink")
      $0.value(sink)
    }
    return text.bytes
  }

  /// The record's value.
  var value: [UInt8] {
    var text = JSONText()
    text.object { text in
      text.key("version")
      text.value(Self.version)
      for (name, value) in [
        ("source", position.source), ("sink", position.sink),
        ("systemIdentifier", position.systemIdentifier), ("timeline", "\(position.timeline)"),
        ("database", position.database), ("slot", position.slot), ("options", options),
      ] {
        text.key(name)
        text.value(value)
      }
      text.key("publications")
      text.array { text in for name in position.publications { text.value(name) } }
      Self.write(
        ReadPlace(lsn: position.lsn, cut: cut, copied: copied), as: "position", to: &text)
      Self.write(from, as: "from", to: &text)
      text.key("written")
      text.array { text in
        for piece in written {
          text.object { text in
            text.key("topic")
            text.value(piece.partition.topic)
            text.key("partition")
            text.value(piece.partition.partition)
            text.key("count")
            text.value(piece.count)
            text.key("lastOffset")
            text.value(piece.lastOffset)
          }
        }
      }
    }
    return text.bytes
  }

  private static func write(_ place: ReadPlace, as name: String, to text: inout JSONText) {
    text.key(name)
    text.object { text in
      text.key("lsn")
      text.value(place.lsn.description)
      if let copied = place.copied {
        text.key("copied")
        copied.write(to: &text)
      }
      guard let cut = place.cut else { return }
      text.key("commitLSN")
      text.value(cut.commitLSN.description)
      text.key("ordinal")
      text.value(cut.nextOrdinal)
    }
  }
}

extension PositionRecord {
  /// Reads a record's value; nil when it is none, or of a version that is not known.
  init?(_ bytes: [UInt8]) {
    guard let value = JSONValue(bytes), value["version"]?.integer == Self.version,
      let place = Self.place(value["position"]), let from = Self.place(value["from"]),
      let source = value["source"]?.string, let sink = value["sink"]?.string,
      let system = value["systemIdentifier"]?.string,
      let timeline = value["timeline"]?.string.flatMap({ UInt32($0) }),
      let database = value["database"]?.string, let slot = value["slot"]?.string,
      let options = value["options"]?.string
    else { return nil }
    position = Position(
      source: source, sink: sink, systemIdentifier: system, timeline: timeline,
      database: database, slot: slot,
      publications: value["publications"]?.elements.compactMap(\.string) ?? [], lsn: place.lsn)
    cut = place.cut
    copied = place.copied
    self.from = from
    self.options = options
    written = (value["written"]?.elements ?? []).compactMap { piece in
      guard let topic = piece["topic"]?.string,
        let partition = piece["partition"]?.integer.flatMap({ Int32(exactly: $0) }),
        let count = piece["count"]?.integer, let offset = piece["lastOffset"]?.integer
      else { return nil }
      return WrittenPartition(
        TopicPartition(topic: topic, partition: partition), count: count,
        lastOffset: Int64(offset))
    }
  }

  private static func place(_ value: JSONValue?) -> ReadPlace? {
    guard let value, let lsn = value["lsn"]?.string.flatMap({ LSN($0) }) else { return nil }
    let copied = value["copied"].flatMap { CopyPlace($0) }
    guard let commit = value["commitLSN"] else { return ReadPlace(lsn: lsn, copied: copied) }
    guard let commitLSN = commit.string.flatMap({ LSN($0) }),
      let ordinal = value["ordinal"]?.integer.flatMap({ UInt64(exactly: $0) })
    else { return nil }
    return ReadPlace(
      lsn: lsn, cut: .init(commitLSN: commitLSN, nextOrdinal: ordinal), copied: copied)
  }
}
