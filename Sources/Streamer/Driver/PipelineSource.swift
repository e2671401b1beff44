/// A source whose changes go through a ``Pipeline``: what such sources have in common.
protocol PipelineSource: Source {
  /// What its driver is to do.
  var plan: DriverPlan { get set }
  /// What becomes of tables by the sinks' setups.
  var policy: TablePolicy { get set }
  /// The way of its changes.
  var pipeline: Pipeline { get set }
  var log: Log { get }
}

extension PipelineSource {
  func makeSink(_ lane: Int) throws(StreamerError) -> any Sink {
    try plan.sinks[lane].makeSink(log)
  }

  func tables(by setups: [LaneSetup]) -> [(name: TablePolicy.Name, topics: [String?])] {
    pipeline.routes(by: setups)
  }

  var isBetweenTransactions: Bool { pipeline.isBetweenTransactions && pipeline.replay == nil }

  func adopt(_ setups: [LaneSetup], _ policy: TablePolicy, messageTopics: [TopicID?]) {
    plan.adopt(setups)
    self.policy = policy
    pipeline.adopt(setups, messageTopics: messageTopics)
  }
}
