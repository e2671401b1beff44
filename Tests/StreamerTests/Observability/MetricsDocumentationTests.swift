import PGWire
import Testing

@testable import Streamer

/// The table of metrics in docs/OPERATING.md and what a running service exposes are the same.
@Suite struct MetricsDocumentationTests {
  private struct Metric: Hashable, CustomStringConvertible {
    let name: String
    let type: String
    let labels: Set<String>

    var description: String { "\(type) \(name) {\(labels.sorted().joined(separator: ", "))}" }
  }

  private static func documented() throws -> [Metric] {
    let parts = #filePath.split(separator: "/").dropLast(4).map(String.init)
    let path = "/" + (parts + ["docs/OPERATING.md"]).joined(separator: "/")
    let text = String(decoding: try FileReading.read(path, limit: 1 << 20), as: UTF8.self)
    let section = try #require(text.split(separator: "\n## ").first { $0.hasPrefix("Metrics\n") })
    return section.split(separator: "\n").filter { $0.hasPrefix("| `") }.map { line in
      let cells = line.split(separator: "|", omittingEmptySubsequences: false).dropFirst()
        .map { $0.filter { $0 != "`" && $0 != " " } }
      return Metric(
        name: cells[0], type: cells[1], labels: Set(cells[2].split(separator: ",").map(String.init))
      )
    }
  }

  /// What a registry exposes that has met every kind of source, sink and table.
  private static func exposed() throws -> Set<Metric> {
    let metrics = Metrics()
    let pipelines = FakePipelines()
    for (name, type) in [("db", "postgres"), ("k", "kafka"), ("r", "recording")] {
      let observer = PipelineObserver(
        source: SourceStatus(name: name, type: type), sinks: pipelines.sinks, metrics: metrics)
      _ = observer.table(schema: "public", name: "orders")
      _ = observer.table(schema: "public", name: "secret", hasTopic: [false])
      var error = StreamerError(what: "sink")
      error.kafkaCode = "NOT_ENOUGH_REPLICAS"
      observer.failed(sink: 0, error)
      var sight = WALGuard.Sight()
      sight.secondsLeft = 10
      let slot = try #require(
        ReplicationSlot(row: ["s"] + Array(repeating: nil, count: 14) + ["f"]))
      if type == "postgres" { observer.slot(slot, sight) }
      observer.noteGap(
        Gap(source: name, kind: .slotMoved, cause: "it was moved", action: .stop), [])
    }
    let process = ProcessMetrics(metrics, version: "1")
    process.update()
    StateMetrics(metrics, pipelines).update(pipelines, isReady: true)
    let parsed = try PrometheusParser(metrics.text())
    return Set(
      parsed.types.map { name, type in
        let first = parsed.samples.first { sample in
          sample.name == name || (type == "histogram" && sample.name == name + "_sum")
        }
        return Metric(name: name, type: type, labels: Set(first?.labels.keys.map { $0 } ?? []))
      })
  }

  @Test("U11 every metric is documented with its type and labels, and no other is")
  func table() throws {
    let documented = try Self.documented()
    let exposed = try Self.exposed()
    #expect(exposed.subtracting(documented).isEmpty)
    #expect(Set(documented).subtracting(exposed).isEmpty)
    #expect(documented.count == Set(documented.map(\.name)).count, "one is documented twice")
  }

  @Test("U11 the states of sources and sinks are metrics, 1 for the one that holds")
  func states() throws {
    let (metrics, pipelines) = (Metrics(), FakePipelines())
    let states = StateMetrics(metrics, pipelines)
    pipelines.enterStreaming()
    states.update(pipelines, isReady: true)
    pipelines.sources[0].enter(.retrying, error: "x")
    pipelines.lane.enter(.failed, error: "x")
    states.update(pipelines, isReady: false)
    let parsed = try PrometheusParser(metrics.text())
    for state in PipelineState.allCases {
      let source = ["sourceName": "db", "state": state.rawValue]
      let sink = ["sinkName": "out", "state": state.rawValue]
      #expect(try parsed.value("psql_streamer_state", source) == (state == .retrying ? 1 : 0))
      #expect(try parsed.value("psql_streamer_sink_state", sink) == (state == .failed ? 1 : 0))
    }
    #expect(try parsed.value("psql_streamer_ready") == 0)
    #expect(try parsed.value("psql_streamer_up", ["sourceName": "db"]) == 0)
  }
}
