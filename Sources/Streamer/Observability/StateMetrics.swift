/// The states of sources and sinks as metrics: each state has a series that is 1 while it holds.
///
/// They are set when somebody asks, from what `/status` would show then.
struct StateMetrics: Sendable {
  private let ready: Gauge
  private let sources: [[Gauge]]
  private let up: [Gauge]
  private let sinks: [[Gauge]]

  /// Looks up the handles for all that `status` knows.
  init(_ metrics: Metrics, _ status: any StatusSource) {
    ready = metrics.gauge("psql_streamer_ready", "1 while /ready answers 200, else 0.")
    sources = status.sources.map { source in
      PipelineState.allCases.map { state in
        metrics.gauge(
          "psql_streamer_state", "1 for the state that the source is in, else 0.",
          [("sourceName", source.name), ("state", state.rawValue)])
      }
    }
    up = status.sources.map { source in
      metrics.gauge(
        "psql_streamer_up", "1 while changes flow from the source, else 0.",
        [("sourceName", source.name)])
    }
    sinks = status.sinks.map { sink in
      PipelineState.allCases.map { state in
        metrics.gauge(
          "psql_streamer_sink_state", "1 for the state that the sink is in, else 0.",
          [("sinkName", sink.name), ("state", state.rawValue)])
      }
    }
  }

  /// Sets them as things are now.
  func update(_ status: any StatusSource, isReady: Bool) {
    ready.set(isReady ? 1 : 0)
    for ((source, gauges), up) in zip(zip(status.sources, sources), up) {
      let state = source.state.state
      Self.set(gauges, state)
      up.set(state.isUp ? 1 : 0)
    }
    for (sink, gauges) in zip(status.sinks, sinks) { Self.set(gauges, sink.state.state) }
  }

  private static func set(_ gauges: [Gauge], _ state: PipelineState) {
    for (one, gauge) in zip(PipelineState.allCases, gauges) { gauge.set(one == state ? 1 : 0) }
  }
}
