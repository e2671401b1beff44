import PGWire

/// Where records go.
///
/// A new kind of sink is one file here and one line in ``PipelineFactory``.
///
/// `open`, `prepare` and the jobs of ``durabilityJob()`` may block: they run on the pipeline's I/O
/// worker. Everything else runs on the pipeline's thread and never blocks. A sink acknowledges a
/// record (in ``poll(_:)``) only when it is durable.
protocol Sink: AnyObject {
  /// Becomes readable when ``poll(_:)`` has something to say; nil when it never does by itself.
  var eventDescriptor: CInt? { get }

  /// Connects and checks what can be checked; throws what stands in the way and its remedy.
  func open() throws(StreamerError)

  /// What keeps the sink from delivering for now, though it goes on trying; nil when nothing does.
  var trouble: StreamerError? { get }

  /// The largest record, key and value together in bytes, that the sink can take.
  var maximumRecordBytes: Int { get }

  /// What is known of a topic that was prepared.
  func topic(_ number: TopicID) -> SinkTopic

  /// How many records wait in the sink's own queue, for the metrics.
  var queueLength: Int { get }

  /// Makes sure that topics can be written to and gives the number of each, in their order, or what
  /// stands in its way; the same name gives the same number.
  ///
  /// Many at once cost hardly more than one: what asks a broker asks for all of them together.
  func prepare(topics: [String]) -> [Result<TopicID, StreamerError>]

  /// Whether another batch would be on its way at once; while it would not, records had better gather.
  ///
  /// When nothing is under way it is.
  var takesMore: Bool { get }

  /// Whether no record may be sent for now, whatever gathers.
  var isClosedToRecords: Bool { get }

  /// When ``poll(_:)`` has something to do by time alone; nil when it has not.
  var deadline: ContinuousClock.Instant? { get }

  /// Takes all records of a batch. It keeps no reference to the batch's bytes.
  func send(_ batch: borrowing RecordBatch)

  /// Reports what has become durable since the last call; throws when a record can never be
  /// delivered, after which only ``close(within:)`` may follow.
  func poll(_ report: (DeliveryReceipt) -> Void) throws(StreamerError)

  /// What must be done on the I/O worker before records taken so far are durable; nil for nothing.
  func durabilityJob() -> (@Sendable () -> StreamerError?)?

  /// Tells how the last ``durabilityJob()`` ended.
  func durabilityJobEnded(_ error: StreamerError?)

  /// Gives up what cannot be written: a job that is under way ends soon, with an error. Called on
  /// the pipeline's thread before the sink is closed, since closing waits behind the job.
  func abandon()

  /// Lets go of everything, in bounded time; blocks, so it runs on the I/O worker.
  func close(within: Duration)
}

extension Sink {
  var eventDescriptor: CInt? { nil }
  var trouble: StreamerError? { nil }
  var maximumRecordBytes: Int { .max }
  func topic(_ number: TopicID) -> SinkTopic {
    SinkTopic(name: "", maximumRecordBytes: maximumRecordBytes)
  }
  var queueLength: Int { 0 }
  var takesMore: Bool { true }
  var isClosedToRecords: Bool { false }
  var deadline: ContinuousClock.Instant? { nil }
  func open() throws(StreamerError) {}
  func prepare(topics: [String]) -> [Result<TopicID, StreamerError>] {
    topics.map { _ in .success(0) }
  }
  /// Makes sure that one topic can be written to, like ``prepare(topics:)``.
  func prepare(topic: String) throws(StreamerError) -> TopicID {
    try prepare(topics: [topic])[0].get()
  }
  func durabilityJob() -> (@Sendable () -> StreamerError?)? { nil }
  func durabilityJobEnded(_ error: StreamerError?) {}
  func abandon() {}
  func close(within: Duration) {}
}

/// A topic of a sink.
struct SinkTopic {
  /// Its name; empty where a sink has none.
  var name: String
  /// The largest record, key and value together in bytes, that it takes however it is compressed.
  var maximumRecordBytes: Int
}

/// Records of one transaction that have become durable.
struct DeliveryReceipt {
  /// The transaction they belong to.
  var ticket: UInt64
  /// How many records.
  var count: Int
  /// Their keys and values, in bytes.
  var bytes: Int
}
