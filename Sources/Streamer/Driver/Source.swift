/// Where a driver's changes come from: what runs on the I/O worker to connect, and what runs on the
/// driver's thread while it is connected.
///
/// Whatever may block is a job: a closure that captures only what may cross threads. Of each kind of
/// job a source has at most one under way. Everything else is called on the driver's thread.
/// A source that is not connected has nothing to read, and its calls do nothing.
protocol Source: AnyObject, SendableMetatype {
  /// What says how far a lane has come.
  associatedtype Position: TrackedPosition
  /// What an attempt has connected.
  associatedtype Established: Sendable
  /// What a job of the source's own brings back.
  associatedtype Answer: Sendable

  /// The sinks' ways, in the configuration's order.
  var lanes: LaneSet<Position> { get set }

  /// What its driver is to do; its sinks' setups are those that count now.
  var plan: DriverPlan { get }
  /// What becomes of tables by the sinks' setups.
  var policy: TablePolicy { get }
  /// The topics that the tables which are known would have by other setups.
  func tables(by setups: [LaneSetup]) -> [(name: TablePolicy.Name, topics: [String?])]
  /// Whether no transaction is open, so that the next event is the first of one.
  var isBetweenTransactions: Bool { get }
  /// The lanes go by other setups from here on, between two transactions, and tables are judged by
  /// `policy`; `messageTopics` are the lanes' topics of logical messages.
  func adopt(_ setups: [LaneSetup], _ policy: TablePolicy, messageTopics: [TopicID?])

  /// A sink that takes the place of one that failed, not open yet.
  func makeSink(_ lane: Int) throws(StreamerError) -> any Sink

  /// The job that connects; the sinks are open when it runs.
  func attempt(_ sinks: SinkList) -> @Sendable () -> Result<Established, StreamerError>
  /// An attempt has succeeded: reading begins. The lanes are open.
  func connect(
    _ established: Established, _ poller: inout Poller, now: ContinuousClock.Instant
  ) throws(StreamerError)
  /// Nobody wants what an attempt has connected; a job when letting go of it may block.
  func discard(_ established: Established) -> (@Sendable () -> Void)?
  /// Everything that was not confirmed is to be read again by the next connection; a job when
  /// letting go of this one may block.
  func disconnect(
    after error: StreamerError?, _ poller: inout Poller
  ) -> (@Sendable () -> Void)?

  /// Somebody wants something of the copies of existing rows.
  func take(_ order: CopyOrder)

  /// A stop has begun: an attempt that is under way need not go on, and makes nothing any more.
  func stopping()

  /// Takes what came, reads as far as `permit` and the budget let it, and says what is due.
  func turn(
    _ permit: ReadPermit, _ poller: inout Poller, now: ContinuousClock.Instant
  ) throws(StreamerError)
  /// When the next turn is due by time, or at once when there is more to do.
  func deadline(_ permit: ReadPermit, now: ContinuousClock.Instant) -> ContinuousClock.Instant?
  /// The jobs that are due; `isEnding` says that nothing may wait for its interval.
  func takeJobs(isEnding: Bool, now: ContinuousClock.Instant) -> [@Sendable () -> Answer]
  /// A job of the source's own has ended.
  func take(
    _ answer: Answer, _ poller: inout Poller, now: ContinuousClock.Instant
  ) throws(StreamerError)

  /// How much longer its last job may take: a slot is dropped by it, with what was not delivered.
  var dropTime: Duration? { get }
  /// What is still under way.
  var rest: PipelineMachine.Rest { get }
  /// Whether everything has been read that will ever come.
  var isExhausted: Bool { get }
  /// Something was delivered and saved; the driver clears it.
  var hasProgressed: Bool { get set }
  /// Takes the numbers over to status and metrics.
  func observe(now: ContinuousClock.Instant)
  /// The last job: ends the connection in an orderly way, within that time.
  func goodbye(within limit: Duration, _ poller: inout Poller) -> @Sendable () -> Void
}

extension Source {
  func stopping() {}

  var dropTime: Duration? { nil }

  func take(_ order: CopyOrder) {
    order.answer(
      .failure(
        StreamerError(
          what: "source \(plan.name)", why: "only PostgreSQL sources have existing rows",
          exit: .usage)))
  }
}

/// Sinks on their way to the I/O worker.
// SAFETY: the worker calls only what a sink says runs there: `open`, `prepare`, `close`.
struct SinkList: @unchecked Sendable {
  let sinks: [any Sink]

  init(_ sinks: [any Sink]) { self.sinks = sinks }

  /// The number of each sink's topic for each of several tables: `topics` holds one list for each
  /// table, with a topic for each sink, nil where the sink leaves the table out.
  ///
  /// Each sink is asked once for all of its topics.
  func prepare(_ topics: [[String?]]) throws(StreamerError) -> [[TopicID?]] {
    var numbers: [[TopicID?]] = []
    for table in answers(topics) {
      var row: [TopicID?] = []
      for answer in table { row.append(try answer?.get()) }
      numbers.append(row)
    }
    return numbers
  }

  /// What each sink says of its topic for each of several tables, as ``prepare(_:)`` takes them.
  func answers(_ topics: [[String?]]) -> [[Result<TopicID, StreamerError>?]] {
    var numbers = topics.map { $0.map { _ in Result<TopicID, StreamerError>?.none } }
    for (index, sink) in sinks.enumerated() {
      let wanted = topics.indices.filter { topics[$0][index] != nil }
      guard !wanted.isEmpty else { continue }
      let found = sink.prepare(topics: wanted.compactMap { topics[$0][index] })
      for (table, number) in zip(wanted, found) { numbers[table][index] = number }
    }
    return numbers
  }

  /// Lets those that keep their position themselves, and have not been asked yet, say where they
  /// stand; nil for every other one.
  func claim() throws(StreamerError) -> [SinkClaim?] {
    var claims: [SinkClaim?] = []
    for sink in sinks {
      if let keeper = sink as? any TransactionalSink, !keeper.isClaimed {
        claims.append(SinkClaim(kept: try keeper.claim()))
      } else {
        claims.append(nil)
      }
    }
    return claims
  }

  /// Closes all of them within that time.
  func close(within limit: Duration) {
    let deadline = ContinuousClock.now + limit
    for sink in sinks { sink.close(within: max(deadline - .now, .zero)) }
  }
}
