import CRdKafka
import Synchronization

/// How long and for what the cluster is asked about topics.
struct TopicQuery {
  /// When the asking ends, whatever the answer.
  let deadline: Deadline
  /// Until when a topic that does not exist is asked for again: a broker learns of a new one later
  /// than the controller that made it.
  var missingUntil: Deadline
  /// Whether a topic counts only when every partition has a leader and the brokers that are asked
  /// have all learned of it.
  var isNew = false
  /// How many topics the client knows besides: one request for several asks for those too.
  var known = 0

  /// Asks until `timeout`, about topics that should be there.
  init(timeout: Duration) {
    deadline = Deadline(timeout)
    missingUntil = Deadline(.zero)
  }

  /// Asks about topics that were made a moment ago.
  init(createdUntil deadline: Deadline) {
    self.deadline = deadline
    missingUntil = deadline
    isNew = true
  }

  /// Whether an answer is no reason to stop asking.
  fileprivate func asksAgain(_ answer: Result<TopicDescription, KafkaError>) -> Bool {
    guard !deadline.isPast else { return false }
    return switch answer {
    case .success(let topic): isNew && topic.leaderlessCount > 0
    case .failure(let error):
      error.isRetriable || (error.category == .missingTopic && !missingUntil.isPast)
    }
  }
}

/// Which brokers have shown that they know new topics.
///
/// Each learns of them by itself, and the client does not say whom it asks: so it is asked until all
/// have answered, or until the ones that do have agreed for some time. A broker that still says
/// "unknown" later would make librdkafka refuse the topic's records.
private struct Spread {
  private static let enough = Duration.seconds(1)

  private var brokers: Set<Int32> = []
  private var agreement: Deadline?

  /// Takes an answer; returns whether no more are needed.
  mutating func isDone(_ answer: MetadataAnswer, agrees: Bool) -> Bool {
    guard agrees else {
      agreement = nil
      brokers.remove(answer.broker)
      return false
    }
    brokers.insert(answer.broker)
    if agreement == nil { agreement = Deadline(Spread.enough) }
    return brokers.count >= answer.brokerCount || (agreement?.isPast ?? false)
  }
}

/// One broker's answer about topics.
private struct MetadataAnswer {
  /// Which broker answered.
  var broker: Int32 = -1
  /// How many there are.
  var brokerCount = 0
  /// What it says of each topic, also of those that were not asked for.
  var topics: [String: Result<TopicDescription, KafkaError>] = [:]
}

/// Handles of librdkafka that make it ask for topics by name.
@safe private struct TopicHandles: ~Copyable {
  private(set) var pointers: [OpaquePointer?] = unsafe []

  init(_ names: [String], of client: OpaquePointer) {
    for name in names { unsafe pointers.append(rd_kafka_topic_new(client, name, nil)) }
  }

  deinit {
    // SAFETY: each handle is ours and used no more.
    for index in unsafe pointers.indices {
      if let pointer = unsafe pointers[index] { unsafe rd_kafka_topic_destroy(pointer) }
    }
  }
}

extension ClientHandle {
  /// Asks the cluster about topics, in one request for all, again while an answer is temporary.
  ///
  /// The answers are in the order of `names`, each of which must be there once.
  func describe(
    topics names: [String], _ query: TopicQuery
  ) -> [Result<TopicDescription, KafkaError>] {
    let handles = unsafe TopicHandles(names, of: client)
    var answers = names.map { name in
      Result<TopicDescription, KafkaError>.failure(
        KafkaError(
          RD_KAFKA_RESP_ERR__INVALID_ARG, operation: "describe topic \(name)", topic: name))
    }
    var open = names.indices.filter { unsafe handles.pointers[$0] != nil }
    var spread = Spread()
    var rest = 20
    while !open.isEmpty {
      var last = MetadataAnswer()
      // The request for several names every topic that the client knows.
      if open.count > 1, open.count * 256 > query.known {
        last = unsafe ask(nil, about: open.map { names[$0] }, query.deadline)
        for index in open { answers[index] = ClientHandle.answer(last, names[index]) }
      } else {
        for index in open {
          let name = names[index]
          last = unsafe ask(handles.pointers[index], about: [name], query.deadline)
          answers[index] = ClientHandle.answer(last, name)
        }
      }
      open = open.filter { query.asksAgain(answers[$0]) }
      if query.isNew, !query.deadline.isPast, !spread.isDone(last, agrees: open.isEmpty),
        open.isEmpty
      {
        open = names.indices.filter { (try? answers[$0].get()) != nil }
      }
      if open.isEmpty { break }
      // A refusal that is temporary comes at once: do not spin.
      pause(milliseconds: rest)
      rest = min(rest * 2, 200)
    }
    return answers
  }

  private static func answer(
    _ answer: MetadataAnswer, _ name: String
  ) -> Result<TopicDescription, KafkaError> {
    answer.topics[name]
      ?? .failure(
        KafkaError(
          RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, operation: "describe topic \(name)",
          topic: name))
  }

  /// Sends one request: about `topic`, or about all that the client knows.
  private func ask(
    _ topic: OpaquePointer?, about names: [String], _ deadline: Deadline
  ) -> MetadataAnswer {
    var answer = MetadataAnswer()
    var metadata: UnsafePointer<rd_kafka_metadata>?
    // SAFETY: the metadata is read before it is destroyed; its arrays have the counts it names.
    let code = unsafe rd_kafka_metadata(client, 0, topic, &metadata, deadline.milliseconds())
    guard let metadata = unsafe metadata, code == RD_KAFKA_RESP_ERR_NO_ERROR else {
      for name in names {
        let error = KafkaError(code, operation: "describe topic \(name)", topic: name)
        answer.topics[name] = .failure(error.explained(for: self))
      }
      return answer
    }
    defer { unsafe rd_kafka_metadata_destroy(metadata) }
    answer.broker = unsafe metadata.pointee.orig_broker_id
    answer.brokerCount = Int(unsafe metadata.pointee.broker_cnt)
    unsafe learn(brokersOf: metadata)
    let count = Int(unsafe metadata.pointee.topic_cnt)
    answer.topics.reserveCapacity(count)
    for index in 0..<count {
      let found = unsafe metadata.pointee.topics[index]
      guard let text = unsafe found.topic else { continue }
      let name = unsafe String(cString: text)
      answer.topics[name] = Result { () throws(KafkaError) in
        unsafe try TopicDescription(found, name: name)
      }
    }
    return answer
  }

  /// Keeps each broker's advertised address.
  func learn(brokersOf metadata: UnsafePointer<rd_kafka_metadata>) {
    var found: [Int32: String] = [:]
    for index in 0..<Int(unsafe metadata.pointee.broker_cnt) {
      // SAFETY: the array has the count that the answer names.
      let broker = unsafe metadata.pointee.brokers[index]
      guard let host = unsafe broker.host else { continue }
      found[unsafe broker.id] = unsafe "\(String(cString: host)):\(broker.port)"
    }
    brokers.withLock { $0 = found }
  }
}
