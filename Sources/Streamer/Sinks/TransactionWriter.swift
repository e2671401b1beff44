import KafkaBridge

/// What ``TransactionalKafkaSink`` asks of its producer, so that the sink runs in a simulation too.
protocol TransactionWriter: AnyObject, Sendable {
  // On the I/O worker.

  /// Connects and makes sure of the topics that are named.
  func open(topics names: [String]) throws(StreamerError)
  /// The number of one topic, which is made as described where it does not exist.
  func make(_ topic: NewTopic) throws(StreamerError) -> TopicID
  /// The number of each topic, or what stands in its way.
  func prepare(topics names: [String]) -> [Result<TopicID, StreamerError>]
  /// Shuts out whoever wrote under the same name; what it left open is aborted.
  func claim() throws(StreamerError)
  /// Commits the transaction; says what went wrong, after which its outcome may be either.
  func commit() -> StreamerError?
  /// Waits until the mark of a commit is where it has written; says what went wrong, after which nobody
  /// may be told of that commit.
  func awaitMark(at place: WrittenPartition) -> StreamerError?
  /// Tells of topics whose number of partitions has changed.
  func lookAtPartitions(usingNew: Bool) -> StreamerError?
  /// Ends the producer within `timeout`.
  func close(within timeout: Duration)

  // On the pipeline's thread.

  /// Readable when ``poll(_:)`` has something to say.
  var eventDescriptor: CInt? { get }
  /// What keeps records from being delivered, though librdkafka goes on trying.
  var trouble: StreamerError? { get }
  /// How long the topics are not looked at.
  var pauseOfLooks: Duration { get }
  /// The largest record, key and value together in bytes.
  var maximumRecordBytes: Int { get }
  /// What is known of a topic that was prepared.
  func description(of number: TopicID) -> SinkTopic
  /// How many records wait in librdkafka.
  var queueLength: Int { get }
  /// Whether another batch would be on its way at once.
  var takesMore: Bool { get }
  /// How many records have no report yet.
  var outstanding: Int { get }
  /// How long the last commit took.
  var lastCommit: Duration { get }
  /// What the open transaction has written.
  var writtenPartitions: [WrittenPartition] { get }
  /// Begins a transaction.
  func begin() throws(StreamerError)
  /// Takes all records of a batch.
  func send(_ batch: borrowing RecordBatch)
  /// Sends one record; without a value the topic forgets what its key had there.
  func send(key: [UInt8], value: [UInt8]?, to number: TopicID, partition: Int32, ticket: UInt64)
  /// Reports what was delivered since the last call; throws when a record never will be.
  func poll(_ report: (DeliveryReceipt) -> Void) throws(StreamerError)
  /// A commit that is under way ends soon.
  func abandonCommit()
  /// Whether that was said.
  var isAbandoned: Bool { get }
}

extension KafkaWriter: TransactionWriter {}

/// Where the positions of a ``TransactionalKafkaSink`` are found again.
protocol PositionKeeper: Sendable {
  /// The topic's name.
  var name: String { get }
  /// The key of the position's records.
  var key: [UInt8] { get }
  /// How the topic is made where it does not exist.
  func new(replication: Int) -> NewTopic
  /// The position that was committed last; nil when there is none.
  func last() throws(StreamerError) -> PositionRecord?
  /// Where a transaction of ours is neither committed nor aborted: partitions of data, and then the
  /// topic's own; nothing where there is none.
  func forgotten() throws(StreamerError) -> [[TopicPartition]]
}

extension PositionTopic: PositionKeeper {}
