import PGWire
import Support

@testable import Streamer

/// Two processes, one slot and one cluster: the real lanes and sinks of ``TransactionalKafkaSink``, with
/// a server, a clock and a network that the seed decides on.
///
/// What must hold: every row that was ever committed in PostgreSQL is there once for who reads what is
/// committed, in order; and PostgreSQL never hears of a position behind which something is missing.
final class ExactlyOnceSimulation {
  struct Failure: Error, CustomStringConvertible { let description: String }

  /// What happened in all runs.
  struct Summary {
    var runs = 0, claims = 0, crashes = 0, late = 0, cuts = 0, rows = 0
  }

  /// Rules that a test leaves out, to see that they are needed.
  enum Mutation { case none, goesOnAfterDoubt, keepsItsClaim }

  private struct Step {
    var commitLSN: UInt64
    var events: UInt64
    var endLSN: UInt64 { commitLSN + 8 }
  }

  /// One process: its store, its lane, and how far it has read.
  private final class Process {
    var stored = LSN(100)
    var lane: Lane<LSN>?
    var writer: SimulatedWriter?
    /// The next transaction to read, and the next event of it, nil before its Begin.
    var next: (step: Int, ordinal: UInt64?)?
    var job: (@Sendable () -> StreamerError?)?
    var isConnected: Bool { next != nil }
  }

  private var random: SeededRandom
  private let mutation: Mutation
  private let cluster = SimulatedCluster()
  private var processes = [Process(), Process()]
  private var steps: [Step] = []
  /// What PostgreSQL was told last.
  private var acknowledged = LSN(100)
  private let clock = SimulatedClock()
  private let rivalry = Rivalry()
  private(set) var summary = Summary()
  private let identity = PositionIdentity(
    source: "s", systemIdentifier: "7", timeline: 1, database: "d", slot: "slot",
    publications: ["p"])

  init(seed: UInt64, mutation: Mutation = .none) {
    random = SeededRandom(seed: seed)
    self.mutation = mutation
    var lsn: UInt64 = 200
    for _ in 0..<30 {
      let isLarge = chance(6)
      let events = UInt64.random(in: isLarge ? 10...60 : 0...4, using: &random)
      steps.append(Step(commitLSN: lsn, events: events))
      lsn += .random(in: 16...64, using: &random)
    }
  }

  private func chance(_ one: Int) -> Bool { Int.random(in: 0..<one, using: &random) == 0 }

  /// Plays so many steps, then lets everything come to rest, and judges.
  func run(steps count: Int) throws {
    for _ in 0..<count {
      clock.now += .milliseconds(Int.random(in: 0...40, using: &random))
      try play(processes[Int.random(in: 0...1, using: &random)])
    }
    try settle()
    try judge()
    summary.runs = 1
    summary.late = cluster.lateCount
    summary.rows = cluster.committed.map(\.count).reduce(0, +)
  }

  private func play(_ process: Process) throws {
    switch Int.random(in: 0..<14, using: &random) {
    case 0, 1: try connect(process)
    case 2, 3, 4: read(process, Int.random(in: 1...12, using: &random))
    case 5, 6: process.writer?.deliver(Int.random(in: 1...30, using: &random))
    case 7, 8: try turn(process)
    case 9:
      let fate = chance(3) ? SimulatedWriter.Fate.allCases.randomElement(using: &random) : nil
      runJob(process, fate: fate ?? .done)
    case 10: save(process)
    case 11 where chance(4): crash(process)
    case 11 where chance(3): disconnect(process)
    case 12 where !cluster.lateCommits.isEmpty && chance(3):
      cluster.deliverLate(Int.random(in: 0..<cluster.lateCommits.count, using: &random))
    default: break
    }
    if let complaint = process.writer?.complaint { throw Failure(description: complaint) }
  }

  private func makeSink(_ process: Process) -> any TransactionalSink {
    let writer = SimulatedWriter(cluster, tellsDuration: mutation != .goesOnAfterDoubt)
    process.writer = writer
    var rules = KafkaTransaction.Rules()
    rules.bytes = 200
    return TransactionalKafkaSink(
      name: "k", writer: writer,
      positions: SimulatedPositions(cluster: cluster), topics: .init(), rules: rules,
      rivalry: rivalry, now: { [clock] in clock.now })
  }

  /// A process connects when nobody has the slot, as a driver does.
  private func connect(_ process: Process) throws {
    guard !processes.contains(where: \.isConnected) else { return }
    if process.lane == nil {
      process.lane = Lane(name: "k", sink: makeSink(process), position: .zero)
    }
    guard let keeper = process.lane?.keeper else { return }
    try keeper.open()
    process.lane?.opened()
    let confirmed = process.lane?.confirmed ?? .zero
    var position = confirmed == .zero ? process.stored : confirmed
    if !keeper.isClaimed {
      summary.claims += 1
      let kept = try keeper.claim()
      position = kept?.position.lsn ?? position
      if kept?.cut != nil { summary.cuts += 1 }
      process.lane?.claimed(at: position, cut: kept?.cut)
    } else {
      process.lane?.resume(at: position)
    }
    guard position >= acknowledged else {
      throw Failure(description: "a start at \(position), PostgreSQL has forgotten \(acknowledged)")
    }
    process.lane?.connected(identity, options: "")
    let first = steps.firstIndex { $0.endLSN > position.value } ?? steps.count
    process.next = (first, nil)
  }

