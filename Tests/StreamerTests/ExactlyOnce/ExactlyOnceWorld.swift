import PGWire
import Support

@testable import Streamer

/// Two processes, one slot and one cluster: the real lanes and sinks of ``TransactionalKafkaSink``, with
/// a server, a clock and a network in which nothing happens that is not played.
///
/// What must hold: every row that was ever committed in PostgreSQL is there once for who reads what is
/// committed, in order; and PostgreSQL never hears of a position behind which something is missing.
final class ExactlyOnceWorld {
  struct Failure: Error, CustomStringConvertible { let description: String }

  /// Rules that a test leaves out, to see that they are needed.
  enum Mutation { case none, goesOnAfterDoubt, keepsItsClaim }

  /// One transaction of the source's.
  struct Step {
    var commitLSN: UInt64
    var events: UInt64
    var endLSN: UInt64 { commitLSN + 8 }
  }

  /// What a process does, or what is done to it.
  enum Action: Hashable {
    /// It connects, when nobody has the slot, as a driver does.
    case connect
    /// It reads so many messages: Begin, events, Commit, and a keepalive at the end.
    case read(Int)
    /// The brokers take so many of its records.
    case deliver(Int)
    /// It takes reports; a sink that fails is replaced, and the connection with it given up.
    case turn
    /// Its I/O worker runs what it is to do.
    case job(SimulatedWriter.Fate)
    /// It saves its position and acknowledges it.
    case save
    case crash
    /// Its connection is lost.
    case disconnect
    /// The server gives its connection up, and it does not know yet: somebody else may have the slot.
    case forget
  }

  /// One process: its store, its lane, and how far it has read.
  private final class Process {
    var stored = LSN(100)
    var lane: Lane<LSN>?
    var writer: SimulatedWriter?
    var rivalry = Rivalry()
    /// The next transaction to read, and the next event of it, nil before its Begin.
    var next: (step: Int, ordinal: UInt64?)?
    var job: (@Sendable () -> StreamerError?)?
    /// What it has done and learnt since it began anew: two that did the same in the same world stand
    /// at the same place.
    var history = 0
  }

  /// All that decides on what follows.
  struct State: Hashable {
    fileprivate var cluster: SimulatedCluster.State
    fileprivate var owner: Int?
    fileprivate var acknowledged: LSN
    fileprivate var stored: [LSN]
    fileprivate var histories: [Int]
    fileprivate var areCurrent: [Bool]
  }

  let cluster = SimulatedCluster()
  let clock = SimulatedClock()
  private(set) var claims = 0
  private(set) var cuts = 0
  private let steps: [Step]
  private let rules: KafkaTransaction.Rules
  private let mutation: Mutation
  private let processes = [Process(), Process()]
  /// Who has the slot.
  private var owner: Int?
  /// What PostgreSQL was told last.
  private var acknowledged = LSN(100)
  private let identity = PositionIdentity(
    source: "s", systemIdentifier: "7", timeline: 1, database: "d", slot: "slot",
    publications: ["p"])

  init(steps: [Step], rules: KafkaTransaction.Rules, mutation: Mutation) {
    self.steps = steps
    self.rules = rules
    self.mutation = mutation
  }

  /// Whether everything is confirmed.
  var isAtRest: Bool { acknowledged == Self.end }

  /// Behind everything that the source ever writes.
  private static let end = LSN(9_999)

  /// Whether a process reads, as far as it knows.
  func isReading(_ number: Int) -> Bool { processes[number].next != nil }
  /// Whether it has the slot.
  func isOwner(_ number: Int) -> Bool { owner == number }
  /// Whether its I/O worker has something to do.
  func hasJob(_ number: Int) -> Bool { processes[number].job != nil }

  /// Where everything stands.
  ///
  /// Whatever a process does that was shut out, the cluster takes none of it, and it begins anew before
  /// it reads again: what it did until then decides on nothing.
  var state: State {
    let histories = processes.enumerated().map { number, process in
      owner == number || process.writer?.isCurrent != false
        ? process.history : Self.beginning(process)
    }
    return State(
      cluster: cluster.state, owner: owner, acknowledged: acknowledged,
      stored: processes.map(\.stored), histories: histories,
      areCurrent: processes.map { $0.writer?.isCurrent ?? false })
  }

  /// What a process knows that begins anew: what is confirmed.
  private static func beginning(_ process: Process) -> Int {
    Int(process.lane?.confirmed.value ?? 0)
  }

