/// What `/stats` answers: the counters of the old psql-streamer by source and sink.
///
/// `{"sources":{"NAME":{"events",…}},"sinks":{"NAME":{"total",…}}}`
enum StatsDocument {
  /// The document's UTF-8.
  static func json(sources: [SourceStatus], sinks: [SinkStatus]) -> [UInt8] {
    var json = JSONText()
    json.object { json in
      json.key("sources")
      json.object { json in
        for source in sources {
          json.key(source.name)
          write(
            [
              ("events", source.events.value), ("eventErrors", source.eventErrors.value),
              ("replicaErrors", source.replicaErrors.value),
              ("persistErrors", source.persistErrors.value),
              ("walPos", source.receivedLSN.value), ("walPosPersist", source.savedLSN.value),
            ], to: &json)
        }
      }
      json.key("sinks")
      json.object { json in
        for sink in sinks {
          json.key(sink.name)
          write(
            [
              ("total", sink.total), ("noTopic", sink.noTopic),
              ("skipped", sink.skipped), ("errors", sink.errors),
              ("kafkaMessages", sink.kafkaMessages),
            ], to: &json)
        }
      }
    }
    return json.bytes
  }

  private static func write(_ counters: [(String, UInt64)], to json: inout JSONText) {
    json.object { json in
      for (name, count) in counters {
        json.key(name)
        json.value(count)
      }
    }
  }
}