  /// Reads messages: Begin, events, Commit, and a keepalive at the end.
  private func read(_ process: Process, _ count: Int) {
    guard process.lane != nil, var next = process.next else { return }
    for _ in 0..<count {
      guard next.step < steps.count else {
        process.lane?.endCut(before: LSN(9_999))
        process.lane?.keepalive(walEnd: LSN(9_999))
        break
      }
      let step = steps[next.step]
      guard let ordinal = next.ordinal else {
        guard process.lane?.canBegin == true else { break }
        process.lane?.begin(
          Transaction(xid: 7, commitLSN: LSN(step.commitLSN), commitTime: 0))
        next.ordinal = 0
        continue
      }
      if ordinal == step.events {
        process.lane?.commit(endLSN: LSN(step.endLSN))
        next = (next.step + 1, nil)
      } else {
        add(step, ordinal, process)
        next.ordinal = ordinal + 1
      }
    }
    process.next = next
    process.lane?.flush()
  }

  private func add(_ step: Step, _ ordinal: UInt64, _ process: Process) {
    guard process.lane?.wants(ordinal) == true, let ticket = process.lane?.ticket,
      let first = process.lane?.batch.count, let start = process.lane?.batch.bytes.count
    else { return }
    process.lane?.batch.bytes.append(string: "\(step.commitLSN) \(ordinal)")
    let end = process.lane?.batch.bytes.count ?? start
    process.lane?.batch.add(
      key: nil, value: start..<end, route: Route(topic: 0, table: "t"), ticket: ticket)
    process.lane?.produced(
      from: first, EventPlace(lsn: LSN(step.commitLSN), ordinal: ordinal), table: "t")
  }

  /// Reports are taken; a sink that fails is replaced, and the connection with it given up.
  private func turn(_ process: Process) throws {
    guard process.lane != nil else { return }
    do {
      try process.lane?.takeReports()
    } catch {
      return disconnect(process, hasFailed: true)
    }
    if process.job == nil { process.job = process.lane?.sink.durabilityJob() }
  }

  /// The connection is lost, and the sink, which is claimed for one, goes with it.
  private func disconnect(_ process: Process, hasFailed: Bool = false) {
    process.next = nil
    guard process.lane?.keeper?.isClaimed == true, hasFailed || mutation != .keepsItsClaim else {
      return
    }
    process.job = nil
    process.lane?.restart(with: makeSink(process))
  }

  private func runJob(_ process: Process, fate: SimulatedWriter.Fate) {
    guard let job = process.job else { return }
    process.writer?.fate = fate
    process.job = nil
    let error = job()
    // A process that has crashed or a sink that was replaced hears nothing of it.
    process.lane?.sink.durabilityJobEnded(error)
  }

  /// Saved first, acknowledged second, as long as it is connected.
  private func save(_ process: Process) {
    guard let confirmed = process.lane?.confirmed, confirmed > process.stored else { return }
    process.stored = confirmed
    if process.isConnected { acknowledged = max(acknowledged, confirmed) }
  }

  private func crash(_ process: Process) {
    summary.crashes += 1
    process.lane = nil
    process.writer = nil
    process.job = nil
    process.next = nil
  }

  /// No more faults: one process reads to the end.
  private func settle() throws {
    crash(processes[1])
    let process = processes[0]
    for _ in 0..<20_000 {
      clock.now += .milliseconds(20)
      try connect(process)
      read(process, 10)
      process.writer?.deliver(100)
      try turn(process)
      runJob(process, fate: .done)
      save(process)
      if acknowledged == LSN(9_999) { return }
    }
    throw Failure(
      description: "it did not come to rest: acknowledged \(acknowledged), "
        + "place \(String(describing: process.next))")
  }

  private func judge() throws {
    let wanted = steps.flatMap { step in
      (0..<step.events).map { SimulatedCluster.Row(commitLSN: step.commitLSN, ordinal: $0) }
    }
    for partition in 0..<2 {
      let expected = wanted.filter { $0.ordinal % 2 == UInt64(partition) }
      let found = cluster.committed[partition]
      guard found != expected else { continue }
      let index =
        zip(found, expected).enumerated().first { $0.element.0 != $0.element.1 }?.offset
        ?? min(found.count, expected.count)
      throw Failure(
        description: "partition \(partition): \(found.count) rows, \(expected.count) expected; "
          + "at \(index) \(found.dropFirst(index).prefix(2)) instead of "
          + "\(expected.dropFirst(index).prefix(2))")
    }
  }
}
