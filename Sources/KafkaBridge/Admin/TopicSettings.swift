import CRdKafka
import Synchronization

// What a topic's configuration says, which the cluster's metadata does not have.
extension ClientHandle {
  private static let topicsPerQuestion = 500

  /// How large a batch each topic takes (`max.message.bytes`); a topic is missing where the broker
  /// does not say, for want of the right or of the request.
  func batchLimits(of topics: [String], timeout: Duration) -> [String: Int] {
    settings(of: topics, timeout: timeout).compactMapValues { settings in
      settings["max.message.bytes"].flatMap { Int($0) }
    }
  }

  /// The settings of each topic by name, the broker's own where the topic has none.
  func settings(of topics: [String], timeout: Duration) -> [String: [String: String]] {
    // librdkafka asks the controller and would wait for one that does not exist (the mock cluster's).
    let controller = unsafe rd_kafka_controllerid(client, 0)
    guard brokers.withLock({ $0[controller] != nil }) else { return [:] }
    let deadline = Deadline(timeout)
    var found: [String: [String: String]] = [:]
    var rest = topics[...]
    while !rest.isEmpty {
      let part = rest.prefix(ClientHandle.topicsPerQuestion)
      guard ask(part, deadline, &found) else { break }
      rest = rest.dropFirst(part.count)
    }
    return found
  }

  // One request; returns whether there was an answer.
  private func ask(
    _ topics: ArraySlice<String>, _ deadline: Deadline, _ found: inout [String: [String: String]]
  ) -> Bool {
    guard let queue = unsafe rd_kafka_queue_new(client) else { return false }
    let options = unsafe rd_kafka_AdminOptions_new(client, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS)
    var resources: [OpaquePointer?] = unsafe topics.map {
      unsafe rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, $0)
    }
    // SAFETY: all are destroyed on every path, after their last use.
    defer {
      unsafe rd_kafka_ConfigResource_destroy_array(&resources, resources.count)
      unsafe rd_kafka_AdminOptions_destroy(options)
      unsafe rd_kafka_queue_destroy(queue)
    }
    let milliseconds = max(deadline.milliseconds(atMost: 3_600_000), 1)
    unsafe rd_kafka_AdminOptions_set_request_timeout(options, milliseconds, nil, 0)
    unsafe rd_kafka_DescribeConfigs(client, &resources, resources.count, options, queue)
    guard let event = unsafe rd_kafka_queue_poll(queue, milliseconds) else { return false }
    defer { unsafe rd_kafka_event_destroy(event) }
    guard unsafe rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR_NO_ERROR,
      let result = unsafe rd_kafka_event_DescribeConfigs_result(event)
    else { return false }
    var count = 0
    guard let list = unsafe rd_kafka_DescribeConfigs_result_resources(result, &count) else {
      return true
    }
    for index in 0..<count {
      guard let resource = unsafe list[index],
        unsafe rd_kafka_ConfigResource_error(resource) == RD_KAFKA_RESP_ERR_NO_ERROR,
        let name = unsafe rd_kafka_ConfigResource_name(resource)
      else { continue }
      unsafe found[String(cString: name)] = ClientHandle.entries(of: resource)
    }
    return true
  }

  private static func entries(of resource: OpaquePointer) -> [String: String] {
    var count = 0
    var entries: [String: String] = [:]
    // SAFETY: the entries and their texts belong to the caller's event.
    guard let list = unsafe rd_kafka_ConfigResource_configs(resource, &count) else {
      return entries
    }
    for index in 0..<count {
      guard let entry = unsafe list[index], let name = unsafe rd_kafka_ConfigEntry_name(entry),
        let value = unsafe rd_kafka_ConfigEntry_value(entry)
      else { continue }
      unsafe entries[String(cString: name)] = unsafe String(cString: value)
    }
    return entries
  }
}
