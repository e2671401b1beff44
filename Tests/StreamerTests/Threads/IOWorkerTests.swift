import Glibc
import Synchronization
import Testing

@testable import Streamer

@Suite("IOWorker")
struct IOWorkerTests {
  /// Sleeps until the worker's descriptor says that answers wait, and takes them.
  private func answers<Answer>(of worker: IOWorker<Answer>) throws -> [Answer] {
    var poller = try Poller()
    try poller.watch(worker.eventDescriptor, tag: 1, for: .readable)
    while try poller.wait(timeout: nil) == 0 {}
    return worker.takeAnswers()
  }

  @Test("answers come in the order of their work, from one thread that is not ours")
  func order() throws {
    let worker = try IOWorker<(Int, pthread_t)>(name: "test-worker", limit: 1000)
    for number in 0..<1000 { #expect(worker.offer { (number, pthread_self()) }) }
    var taken: [(Int, pthread_t)] = []
    while taken.count < 1000 { taken += try answers(of: worker) }
    let inOrder = taken.map(\.0) == Array(0..<1000)
    #expect(inOrder)
    #expect(Set(taken.map(\.1)).count == 1)
    #expect(taken[0].1 != pthread_self())
  }

  @Test("work beyond the limit is refused until answers are taken")
  func limit() throws {
    let worker = try IOWorker<Int>(name: "test-worker", limit: 2)
    #expect(worker.offer { 1 })
    #expect(worker.offer { 2 })
    #expect(!worker.offer { 3 })
    var taken: [Int] = []
    while taken.count < 2 { taken += try answers(of: worker) }
    #expect(worker.offer { 4 })
    #expect(try answers(of: worker) == [4])
    #expect(taken == [1, 2])
  }

  @Test("stopping does what was submitted and refuses the rest")
  func stopping() throws {
    let worker = try IOWorker<Int>(name: "test-worker")
    let gate = try SharedEvent()
    #expect(
      worker.offer {
        gate.event.wait()
        return 1
      })
    #expect(worker.offer { 2 })
    gate.event.signal()
    worker.end(isIdle: true)
    worker.end(isIdle: true)
    #expect(!worker.offer { 3 })
    #expect(worker.takeAnswers() == [1, 2])
    #expect(worker.takeAnswers() == [])
  }

  @Test("the thread has its name, cut at 15 bytes")
  func name() throws {
    let worker = try IOWorker<String>(name: "io-a-rather-long-name")
    #expect(
      worker.offer {
        var bytes = [UInt8](repeating: 0, count: 64)
        let descriptor = unsafe open("/proc/thread-self/comm", O_RDONLY)
        let count = unsafe read(descriptor, &bytes, bytes.count)
        close(descriptor)
        return String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
      })
    #expect(try answers(of: worker) == ["io-a-rather-lon\n"])
  }

  @Test("several threads may submit at once")
  func concurrent() throws {
    let worker = try IOWorker<Int>(name: "test-worker", limit: 4000)
    var threads: [SharedThread] = []
    for part in 0..<4 {
      threads.append(
        try SharedThread {
          for number in 0..<1000 { #expect(worker.offer { part * 1000 + number }) }
        })
    }
    for thread in threads { thread.join() }
    worker.end(isIdle: true)
    let taken = worker.takeAnswers()
    let isComplete = taken.sorted() == Array(0..<4000)
    #expect(isComplete)
    for part in 0..<4 {
      let mine = taken.filter { $0 / 1000 == part }
      let inOrder = mine == mine.sorted()
      #expect(inOrder)
    }
  }
}

/// An event descriptor that a closure can hold.
final class SharedEvent: Sendable {
  let event: EventDescriptor
  init() throws { event = try EventDescriptor() }
}

/// A thread that an array can hold.
final class SharedThread: Sendable {
  private let thread: Mutex<PosixThread?>

  init(_ body: @escaping @Sendable () -> Void) throws {
    thread = Mutex(try PosixThread(name: "test", body))
  }

  func join() {
    let taken = thread.withLock { $0.take() }
    if let taken { taken.join() }
  }
}
