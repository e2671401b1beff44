import Glibc
import Testing

@testable import Streamer

@Suite("Poller and its descriptors")
struct PollerTests {
  private func socketPair() throws -> (CInt, CInt) {
    var pair: [CInt] = [0, 0]
    try #require(unsafe socketpair(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0, &pair) == 0)
    return (pair[0], pair[1])
  }

  @Test("ready descriptors are reported with their tags")
  func tags() throws {
    var poller = try Poller()
    let (a, b) = try socketPair()
    defer { close(a); close(b) }
    try poller.watch(a, tag: UInt64.max, for: .readable)
    try poller.watch(b, tag: 7, for: .writable)
    #expect(unsafe write(b, "x", 1) == 1)
    #expect(try poller.wait(timeout: nil) == 2)
    var found: [UInt64: (Bool, Bool)] = [:]
    for index in 0..<2 {
      let event = poller[index]
      found[event.tag] = (event.isReadable, event.isWritable)
    }
    #expect(found[UInt64.max]?.0 == true)
    #expect(found[7]?.1 == true)
    #expect(found[7]?.0 == false)
  }

  @Test("a changed interest holds at once, and none silences even a hang-up")
  func interests() throws {
    var poller = try Poller()
    let (a, b) = try socketPair()
    defer { close(a) }
    try poller.watch(a, tag: 1, for: .readable)
    #expect(try poller.wait(timeout: .zero) == 0)
    try poller.watch(a, tag: 2, for: [.readable, .writable])
    #expect(try poller.wait(timeout: .zero) == 1)
    var event = poller[0]
    #expect(event.tag == 2 && event.isWritable && !event.isReadable)
    close(b)
    try poller.watch(a, tag: 2, for: [])
    #expect(try poller.wait(timeout: .zero) == 0)
    try poller.watch(a, tag: 3, for: .readable)
    #expect(try poller.wait(timeout: .zero) == 1)
    event = poller[0]
    #expect(event.tag == 3 && event.isReadable)
    poller.forget(a)
    #expect(try poller.wait(timeout: .zero) == 0)
  }

  @Test("more ready descriptors than fit come with the next waits")
  func capacity() throws {
    var poller = try Poller(capacity: 2)
    let events = try (0..<5).map { _ in try SharedEvent() }
    for (index, event) in events.enumerated() {
      event.event.signal()
      try poller.watch(event.event.descriptor, tag: UInt64(index), for: .readable)
    }
    var seen: Set<UInt64> = []
    while seen.count < 5 {
      let count = try poller.wait(timeout: nil)
      #expect((1...2).contains(count))
      for index in 0..<count {
        let tag = poller[index].tag
        seen.insert(tag)
        events[Int(tag)].event.drain()
      }
    }
    #expect(try poller.wait(timeout: .zero) == 0)
  }

  @Test("a closed descriptor is an error, not a trap")
  func closed() throws {
    let poller = try Poller()
    #expect(throws: StreamerError.self) { try poller.watch(-1, tag: 1, for: .readable) }
  }

  @Test("a timeout ends the wait not before its time")
  func timeout() throws {
    var poller = try Poller()
    let start = ContinuousClock.now
    #expect(try poller.wait(timeout: .microseconds(1500)) == 0)
    #expect(ContinuousClock.now - start >= .microseconds(1500))
    #expect(try poller.wait(timeout: .seconds(-1)) == 0)
  }

  @Test("timeouts in milliseconds are rounded up")
  func milliseconds() {
    #expect(Poller.milliseconds(nil) == -1)
    #expect(Poller.milliseconds(.zero) == 0)
    #expect(Poller.milliseconds(.seconds(-3)) == 0)
    #expect(Poller.milliseconds(.nanoseconds(1)) == 1)
    #expect(Poller.milliseconds(.milliseconds(2)) == 2)
    #expect(Poller.milliseconds(.microseconds(2001)) == 3)
    #expect(Poller.milliseconds(.seconds(Int64.max)) == CInt.max)
  }

  @Test("an event descriptor is readable from signal to drain")
  func event() throws {
    let event = try EventDescriptor()
    var poller = try Poller()
    try poller.watch(event.descriptor, tag: 1, for: .readable)
    let before = event.drain()
    #expect(!before)
    event.signal()
    event.signal()
    #expect(try poller.wait(timeout: .zero) == 1)
    let (first, second) = (event.drain(), event.drain())
    #expect(first && !second)
    #expect(try poller.wait(timeout: .zero) == 0)
  }

  /// timeout(1) tells the process and then its group: that is one wish to end, not two.
  @Test func twoSignalsToEndAtOnceAreOne() throws {
    let signals = try SignalDescriptor([])
    let now = ContinuousClock.now
    let first = signals.isAnother(now: now)
    let repeated = signals.isAnother(now: now + Limits.sameSignal / 2)
    let second = signals.isAnother(now: now + Limits.sameSignal)
    #expect(first && !repeated && second)
  }

  @Test("signals are read and interrupt nothing")
  func signals() throws {
    // The default action of both ends the process.
    let signals = try SignalDescriptor([SIGUSR1, SIGUSR2])
    var poller = try Poller()
    try poller.watch(signals.descriptor, tag: 1, for: .readable)
    let none = signals.next()
    #expect(none == nil)
    raise(SIGUSR2)
    raise(SIGUSR1)
    #expect(try poller.wait(timeout: .zero) == 1)
    let taken = [signals.next(), signals.next(), signals.next()]
    #expect(taken == [SIGUSR1, SIGUSR2, nil])
    var set = sigset_t()
    unsafe sigemptyset(&set)
    unsafe sigaddset(&set, SIGUSR1)
    unsafe sigaddset(&set, SIGUSR2)
    unsafe pthread_sigmask(SIG_UNBLOCK, &set, nil)
  }
}
