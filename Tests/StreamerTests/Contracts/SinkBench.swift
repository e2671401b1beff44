import Glibc
import KafkaBridge
import PGWire
import Support
import Synchronization
import Testing

@testable import Streamer

/// The sinks that keep the contract; a new kind is a case here and a bench for it.
enum SinkKind: CaseIterable, CustomTestStringConvertible {
  case stdout, file, stubDiscard, stubLog, kafka

  var testDescription: String { "\(self)" }

  /// A sink of this kind, open, with what can be done to it.
  func bench() throws -> SinkBench {
    switch self {
    case .stdout: try .standardOutput()
    case .file: try .file()
    case .stubDiscard: try SinkBench(StubSink(log: nil))
    case .stubLog: try .stubLog()
    case .kafka: try .kafka()
    }
  }
}

/// One sink at work as a pipeline works with it: its jobs run on an ``IOWorker``.
final class SinkBench {
  /// What a sink has acknowledged, by ticket.
  struct Total: Hashable {
    var records = 0
    var bytes = 0
  }

  let sink: any Sink
  /// The values that have arrived where the sink writes, at least so many; nil when none can be seen.
  var arrived: ((Int) throws -> [String])?
  /// Lets nothing arrive any more, until ``resume``; nil where that cannot be.
  var stall: (() throws -> Void)?
  var resume: (() throws -> Void)?
  /// Makes what is sent from now on fail for good; nil where nothing can fail.
  var breakOff: (() throws -> Void)?
  /// What it has acknowledged.
  private(set) var totals: [UInt64: Total] = [:]
  private let worker: IOWorker<StreamerError?>
  private var hasJob = false

  init(_ sink: any Sink) throws {
    self.sink = sink
    worker = try IOWorker(name: "bench")
    try sink.open()
  }

  deinit {
    sink.abandon()
    worker.end(isIdle: true)
    sink.close(within: .seconds(1))
  }

  /// All that was acknowledged.
  var total: Total {
    totals.values.reduce(into: Total()) { sum, part in
      sum.records += part.records
      sum.bytes += part.bytes
    }
  }

  /// Sends values of a ticket in one batch, with a key of four bytes each; gives their size.
  @discardableResult
  func send(_ ticket: UInt64, _ values: [String]) throws -> Total {
    let topic = try sink.prepare(topic: "events")
    var batch = RecordBatch()
    var total = Total()
    for value in values {
      let start = batch.bytes.count
      batch.bytes.append("key ")
      let middle = batch.bytes.count
      batch.bytes.append(string: value)
      batch.add(
        key: start..<middle, value: middle..<batch.bytes.count,
        route: Route(topic: topic, table: "events"), ticket: ticket)
      total.records += 1
      total.bytes += batch.bytes.count - start
    }
    sink.send(batch)
    return total
  }

  /// One turn of a pipeline: answers of the worker, what was acknowledged, the next job.
  func turn() throws(StreamerError) {
    for error in worker.takeAnswers() {
      hasJob = false
      sink.durabilityJobEnded(error)
    }
    try sink.poll { receipt in
      totals[receipt.ticket, default: Total()].records += receipt.count
      totals[receipt.ticket, default: Total()].bytes += receipt.bytes
    }
    if let job = sink.durabilityJob() {
      precondition(!hasJob, "a sink has at most one job at a time")
      hasJob = true
      worker.submit(job)
    }
  }

  /// Turns until so many records were acknowledged.
  func settle(_ records: Int) throws {
    try eventually(every: .milliseconds(1), "the delivery of \(records) records") {
      try turn()
      return total.records >= records
    }
  }

  /// Turns until the sink fails, and gives its error.
  func failure() throws -> StreamerError {
    var failure: StreamerError?
    try eventually(every: .milliseconds(1), "the sink's failure") {
      do throws(StreamerError) { try turn() } catch { failure = error }
      return failure != nil
    }
    return try #require(failure)
  }

  /// Turns for a while: what could come has come.
  func idle() throws {
    for _ in 0..<100 {
      try turn()
      pause(.milliseconds(1))
    }
  }

  /// Whether a job is on its way.
  var isWriting: Bool { hasJob }
}

extension SinkBench {
  /// Standard output is a pipe here, which is read only when it is asked what has arrived.
  static func standardOutput() throws -> SinkBench {
    let pipe = try TestPipe()
    let output = try LineOutput(
      .standardOutput(StandardOutput(pipe.writing, StandardOutput.Line())))
    let bench = try SinkBench(try LineSink(output))
    bench.arrived = { count in pipe.lines(count) }
    bench.stall = { pipe.fill() }
    bench.resume = { pipe.empty() }
    bench.breakOff = { pipe.closeReading() }
    return bench
  }

  /// A file whose fsync can be made to fail.
  static func file() throws -> SinkBench {
    let directory = try TemporaryDirectory()
    let isBroken = Box(false)
    let path = directory.path + "/events"
    let file = LineFile(path: path, rotateSize: nil) { descriptor in
      if isBroken.value {
        errno = EIO
        return -1
      }
      return fsync(descriptor)
    }
    let bench = try SinkBench(try LineSink(try LineOutput(.file(file))))
    bench.arrived = { _ in
      String(decoding: directory.read("events"), as: UTF8.self).split(separator: "\n")
        .map(String.init)
    }
    bench.breakOff = { isBroken.set(true) }
    return bench
  }

  /// The log's lines go to a file.
  static func stubLog() throws -> SinkBench {
    let directory = try TemporaryDirectory()
    let descriptor = unsafe open(directory.path + "/log", O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
    let bench = try SinkBench(StubSink(log: Log(descriptor: descriptor)))
    bench.arrived = { _ in
      let text = String(decoding: directory.read("log"), as: UTF8.self)
      return text.split(separator: "\n").compactMap { line in
        line.firstRange(of: "value=").map { String(line[$0.upperBound...]) }
      }
    }
    return bench
  }

  /// A mock cluster of one broker.
  static func kafka() throws -> SinkBench {
    let cluster = try MockCluster()
    try cluster.createTopic("events", partitions: 1)
    let configuration = try ConfigurationFixture.parse(
      """
      store = "/nowhere/positions.db"
      [source.s]
      type = "postgres"
      dsn = "dbname=test"
      publication = "p"
      replicationSlot = "s"
      [sink.k]
      type = "kafka"
      sources = ["s"]
      hosts = ["\(cluster.bootstrapServers)"]
      topicFallback = "events"
      """)
    guard case .kafka(let kafka)? = configuration.sinks.first?.kind else {
      throw SupportError("the sink is none of Kafka")
    }
    let sink = KafkaSink(
      name: "k", kafka, topics: ["events"], startTimeout: .seconds(20), log: Log(level: .error))
    let bench = try SinkBench(sink)
    bench.arrived = { count in try cluster.records(of: "events", count: count).map(\.value) }
    bench.stall = { try cluster.setBrokerDown(1) }
    bench.resume = { try cluster.setBrokerUp(1) }
    // TOPIC_AUTHORIZATION_FAILED, which no trying again changes.
    bench.breakOff = { cluster.pushErrors(.produce, [29, 29, 29, 29]) }
    return bench
  }
}

/// A value that a test changes under a sink's thread.
final class Box<Value: Sendable>: Sendable {
  private let mutex: Mutex<Value>

  init(_ value: Value) { mutex = Mutex(value) }

  var value: Value { mutex.withLock { $0 } }

  func set(_ value: Value) { mutex.withLock { $0 = value } }

  func change(_ body: @Sendable (inout Value) -> Void) { mutex.withLock { body(&$0) } }
}
