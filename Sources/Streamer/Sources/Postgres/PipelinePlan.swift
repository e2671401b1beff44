import PGWire

/// What a pipeline is to do, taken from the configuration: one source and the sinks that list it.
struct PipelinePlan {
  /// One sink of the pipeline.
  struct Sink {
    /// Its name in the configuration.
    let name: String
    /// How its topics are chosen.
    let routing: TopicRouting
    /// The topic of logical messages; nil excludes them.
    let messageTopic: String?
    /// Whether its records carry headers.
    let headers: Bool
    /// How its events write values.
    let values: ValueOptions
    /// How its lane's events are routed and written.
    var setup: LaneSetup { LaneSetup(routing: routing, values: values, headers: headers) }
    /// Makes a sink that is not open yet: one at the start, and a fresh one after each failure.
    let make: (Log) throws(StreamerError) -> any Streamer.Sink
  }

  /// The source's name in the configuration.
  let name: String
  /// The source.
  let source: PostgresSourceConfiguration
  /// The sinks in the configuration's order.
  let sinks: [Sink]
  /// How open transactions are kept that come in chunks.
  let spool: Spool.Settings
  /// Bytes that may be read and not yet delivered, over all sinks.
  let inFlight: Int
  /// How long a server or broker may be unreachable at the start; 0 for ever.
  let startTimeout: Duration
  /// How long a stop may wait for deliveries.
  let shutdownTimeout: Duration
  /// Whether it tries again after a failure, as `run` does, or ends with the first one.
  var reconnects = true
}
