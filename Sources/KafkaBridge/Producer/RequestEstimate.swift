/// How many requests are under way, as far as that shows from outside librdkafka.
///
/// Each hand-over makes a request for each of its partitions at least, and is taken for answered when
/// as many records have been reported as had been handed over with it and before.
struct RequestEstimate {
  private struct HandOver {
    /// How many records had been handed over with it.
    var end: UInt64
    var requests: Int
  }

  /// Hand-overs that are told apart; more are taken for one.
  private static let most = 64

  private var handedOver: UInt64 = 0
  private var reported: UInt64 = 0
  private var waiting: [HandOver] = []
  /// How many requests are under way.
  private(set) var count = 0
  /// How many the last hand-over made.
  private var last = 0

  init() { waiting.reserveCapacity(Self.most) }

  /// So many records were handed over, of as many partitions as `requests` says.
  mutating func handOver(records: Int, requests: Int) {
    handedOver &+= UInt64(records)
    count += requests
    last = requests
    if waiting.count < Self.most {
      waiting.append(HandOver(end: handedOver, requests: requests))
    } else {
      waiting[waiting.count - 1].end = handedOver
      waiting[waiting.count - 1].requests += requests
    }
  }

  /// Whether the requests of another hand-over like the last one would all find room, one of them
  /// behind the `limit` that may be under way.
  func hasRoom(within limit: Int) -> Bool { count == 0 || count + last <= limit + 1 }

  /// So many records were reported.
  mutating func report(records: Int) {
    reported &+= UInt64(records)
    var answered = 0
    while answered < waiting.count, waiting[answered].end <= reported {
      count -= waiting[answered].requests
      answered += 1
    }
    if answered > 0 { waiting.removeFirst(answered) }
  }
}
