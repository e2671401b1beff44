import PGWire

/// What `/status` answers: each source and sink with its state.
///
/// `{"ok","version","sources":[{"name","type","state","since","error","slot","receivedLSN",
/// "confirmedLSN","lagBytes","walHeldBytes","spoolBytes","lagSeconds","walStatus","safeWALBytes",
/// "walGrowthBytesPerSecond","walSecondsLeft","heartbeatSeconds","visibilityWaitSeconds","cannotSave"}],"sinks":[{"name","type","state","since","error","inFlightBytes",
/// "deadLetters","quarantine":[{"source","topic","table","place","reason","since","records","bytes",
/// "isReleasing"}],"excludedTables":[{"table","reason"}]}]}`; docs/OPERATING.md says what they mean.
struct StatusDocument: Sendable {
  /// Whether nothing is retrying, stopped or failed.
  let isOK: Bool
  /// The document's UTF-8.
  let json: [UInt8]

  /// Takes down the states once, so that `ok` and the states always agree.
  init(sources: [SourceStatus], sinks: [SinkStatus], version: String) {
    let sourceStates = sources.map { ($0, $0.state) }
    let sinkStates = sinks.map { ($0, $0.state) }
    let isOK =
      !sourceStates.contains { $0.1.state.isTrouble }
      && !sinkStates.contains { $0.1.state.isTrouble }
    var json = JSONText()
    json.object { json in
      json.key("ok")
      json.value(isOK)
      json.key("version")
      json.value(version)
      json.key("sources")
      json.array { json in
        for (source, state) in sourceStates { Self.write(source, state, to: &json) }
      }
      json.key("sinks")
      json.array { json in
        for (sink, state) in sinkStates { Self.write(sink, state, to: &json) }
      }
    }
    self.isOK = isOK
    self.json = json.bytes
  }

  private static func write(
    _ source: SourceStatus, _ state: StateRecord, to json: inout JSONText
  ) {
    json.object { json in
      write(name: source.name, type: source.type, state, to: &json)
      json.key("slot")
      json.value(source.slot)
      json.key("receivedLSN")
      json.value(lsn(source.receivedLSN.value))
      json.key("confirmedLSN")
      json.value(lsn(source.confirmedLSN.value))
      json.key("lagBytes")
      json.value(source.lagBytes)
      json.key("walHeldBytes")
      json.value(source.walHeldBytes.value)
      json.key("spoolBytes")
      json.value(source.spoolBytes.value)
      json.key("lagSeconds")
      number(source.lagSeconds.map { ($0 * 1000).rounded() / 1000 }.map(\.description), to: &json)
      json.key("walStatus")
      json.value(source.walStatus?.rawValue)
      json.key("safeWALBytes")
      number(source.safeWALBytes.map(\.description), to: &json)
      json.key("walGrowthBytesPerSecond")
      number(source.walGrowth.map { Int64($0).description }, to: &json)
      json.key("walSecondsLeft")
      number(source.walSecondsLeft.map { Int64(min($0, 1e15)).description }, to: &json)
      json.key("heartbeatSeconds")
      number(
        source.heartbeatSeconds.map { ($0 * 1_000_000).rounded() / 1_000_000 }.map(\.description),
        to: &json)
      json.key("visibilityWaitSeconds")
      number(
        source.invisibleSince.map { (.now - $0).components.seconds.description }, to: &json)
      json.key("cannotSave")
      json.value(source.cannotSave)
      json.key("snapshot")
      if let snapshot = source.snapshot { snapshot.write(to: &json) } else { json.plain("null") }
    }
  }

  private static func write(_ sink: SinkStatus, _ state: StateRecord, to json: inout JSONText) {
    json.object { json in
      write(name: sink.name, type: sink.type, state, to: &json)
      json.key("inFlightBytes")
      json.value(sink.inFlightBytes)
      json.key("deadLetters")
      json.value(sink.deadLetters)
      // Only where there are some: most sinks hold nothing back and leave nothing out.
      let held = sink.lanes.flatMap { lane in lane.heldTopics.map { (lane.source, $0) } }
      if !held.isEmpty {
        json.key("quarantine")
        json.array { json in for (source, topic) in held { write(topic, of: source, to: &json) } }
      }
      let left = sink.lanes.flatMap(\.excludedTables)
      guard !left.isEmpty else { return }
      json.key("excludedTables")
      json.array { json in
        for (table, reason) in left {
          json.object { json in
            json.key("table")
            json.value(table)
            json.key("reason")
            json.value(reason.rawValue)
          }
        }
      }
    }
  }

  private static func write(_ held: HeldTopic, of source: String, to json: inout JSONText) {
    json.object { json in
      for (name, text) in [
        ("source", source), ("topic", held.topic), ("table", held.reason.table),
        ("place", held.reason.place), ("reason", held.reason.text), ("since", held.since),
      ] {
        json.key(name)
        json.value(text)
      }
      json.key("records")
      json.value(held.records)
      json.key("bytes")
      json.value(held.bytes)
      json.key("isReleasing")
      json.value(held.isReleasing)
    }
  }

  private static func write(
    name: String, type: String, _ state: StateRecord, to json: inout JSONText
  ) {
    json.key("name")
    json.value(name)
    json.key("type")
    json.value(type)
    json.key("state")
    json.value(state.state.rawValue)
    json.key("since")
    json.value(state.since.description)
    json.key("error")
    json.value(state.error)
  }

  private static func number(_ digits: String?, to json: inout JSONText) {
    json.plain(digits ?? "null")
  }

  // Nothing received or confirmed yet is null: 0/0 is no position.
  private static func lsn(_ value: UInt64) -> String? { value == 0 ? nil : LSN(value).description }
}
