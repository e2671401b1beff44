import KafkaBridge
import Testing

@testable import KafkaBridge

/// How many requests are taken to be under way, and what that is for (fault A2).
struct RequestEstimateTests {
  @Test func aHandOverIsAnsweredWhenAllUpToItIsReported() {
    var estimate = RequestEstimate()
    estimate.handOver(records: 10, requests: 4)
    estimate.handOver(records: 1, requests: 1)
    #expect(estimate.count == 5)
    estimate.report(records: 9)
    #expect(estimate.count == 5)
    estimate.report(records: 1)
    #expect(estimate.count == 1)
    estimate.handOver(records: 3, requests: 2)
    #expect(estimate.count == 3 && estimate.hasRoom(within: 4) && !estimate.hasRoom(within: 3))
    estimate.report(records: 4)
    #expect(estimate.count == 0 && estimate.hasRoom(within: 1))
  }

  /// More hand-overs than are told apart: nothing is forgotten, and nothing stays.
  @Test func manyHandOversAreAllAnswered() {
    var estimate = RequestEstimate()
    for _ in 0..<1000 { estimate.handOver(records: 3, requests: 2) }
    #expect(estimate.count == 2000)
    estimate.report(records: 63 * 3)
    #expect(estimate.count == 2000 - 63 * 2)
    estimate.report(records: 937 * 3 - 1)
    #expect(estimate.count > 0)
    estimate.report(records: 1)
    #expect(estimate.count == 0)
  }

  /// A broker that is far away, and records that trickle: who holds back when no more requests fit
  /// does not turn librdkafka's thread without a pause.
  @Test func aDistantBrokerCostsNoTurns() throws {
    let held = try wakeUps(holdingBack: true)
    let pressed = try wakeUps(holdingBack: false)
    // Without holding back it is more than a hundred times as many.
    #expect(held * 5 < pressed, "\(held) wake-ups, \(pressed) when pressed")
  }

  /// How often the broker's thread wakes while three seconds of records go to a broker 50 ms away.
  private func wakeUps(holdingBack: Bool) throws -> Int {
    let cluster = try MockCluster()
    try cluster.createTopic("orders", partitions: 4)
    try cluster.setRoundTrip(1, milliseconds: 50)
    var configuration = KafkaConfiguration.producer(bootstrapServers: cluster.bootstrapServers)
    configuration.set("statistics.interval.ms", "100")
    configuration.set("linger.ms", "0")
    let producer = try Producer(configuration: configuration)
    defer { producer.close(timeout: .seconds(5)) }
    let topic = try producer.topic(named: "orders", timeout: .seconds(10))
    var waiting = 0
    var sent = 0
    for partition in 0..<4 {
      // The first record of each goes alone.
      unsafe producer.enqueue(
        topic: topic, partition: Int32(partition), key: nil, value: nil, opaque: 0)
    }
    _ = producer.flushBatches()
    while producer.outstanding > 0 {
      awaitReadable(producer.eventDescriptor)
      producer.poll { _ in }
    }
    for _ in 0..<2000 {
      waiting += 1
      awaitReadable(producer.eventDescriptor, milliseconds: 1)
      producer.poll { _ in }
      guard !holdingBack || producer.takesMore else { continue }
      for number in 0..<waiting {
        let partition = Int32((sent + number) % 4)
        unsafe producer.enqueue(topic: topic, partition: partition, key: nil, value: nil, opaque: 0)
      }
      sent += waiting
      waiting = 0
      _ = producer.flushBatches()
    }
    let statistics = try #require(producer.lastStatistics)
    let pieces = statistics.split(separator: "\"wakeups\":").dropFirst()
    return pieces.compactMap { Int($0.prefix { $0.isNumber }) }.reduce(0, +)
  }
}
