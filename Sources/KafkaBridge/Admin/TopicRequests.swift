import CRdKafka
import Synchronization

// The requests to a cluster's controller, which any client may send.
extension ClientHandle {
  // A controller refuses requests that would write more than ten thousand records.
  private static let topicsPerRequest = 500
  private static let partitionsPerRequest = 5000

  /// Creates topics; see ``Admin/createTopics(_:timeout:)``.
  func createTopics(_ topics: [NewTopic], timeout: Duration) -> [Result<Bool, KafkaError>] {
    let deadline = Deadline(timeout)
    var results: [Result<Bool, KafkaError>] = []
    var rest = topics[...]
    while !rest.isEmpty {
      let most = max(rest.map(\.partitions).max() ?? 1, 1)
      let count = min(
        ClientHandle.topicsPerRequest, max(ClientHandle.partitionsPerRequest / most, 1))
      results += create(rest.prefix(count), deadline: deadline)
      rest = rest.dropFirst(count)
    }
    // Those that exist may have been made by somebody else a moment ago.
    let there = topics.indices.filter { (try? results[$0].get()) != nil }
    guard !there.isEmpty else { return results }
    let answers = describe(
      topics: there.map { topics[$0].name }, TopicQuery(createdUntil: deadline))
    for (index, answer) in zip(there, answers) {
      if case .failure(let error) = answer { results[index] = .failure(error) }
    }
    return results
  }

  /// Asks whether topics could be made like this one, and makes none; throws what the cluster says
  /// against it.
  func validate(_ topic: NewTopic, timeout: Duration) throws(KafkaError) {
    let deadline = Deadline(timeout)
    // Nobody decides on topics there (the mock cluster).
    let controller = unsafe rd_kafka_controllerid(client, 0)
    guard brokers.withLock({ $0.isEmpty || $0[controller] != nil }) else { return }
    _ = try create([topic][...], deadline: deadline, onlyValidates: true)[0].get()
  }

  /// Deletes a topic with its records; one that does not exist is an error.
  func deleteTopic(_ name: String, timeout: Duration) throws(KafkaError) {
    let operation = "delete topic \(name)"
    // SAFETY: the request is destroyed when the call ends.
    guard let topic = unsafe rd_kafka_DeleteTopic_new(name) else { return }
    defer { unsafe rd_kafka_DeleteTopic_destroy(topic) }
    let answers = try unsafe request(operation, deadline: Deadline(timeout)) { options, queue in
      var topics: [OpaquePointer?] = unsafe [topic]
      unsafe rd_kafka_DeleteTopics(client, &topics, 1, options, queue)
    }
    guard let answer = answers[name] else { return }
    if answer.code != RD_KAFKA_RESP_ERR_NO_ERROR {
      throw KafkaError(answer.code, text: answer.text, operation: operation, topic: name)
    }
  }

  /// What the controller says of one topic.
  private typealias Answer = (code: rd_kafka_resp_err_t, text: String?)

  // One request. Whether a topic is new; one that exists is not.
  private func create(
    _ topics: ArraySlice<NewTopic>, deadline: Deadline, onlyValidates: Bool = false
  ) -> [Result<Bool, KafkaError>] {
    var refused: [String: KafkaError] = [:]
    var requests: [OpaquePointer?] = unsafe []
    // SAFETY: the requests are destroyed when the call ends; their strings are copied.
    defer { unsafe rd_kafka_NewTopic_destroy_array(&requests, requests.count) }
    for topic in topics {
      do throws(KafkaError) {
        unsafe requests.append(try ClientHandle.request(for: topic))
      } catch { refused[topic.name] = error }
    }
    guard !(unsafe requests.isEmpty) else {
      return topics.map { .failure(refused[$0.name] ?? ClientHandle.unanswered($0.name)) }
    }
    do throws(KafkaError) {
      let operation =
        topics.count == 1 ? "create topic \(topics.first?.name ?? "")" : "create topics"
      let answers = try unsafe request(operation, deadline: deadline) { options, queue in
        if onlyValidates {
          unsafe rd_kafka_AdminOptions_set_validate_only(options, 1, nil, 0)
        }
        unsafe rd_kafka_CreateTopics(
          client, &requests, requests.count, options, queue)
      }
      return topics.map { topic in
        if let error = refused[topic.name] { return .failure(error) }
        guard let answer = answers[topic.name] else {
          return .failure(ClientHandle.unanswered(topic.name))
        }
        switch answer.code {
        case RD_KAFKA_RESP_ERR_NO_ERROR: return .success(true)
        case RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS: return .success(false)
        default:
          return .failure(
            KafkaError(
              answer.code, text: answer.text, operation: "create topic \(topic.name)",
              topic: topic.name))
        }
      }
    } catch {
      return topics.map { .failure(refused[$0.name] ?? error) }
    }
  }