  /// Time passes.
  func pass(_ time: Duration) {
    clock.now += time
    for process in processes where process.lane != nil { note(time, process) }
  }

  private func note(_ something: some Hashable, _ process: Process) {
    var hasher = Hasher()
    hasher.combine(process.history)
    hasher.combine(something)
    process.history = hasher.finalize()
  }

  /// Lets a process do something, and looks whether it kept the rules.
  func play(_ action: Action, by number: Int) throws {
    let process = processes[number]
    switch action {
    case .connect:
      guard owner == nil, process.next == nil else { break }
      owner = number
      try connect(process)
    case .read(let count): read(process, count)
    case .deliver(let count): process.writer?.deliver(count)
    case .turn:
      if !turn(process) { lose(number) }
    case .job(let fate): runJob(process, fate: fate)
    case .save: try save(process, acknowledging: owner == number)
    case .crash:
      crash(process)
      lose(number)
    case .disconnect:
      disconnect(process)
      lose(number)
    case .forget: lose(number)
    }
    note(action, process)
    note(process.writer?.isCurrent, process)
    if process.lane == nil || action == .disconnect, mutation != .keepsItsClaim {
      process.history = Self.beginning(process)
    }
    if let complaint = process.writer?.complaint { throw Failure(description: complaint) }
  }

  private func lose(_ number: Int) { if owner == number { owner = nil } }

  private func makeSink(_ process: Process) -> any TransactionalSink {
    let writer = SimulatedWriter(cluster, tellsDuration: mutation != .goesOnAfterDoubt)
    process.writer = writer
    return TransactionalKafkaSink(
      name: "k", writer: writer,
      positions: SimulatedPositions(cluster: cluster), topics: .init(), rules: rules,
      rivalry: process.rivalry, now: { [clock] in clock.now })
  }

  private func connect(_ process: Process) throws {
    if process.lane == nil {
      process.lane = Lane(name: "k", sink: makeSink(process), position: .zero)
    }
    guard let keeper = process.lane?.keeper else { return }
    try keeper.open()
    process.lane?.opened()
    let confirmed = process.lane?.confirmed ?? .zero
    var position = confirmed == .zero ? process.stored : confirmed
    if !keeper.isClaimed {
      claims += 1
      let kept = try keeper.claim()
      position = kept?.position.lsn ?? position
      if kept?.cut != nil { cuts += 1 }
      process.lane?.claimed(at: position, cut: kept?.cut)
      note(kept, process)
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

  private func read(_ process: Process, _ count: Int) {
    guard process.lane != nil, var next = process.next else { return }
    for _ in 0..<count {
      guard next.step < steps.count else {
        process.lane?.endCut(before: Self.end)
        process.lane?.keepalive(walEnd: Self.end)
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

  /// False when the sink has failed.
  private func turn(_ process: Process) -> Bool {
    guard process.lane != nil else { return true }
    do {
      try process.lane?.takeReports()
    } catch {
      disconnect(process, hasFailed: true)
      return false
    }
    if process.job == nil { process.job = process.lane?.sink.durabilityJob() }
    return true
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

  /// Saved first, acknowledged second.
  private func save(_ process: Process, acknowledging: Bool) throws {
    guard let confirmed = process.lane?.confirmed else { return }
    process.stored = max(process.stored, confirmed)
    for partition in 0..<2 {
      var expected = 0
      for step in steps where step.endLSN <= confirmed.value {
        expected += Int(step.events + 1) / 2 - (Int(step.events) % 2) * partition
      }
      guard cluster.committed[partition].count < expected else { continue }
      throw Failure(
        description: "\(confirmed) is confirmed, and of \(expected) rows of partition "
          + "\(partition) before it \(cluster.committed[partition].count) are there")
    }
    if acknowledging { acknowledged = max(acknowledged, process.stored) }
  }

  private func crash(_ process: Process) {
    process.lane = nil
    process.writer = nil
    process.job = nil
    process.next = nil
    process.rivalry = Rivalry()
  }

  /// Looks whether the rows are there that are to be there, and no others.
  func judge() throws {
    for partition in 0..<2 {
      let expected = rows(partition)
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

  /// What a partition is to have in the end.
  private func rows(_ partition: Int) -> [SimulatedCluster.Row] {
    steps.flatMap { step in
      (0..<step.events).filter { $0 % 2 == UInt64(partition) }.map {
        SimulatedCluster.Row(commitLSN: step.commitLSN, ordinal: $0)
      }
    }
  }
}
