import KafkaBridge
import Synchronization
import Testing

@testable import Streamer

/// A transaction that the cluster says is over, and has not ended.
@Suite struct ForgottenTransactionTests {
  private struct Positions: PositionKeeper {
    let places: [[TopicPartition]]
    let error: StreamerError
    var name: String { "positions" }
    var key: [UInt8] { [1] }
    func new(replication: Int) -> NewTopic { NewTopic(name) }
    func last() throws(StreamerError) -> PositionRecord? { throw error }
    func forgotten() -> [[TopicPartition]] { places }
  }

  private static let places = [
    [TopicPartition(topic: "t", partition: 3)], [TopicPartition(topic: "positions", partition: 0)],
  ]

  private static func undecided(_ cause: StreamerError.Cause = .undecided) -> StreamerError {
    StreamerError(what: "sink k", why: "undecided", retryable: true, cause: cause)
  }

  /// What a claim has aborted, and why it has failed.
  private func claim(_ positions: Positions) -> (aborted: [[TopicPartition]], why: String?) {
    let aborted = Mutex<[[TopicPartition]]>([])
    let sink = TransactionalKafkaSink(
      name: "k", writer: SimulatedWriter(SimulatedCluster(), tellsDuration: true),
      positions: positions, topics: .init(), rules: .init(), rivalry: Rivalry(),
      abortForgotten: { places in aborted.withLock { $0 += places } })
    var why: String?
    do throws(StreamerError) { _ = try sink.claim() } catch {
      #expect(error.isRetryable)
      why = error.why
    }
    return (aborted.withLock { $0 }, why)
  }

  @Test func `It is aborted, and a fresh producer begins behind the last position`() {
    let outcome = claim(Positions(places: Self.places, error: Self.undecided()))
    #expect(outcome.aborted == Self.places)
    #expect(outcome.why?.contains("a fresh producer follows") == true)
  }

  @Test func `What is somebody else's, or no matter of a transaction, is left alone`() {
    let other = claim(Positions(places: [], error: Self.undecided()))
    #expect(other.aborted == [] && other.why == "undecided")
    let another = claim(Positions(places: Self.places, error: Self.undecided(.other)))
    #expect(another.aborted == [] && another.why == "undecided")
  }
}
