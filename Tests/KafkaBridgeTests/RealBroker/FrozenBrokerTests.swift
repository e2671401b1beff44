import Glibc
import Support
import Testing

@testable import KafkaBridge

extension OnRealKafka {
  /// The same with a broker that has stopped answering.
  @Suite struct FrozenBrokerTests {
    /// Fault S9: closing waited for the broker as long again as the stop had.
    @Test(arguments: [5, 0])
    func closesWithoutWaitingForAFrozenBroker(seconds: Int) throws {
      let broker = try OnRealKafka.broker
      let admin = try Admin(configuration: .admin(bootstrapServers: broker.bootstrap))
      try admin.createTopic("frozen\(seconds)", partitions: 2, timeout: .seconds(10))
      admin.close(timeout: .seconds(5))
      let producer = try Producer(
        configuration: .producer(bootstrapServers: broker.bootstrap))
      var work = Workload(
        topic: try producer.topic(named: "frozen\(seconds)", timeout: .seconds(5)))
      work.produce(100, on: producer)
      work.awaitReports(100, from: producer)
      #expect(work.isExact)
      try broker.freeze()
      defer { #expect(throws: Never.self) { try broker.thaw() } }
      for _ in 0..<10 {
        work.produce(50, on: producer)
        awaitReadable(producer.eventDescriptor)
        work.poll(producer)
      }
      #expect(work.reports.count == 100)
      let start = ContinuousClock.now
      let closing = producer.close(timeout: .seconds(seconds * 12)) { work.add($0) }
      #expect(ContinuousClock.now - start < .seconds(30), "sixty were allowed, none are needed")
      #expect(closing.unreported + work.reports.count == 600)
      if seconds > 0 {
        #expect(closing.isDestroyed)
        #expect(closing.unreported == 0)
      }
    }
  }
}
