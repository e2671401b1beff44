import PGWire

/// What a driver is to do, taken from the configuration: what is the same for every kind of source.
struct DriverPlan {
  /// The source's name in the configuration.
  let name: String
  /// The sinks that list the source, in the configuration's order.
  var sinks: [SinkPlan]
  /// Bytes that may be read and not yet delivered, over all sinks.
  let inFlight: Int
  /// How open transactions are kept that come in chunks.
  let spool: Spool.Settings
  /// When it tries again, and how long it may take to end.
  var rules: PipelineMachine.Rules
  /// How long the questions of an attempt may take until one has come through.
  var firstAttempt = Limits.question
  /// The file in which the numbers of schemas are kept; nil where nothing is.
  var schemaCache: String?

  /// The sinks go by other setups from now on, those made later too.
  mutating func adopt(_ setups: [LaneSetup]) {
    for (index, setup) in setups.enumerated() { sinks[index].setup = setup }
  }

  /// Makes the sinks, and the pipeline that leads to them.
  func pipeline(
    maxRowSize: Int = Limits.rowBytes, invalidUTF8: InvalidUTF8 = .replace,
    signalTable: TablePattern? = nil, observer: PipelineObserver, log: Log
  ) throws(StreamerError) -> Pipeline {
    let lanes = try LaneSet<LSN>(count: sinks.count) { (index) throws(StreamerError) in
      Lane(name: sinks[index].name, sink: try sinks[index].makeSink(log), position: .zero)
    }
    return Pipeline(
      lanes: lanes, setups: sinks.map(\.setup),
      settings: Pipeline.Settings(
        source: name, inFlightLimit: inFlight, maxRowSize: maxRowSize,
        invalidUTF8: invalidUTF8, spool: spool, signalTable: signalTable),
      observer: observer)
  }
}

/// One sink of a source.
struct SinkPlan {
  /// Its name in the configuration.
  let name: String
  /// How its lane's events are routed and written.
  var setup: LaneSetup
  /// Where it holds back what cannot be delivered; nil when it does not.
  var quarantine: QuarantineFile?
  /// Where the schemas of its records are counted, which this program itself reads; nil where a registry
  /// gives them their numbers.
  var list: SchemaList?
  /// Makes a sink that is not open yet, with the topics that must be there.
  let make: (_ topics: [String], Log) throws(StreamerError) -> any Sink

  /// Makes a sink that is not open yet: one at the start, and a fresh one after each failure.
  func makeSink(_ log: Log) throws(StreamerError) -> any Sink { try make(setup.namedTopics, log) }
}
