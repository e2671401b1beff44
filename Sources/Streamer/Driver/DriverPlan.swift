import PGWire

/// What a driver is to do, taken from the configuration: what is the same for every kind of source.
struct DriverPlan {
  /// The source's name in the configuration.
  let name: String
  /// The sinks that list the source, in the configuration's order.
  let sinks: [SinkPlan]
  /// Bytes that may be read and not yet delivered, over all sinks.
  let inFlight: Int
  /// How open transactions are kept that come in chunks.
  let spool: Spool.Settings
  /// When it tries again, and how long it may take to end.
  var rules: PipelineMachine.Rules
  /// How long the questions of an attempt may take until one has come through.
  var firstAttempt = Limits.question

  /// Makes the sinks, and the pipeline that leads to them.
  func pipeline(
    maxRowSize: Int = Limits.rowBytes, invalidUTF8: InvalidUTF8 = .replace,
    observer: PipelineObserver, log: Log
  ) throws(StreamerError) -> Pipeline {
    let lanes = try LaneSet<LSN>(count: sinks.count) { (index) throws(StreamerError) in
      Lane(name: sinks[index].name, sink: try sinks[index].make(log), position: .zero)
    }
    return Pipeline(
      lanes: lanes, setups: sinks.map(\.setup),
      settings: Pipeline.Settings(
        source: name, inFlightLimit: inFlight, maxRowSize: maxRowSize,
        invalidUTF8: invalidUTF8, spool: spool),
      observer: observer)
  }
}

/// One sink of a source.
struct SinkPlan {
  /// Its name in the configuration.
  let name: String
  /// How its topics are chosen.
  let routing: TopicRouting
  /// The topic of logical messages; nil excludes them.
  let messageTopic: String?
  /// Whether its records carry headers.
  let headers: Bool
  /// What the trouble of one table with its topic does; nil depends on when the table appeared.
  var onTableError: TableErrorAction?
  /// Whether the configuration routes each table to a topic of its own choice.
  var routesTables = false
  /// How its events write values.
  let values: ValueOptions
  /// How its lane's events are routed and written.
  var setup: LaneSetup { LaneSetup(routing: routing, values: values, headers: headers) }
  /// Makes a sink that is not open yet: one at the start, and a fresh one after each failure.
  let make: (Log) throws(StreamerError) -> any Sink
}
