import Glibc
import Synchronization

/// The bounds of what clients of the HTTP server can take.
struct AdminLimits: Sendable {
  /// Milliseconds between two looks at how old requests are.
  static let clockMilliseconds: CInt = 500

  /// Threads that answer.
  var threads: UInt32 = 4
  /// Connections at a time, over all threads.
  var connections = Self.standardConnections
  /// Seconds without a byte after which a connection is closed.
  var timeoutSeconds: UInt32 = 10
  /// Bytes for one request's line and headers.
  var requestBytes = 32 * 1024
  /// How long a request may take to arrive, and a connection may lie idle.
  var requestAge = Limits.requestAge
  /// How long a client may take to read an answer.
  var answerAge = Limits.answerAge
  /// How many texts of metrics may be on their way at a time.
  var scrapes = 8

  /// Beyond so many connections the oldest one without a whole request gives way to a new one.
  var crowd: Int { Int(connections) * 3 / 4 }

  /// As many as leave the pipelines three quarters of the process's descriptors.
  private static var standardConnections: UInt32 {
    var limit = rlimit()
    guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else {
      return 64
    }
    return UInt32(min(max(limit.rlim_cur / 4, 64), 1024))
  }
}

/// How long each HTTP connection has been idle or has been sending its request.
///
/// libmicrohttpd closes a connection from which nothing comes; one that sends a byte now and then
/// would keep its place for as long as it likes. So a request's age is bounded, and when places
/// become few, the oldest connection without a whole request gives way to a new one.
final class AdminConnections: Sendable {
  private struct Connection {
    var since: ContinuousClock.Instant
    var isAnswering = false
    var isShutDown = false
  }

  private let limits: AdminLimits
  private let table = Mutex<[CInt: Connection]>([:])

  /// Makes an empty list.
  init(_ limits: AdminLimits) { self.limits = limits }

  /// How many connections are open and not about to be closed.
  var count: Int { table.withLock { $0.values.count { !$0.isShutDown } } }

  /// A connection begins.
  func opened(_ descriptor: CInt, now: ContinuousClock.Instant) {
    table.withLock { table in
      table[descriptor] = Connection(since: now)
      let idle = table.filter { !$0.value.isAnswering && !$0.value.isShutDown }
      let open = table.values.count { !$0.isShutDown }
      guard open > limits.crowd,
        let oldest = idle.min(by: { $0.value.since < $1.value.since })?.key
      else { return }
      Self.shutDown(oldest, &table)
    }
  }

  /// A connection ends; its descriptor is closed after this and not before.
  func closed(_ descriptor: CInt) { table.withLock { $0[descriptor] = nil } }

  /// The connection's request is there, and its answer is being sent.
  func answering(_ descriptor: CInt, now: ContinuousClock.Instant) {
    note(descriptor, isAnswering: true, now: now)
  }

  /// The answer is sent: the connection may bring another request.
  func answered(_ descriptor: CInt, now: ContinuousClock.Instant) {
    note(descriptor, isAnswering: false, now: now)
  }

  private func note(_ descriptor: CInt, isAnswering: Bool, now: ContinuousClock.Instant) {
    table.withLock { table in
      table[descriptor]?.isAnswering = isAnswering
      table[descriptor]?.since = now
    }
  }

  /// Shuts connections down that have taken too long.
  func expire(now: ContinuousClock.Instant) {
    table.withLock { table in
      for (descriptor, connection) in table where !connection.isShutDown {
        let limit = connection.isAnswering ? limits.answerAge : limits.requestAge
        if now - connection.since > limit { Self.shutDown(descriptor, &table) }
      }
    }
  }

  /// The thread that has the connection sees its end and closes it.
  private static func shutDown(_ descriptor: CInt, _ table: inout [CInt: Connection]) {
    table[descriptor]?.isShutDown = true
    shutdown(descriptor, CInt(SHUT_RDWR))
  }
}

/// How many texts of metrics are on their way: each is in memory until its client has read it.
final class AdminScrapes: Sendable {
  /// One of them; it counts as long as it lives.
  final class Scrape: Sendable {
    private let all: AdminScrapes

    fileprivate init(_ all: AdminScrapes) { self.all = all }

    deinit { all.number.subtract(1, ordering: .relaxed) }
  }

  private let limit: Int
  private let number = Atomic<Int>(0)

  /// Makes a count of none.
  init(limit: Int) { self.limit = limit }

  /// Counts one more; nil when there are too many.
  func begin() -> Scrape? {
    // Made first: one too many takes itself back.
    let count = number.add(1, ordering: .relaxed).newValue
    let scrape = Scrape(self)
    return count <= limit ? scrape : nil
  }
}
