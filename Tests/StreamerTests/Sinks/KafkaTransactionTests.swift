import PGWire
import Testing

@testable import Streamer

/// When a Kafka transaction begins and ends.
@Suite struct KafkaTransactionTests {
  private let start = ContinuousClock.now
  private var rules: KafkaTransaction.Rules {
    KafkaTransaction.Rules(
      interval: .milliseconds(100), bytes: 1000, longest: .seconds(5), idleInterval: .seconds(1))
  }

  private func transaction() -> KafkaTransaction {
    var transaction = KafkaTransaction(rules: rules, now: start)
    transaction.started(at: place(0x100), isWritten: true)
    return transaction
  }

  private func place(
    _ lsn: UInt64, inside commit: UInt64? = nil, _ ordinal: UInt64 = 0
  ) -> ReadPlace {
    ReadPlace(
      lsn: LSN(lsn), cut: commit.map { .init(commitLSN: LSN($0), nextOrdinal: ordinal) })
  }

  private func at(_ milliseconds: Int) -> ContinuousClock.Instant {
    start + .milliseconds(milliseconds)
  }

  private func next(
    _ transaction: inout KafkaTransaction, _ outstanding: Int, _ milliseconds: Int,
    _ expected: KafkaTransaction.Step?, at location: SourceLocation = #_sourceLocation
  ) {
    let step = transaction.next(outstanding: outstanding, now: at(milliseconds))
    #expect(step == expected, sourceLocation: location)
  }

  /// What nobody has written is found by nobody.
  @Test func whereItBeginsIsCommittedAtOnceUnlessItWasFoundThere() {
    var transaction = KafkaTransaction(rules: rules, now: start)
    transaction.started(at: place(0x100), isWritten: false)
    #expect(transaction.deadline == at(0))
    next(&transaction, 0, 0, .begin)
    next(&transaction, 0, 0, .writePosition(place(0x100), from: place(0x100)))
    next(&transaction, 0, 1, .commit)
    _ = transaction.commitEnded(now: at(2))
    #expect(transaction.deadline == nil)
    next(&transaction, 0, 9_000, nil)
    var found = self.transaction()
    #expect(found.deadline == nil)
    next(&found, 0, 9_000, nil)
  }

  @Test func itIsCommittedAfterItsTimeBetweenTwoTransactions() {
    var transaction = transaction()
    let begins = transaction.send(bytes: 10, now: at(0))
    #expect(begins)
    transaction.reached(place(0x200))
    next(&transaction, 0, 99, nil)
    #expect(transaction.deadline == at(100))
    let beginsAgain = transaction.send(bytes: 10, now: at(99))
    #expect(!beginsAgain)
    transaction.reached(place(0x300))
    next(&transaction, 2, 100, nil)
    #expect(!transaction.takesRecords && transaction.isUncommitted)
    next(&transaction, 0, 101, .writePosition(place(0x300), from: place(0x100)))
    next(&transaction, 1, 102, nil)
    next(&transaction, 0, 103, .commit)
    next(&transaction, 0, 104, nil)
    let end = transaction.commitEnded(now: at(110))
    #expect(end == place(0x300))
    #expect(transaction.takesRecords && !transaction.isUncommitted)
    next(&transaction, 0, 9_000, nil)
  }

  /// Inside a source transaction it waits for its end, but not for ever and not for any size.
  @Test func aSourceTransactionIsCutOnlyWhenItIsLargeOrLong() {
    var waiting = transaction()
    _ = waiting.send(bytes: 10, now: at(0))
    waiting.reached(place(0x200, inside: 0x400, 7))
    next(&waiting, 0, 200, nil)
    #expect(waiting.awaitsBoundary && waiting.takesRecords)
    #expect(waiting.deadline == at(5_000))
    waiting.reached(place(0x408))
    #expect(!waiting.takesRecords)

    var long = transaction()
    _ = long.send(bytes: 10, now: at(0))
    long.reached(place(0x200, inside: 0x400, 7))
    next(&long, 0, 5_000, .writePosition(place(0x200, inside: 0x400, 7), from: place(0x100)))

    var large = transaction()
    _ = large.send(bytes: 1000, now: at(0))
    large.reached(place(0x200, inside: 0x400, 9))
    #expect(!large.takesRecords)
  }

  /// Records whose place was not told yet would come a second time after the commit.
  @Test func nothingIsCommittedBeforeItsPlaceIsKnown() {
    var transaction = transaction()
    _ = transaction.send(bytes: 10, now: at(0))
    transaction.reached(place(0x200, inside: 0x400, 7))
    _ = transaction.send(bytes: 2000, now: at(1))
    next(&transaction, 0, 6_000, nil)
    #expect(transaction.takesRecords)
    transaction.reached(place(0x200, inside: 0x400, 70))
    next(
      &transaction, 0, 6_000,
      .writePosition(place(0x200, inside: 0x400, 70), from: place(0x100)))
  }

  @Test func aPositionWithoutRecordsIsCommittedNowAndThen() {
    var transaction = transaction()
    transaction.reached(place(0x900))
    next(&transaction, 0, 999, nil)
    #expect(transaction.deadline == at(1_000))
    next(&transaction, 0, 1_000, .begin)
    #expect(!transaction.takesRecords)
    next(&transaction, 0, 1_000, .writePosition(place(0x900), from: place(0x100)))
  }

  @Test func aStopWaitsForNoInterval() {
    var transaction = transaction()
    _ = transaction.send(bytes: 10, now: at(0))
    transaction.reached(place(0x200))
    transaction.hurry()
    next(&transaction, 0, 1, .writePosition(place(0x200), from: place(0x100)))
  }

  /// What is reached while a commit is under way belongs to the next one.
  @Test func aCommitLeadsToWhatWasWritten() {
    var transaction = transaction()
    transaction.reached(place(0x200))
    transaction.hurry()
    next(&transaction, 0, 1, .begin)
    _ = transaction.next(outstanding: 0, now: at(1))
    transaction.reached(place(0x300))
    next(&transaction, 0, 2, .commit)
    let end = transaction.commitEnded(now: at(3))
    #expect(end == place(0x200))
    next(&transaction, 0, 4, .begin)
  }
}