  private static func unanswered(_ name: String) -> KafkaError {
    KafkaError(
      RD_KAFKA_RESP_ERR__BAD_MSG, text: "the controller's answer does not name the topic",
      operation: "create topic \(name)", topic: name)
  }

  /// Makes librdkafka's request for a topic, which then belongs to the caller.
  private static func request(for new: NewTopic) throws(KafkaError) -> OpaquePointer {
    let operation = "create topic \(new.name)"
    var text = [CChar](repeating: 0, count: 512)
    guard
      let topic = unsafe rd_kafka_NewTopic_new(
        new.name, CInt(clamping: new.partitions), CInt(clamping: new.replicationFactor ?? -1),
        &text, text.count)
    else {
      throw KafkaError(
        RD_KAFKA_RESP_ERR__INVALID_ARG, text: String(zeroTerminated: text), operation: operation,
        topic: new.name)
    }
    for (name, value) in new.config.sorted(by: { $0.key < $1.key }) {
      let code = unsafe rd_kafka_NewTopic_set_config(topic, name, value)
      guard code == RD_KAFKA_RESP_ERR_NO_ERROR else {
        unsafe rd_kafka_NewTopic_destroy(topic)
        throw KafkaError(code, operation: operation, topic: new.name)
      }
    }
    return unsafe topic
  }

  // Sends one request and waits for its answer, which names each topic.
  private func request(
    _ operation: String, deadline: Deadline,
    _ send: (_ options: OpaquePointer?, _ queue: OpaquePointer) -> Void
  ) throws(KafkaError) -> [String: Answer] {
    guard let queue = unsafe rd_kafka_queue_new(client) else {
      throw KafkaError(rd_kafka_last_error(), operation: operation)
    }
    let options = unsafe rd_kafka_AdminOptions_new(client, RD_KAFKA_ADMIN_OP_ANY)
    // SAFETY: queue, options and event are destroyed on every path, after their last use.
    defer {
      unsafe rd_kafka_AdminOptions_destroy(options)
      unsafe rd_kafka_queue_destroy(queue)
    }
    let milliseconds = max(deadline.milliseconds(atMost: 3_600_000), 1)
    unsafe rd_kafka_AdminOptions_set_request_timeout(options, milliseconds, nil, 0)
    unsafe rd_kafka_AdminOptions_set_operation_timeout(options, milliseconds, nil, 0)
    unsafe send(options, queue)
    guard let event = unsafe rd_kafka_queue_poll(queue, milliseconds) else {
      throw KafkaError(RD_KAFKA_RESP_ERR__TIMED_OUT, operation: operation).explained(for: self)
    }
    defer { unsafe rd_kafka_event_destroy(event) }
    guard unsafe rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR_NO_ERROR else {
      throw unsafe KafkaError(event: event, operation: operation).explained(for: self)
    }
    return unsafe ClientHandle.answers(of: event)
  }

  private static func answers(of event: OpaquePointer) -> [String: Answer] {
    var count = 0
    // SAFETY: the answers and their texts belong to the event.
    let list =
      if let created = unsafe rd_kafka_event_CreateTopics_result(event) {
        unsafe rd_kafka_CreateTopics_result_topics(created, &count)
      } else {
        unsafe rd_kafka_DeleteTopics_result_topics(
          rd_kafka_event_DeleteTopics_result(event), &count)
      }
    var answers: [String: Answer] = [:]
    guard let list = unsafe list else { return answers }
    for index in 0..<count {
      guard let answer = unsafe list[index], let name = unsafe rd_kafka_topic_result_name(answer)
      else { continue }
      let text = unsafe rd_kafka_topic_result_error_string(answer)
        .map { unsafe String(cString: $0) }
      answers[unsafe String(cString: name)] = unsafe (rd_kafka_topic_result_error(answer), text)
    }
    return answers
  }
}
