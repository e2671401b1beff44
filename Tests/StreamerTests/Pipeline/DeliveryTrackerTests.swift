import PGWire
import Support
import Testing

@testable import Streamer

@Suite struct DeliveryTrackerTests {
  @Test func confirmsOnlyWhatIsCommittedAndDelivered() {
    var tracker = DeliveryTracker(startingAt: LSN(100), capacity: 4)
    let first = tracker.begin()
    tracker.produced()
    tracker.produced()
    tracker.delivered(first, count: 2)
    #expect(tracker.confirmed == LSN(100), "delivered but not committed")
    tracker.commit(end: LSN(200))
    #expect(tracker.confirmed == LSN(200))
  }

  @Test func anEarlierTransactionHoldsBackALaterOne() {
    var tracker = DeliveryTracker(startingAt: LSN(0), capacity: 4)
    let first = tracker.begin()
    tracker.produced()
    tracker.commit(end: LSN(10))
    let second = tracker.begin()
    tracker.produced()
    tracker.commit(end: LSN(20))
    tracker.delivered(second)
    #expect(tracker.confirmed == LSN(0))
    tracker.delivered(first)
    #expect(tracker.confirmed == LSN(20))
    #expect(tracker.isIdle)
  }

  @Test func aKeepaliveWaitsForWhatIsUnsettled() {
    var tracker = DeliveryTracker(startingAt: LSN(0), capacity: 4)
    tracker.keepalive(LSN(5))
    #expect(tracker.confirmed == LSN(5))
    let ticket = tracker.begin()
    tracker.keepalive(LSN(50))
    tracker.produced()
    tracker.commit(end: LSN(40))
    tracker.keepalive(LSN(60))
    #expect(tracker.confirmed == LSN(5))
    tracker.delivered(ticket)
    #expect(tracker.confirmed == LSN(60))
  }

  @Test func itIsFullAtItsCapacity() {
    var tracker = DeliveryTracker(startingAt: LSN(0), capacity: 2)
    for end in 1...2 {
      _ = tracker.begin()
      tracker.produced()
      tracker.commit(end: LSN(UInt64(end)))
    }
    #expect(tracker.isFull)
    tracker.delivered(0)
    #expect(!tracker.isFull)
    #expect(tracker.begin() == 2)
  }

  @Test("S10 S17 the ring grows on need and its memory is given back")
  func memory() {
    var tracker = DeliveryTracker(startingAt: LSN(0), capacity: 1 << 16)
    #expect(tracker.ownedBytes == 0)
    for round in 0..<3 as Range<UInt64> {
      for number in 0..<10_000 as Range<UInt64> {
        #expect(tracker.begin() == round * 10_000 + number)
        tracker.produced()
        tracker.commit(end: LSN(round * 10_000 + number + 1))
      }
      #expect(tracker.ownedBytes > 10_000 * 8)
      for number in (0..<10_000 as Range<UInt64>).reversed() {
        tracker.delivered(round * 10_000 + number)
      }
      #expect(tracker.isIdle && tracker.confirmed == LSN((round + 1) * 10_000))
      #expect(tracker.ownedBytes < 4_096)
    }
  }

  @Test func deliveriesOfAReadingThatIsOverChangeNothing() {
    var tracker = DeliveryTracker(startingAt: LSN(0), capacity: 4)
    let old = tracker.begin()
    tracker.produced()
    tracker.restart(at: LSN(70))
    #expect(tracker.isIdle && tracker.confirmed == LSN(70))
    let new = tracker.begin()
    #expect(new > old)
    tracker.produced()
    tracker.commit(end: LSN(80))
    tracker.delivered(old)
    #expect(tracker.confirmed == LSN(70))
    tracker.delivered(new)
    #expect(tracker.confirmed == LSN(80))
  }

  @Test func aDeliveryOfATicketThatWasNeverGivenTraps() async {
    await #expect(processExitsWith: .failure) {
      var tracker = DeliveryTracker(startingAt: LSN(0), capacity: 4)
      _ = tracker.begin()
      tracker.restart(at: LSN(1))
      tracker.delivered(1)
    }
  }

  /// Random schedules against a model that remembers everything and looks through all of it.
  @Test func agreesWithABruteForceModel() {
    struct Model {
      var transactions: [(outstanding: Int, end: UInt64?)] = []
      var confirmed: UInt64 = 0
      mutating func settle() {
        for transaction in transactions {
          guard transaction.outstanding == 0, let end = transaction.end else { return }
          confirmed = max(confirmed, end)
        }
      }
    }
    var random = SeededRandom(#function)
    for _ in 0..<200 {
      var tracker = DeliveryTracker(startingAt: LSN.zero, capacity: 8)
      var model = Model()
      var lsn: UInt64 = 0
      for _ in 0..<200 {
        lsn += UInt64.random(in: 1...9, using: &random)
        let isOpen = model.transactions.last.map { $0.end == nil } ?? false
        switch Int.random(in: 0..<6, using: &random) {
        case 0 where !isOpen && !tracker.isFull:
          #expect(tracker.begin() == UInt64(model.transactions.count))
          model.transactions.append((0, nil))
        case 1 where isOpen:
          tracker.produced()
          model.transactions[model.transactions.count - 1].outstanding += 1
        case 2 where isOpen:
          tracker.commit(end: LSN(lsn))
          model.transactions[model.transactions.count - 1].end = lsn
        case 3:
          let idle = model.transactions.allSatisfy { $0.outstanding == 0 && $0.end != nil }
          tracker.keepalive(LSN(lsn))
          if idle {
            model.confirmed = max(model.confirmed, lsn)
          } else if !isOpen {
            model.transactions[model.transactions.count - 1].end = lsn
          }
        default:
          let waiting = model.transactions.indices.filter { model.transactions[$0].outstanding > 0 }
          guard let index = waiting.randomElement(using: &random) else { continue }
          let count = Int.random(in: 1...model.transactions[index].outstanding, using: &random)
          tracker.delivered(UInt64(index), count: count)
          model.transactions[index].outstanding -= count
        }
        model.settle()
        #expect(tracker.confirmed.value == model.confirmed)
      }
    }
  }
}
