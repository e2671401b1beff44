import KafkaBridge
import PGWire
import Support

@testable import Streamer

/// A cluster with one transactional.id, as far as exactly-once depends on it: epochs, one open
/// transaction, two partitions and a position's topic, and requests that come late.
///
/// It speaks the protocol before KIP-890, in which a request carries the epoch and nothing that says
/// which of its transactions it belongs to.
final class SimulatedCluster {
  /// A record of the source's: its transaction and its number there.
  struct Row: Hashable {
    var commitLSN: UInt64
    var ordinal: UInt64
  }

  /// Rows that were committed, in the order of each partition.
  private(set) var committed: [[Row]] = [[], []]
  /// The position that was committed last.
  private(set) var position: PositionRecord?
  /// Who may write.
  private(set) var epoch = 0
  private var isOpen = false
  private var rows: [[Row]] = [[], []]
  private var openPosition: PositionRecord?
  /// Copies of commits that the network still holds, by their epoch.
  private(set) var lateCommits: [Int] = []
  /// How often a late one has ended a transaction.
  private(set) var lateCount = 0

  /// All that decides on what follows: of commits that come late those that are not shut out.
  struct State: Hashable {
    fileprivate var committed: [[Row]]
    fileprivate var position: PositionRecord?
    fileprivate var isOpen: Bool
    fileprivate var rows: [[Row]]
    fileprivate var openPosition: PositionRecord?
    fileprivate var late: Int
  }

  /// Where it stands.
  var state: State {
    State(
      committed: committed, position: position, isOpen: isOpen, rows: rows,
      openPosition: openPosition, late: lateCommits.count { $0 == epoch })
  }

  /// A producer takes the id over: what is open is aborted, and older ones are shut out.
  func initialise() -> Int {
    epoch += 1
    clear()
    return epoch
  }

  /// Rows, or a position, arrive in the open transaction; false when the producer was shut out.
  ///
  /// A transaction begins with the first of them.
  func append(_ row: Row?, partition: Int, _ record: PositionRecord?, epoch: Int) -> Bool {
    guard epoch == self.epoch else { return false }
    isOpen = true
    if let row { rows[partition].append(row) }
    if let record { openPosition = record }
    return true
  }

  /// Ends the open transaction; false when the producer was shut out.
  func commit(epoch: Int) -> Bool {
    guard epoch == self.epoch else { return false }
    guard isOpen else { return true }
    for partition in 0..<2 { committed[partition] += rows[partition] }
    position = openPosition ?? position
    clear()
    return true
  }

  /// A copy of a commit stays in the network.
  func delay(epoch: Int) { lateCommits.append(epoch) }

  /// One of them arrives.
  func deliverLate(_ index: Int) {
    let late = lateCommits.remove(at: index)
    if late == epoch, isOpen { lateCount += 1 }
    _ = commit(epoch: late)
  }

  private func clear() {
    isOpen = false
    rows = [[], []]
    openPosition = nil
  }
}

/// One producer of a ``SimulatedCluster``.
// SAFETY: the simulation runs everything, the worker's jobs included, on one thread.
final class SimulatedWriter: TransactionWriter, @unchecked Sendable {
  /// What becomes of the next commit.
  enum Fate: CaseIterable {
    /// It is done and answered.
    case done
    /// Its connection broke, it was sent again and answered; the first copy is still under way.
    case repeated
    /// It is done and nobody hears of it.
    case doneSilently
    /// Nobody hears of it, and it is not done, but for the copy that is still under way.
    case lost
    /// It is refused.
    case refused
    /// It is answered, and a broker that crashes then forgets it: no partition hears of it.
    case forgotten
  }

  private struct Sent {
    var row: SimulatedCluster.Row?
    var partition = 0
    var record: PositionRecord?
    var ticket: UInt64
    var size: Int
  }

  private let cluster: SimulatedCluster
  private var epoch = 0
  private var sent: [Sent] = []
  private var receipts: [DeliveryReceipt] = []
  private var failure: StreamerError?
  private var isTransactionOpen = false
  private var hasPosition = false
  /// Whether the mark of the last commit is where it has written.
  private var isMarked = true
  /// The first rule that its user broke.
  private(set) var complaint: String?
  var fate = Fate.done
  private(set) var lastCommit = Duration.zero

  /// Whether its user learns how long a commit took.
  private let tellsDuration: Bool

  init(_ cluster: SimulatedCluster, tellsDuration: Bool) {
    self.cluster = cluster
    self.tellsDuration = tellsDuration
  }

  func open(topics names: [String]) {}
  func make(_ topic: NewTopic) -> TopicID { 99 }
  func prepare(topics names: [String]) -> [Result<TopicID, StreamerError>] {
    names.map { _ in .success(0) }
  }
  func claim() { epoch = cluster.initialise() }
  var pauseOfLooks: Duration { Limits.partitionsCheck }
  func lookAtPartitions(usingNew: Bool) -> StreamerError? { nil }
  func close(within timeout: Duration) {}
  func abandonCommit() {}
  let isAbandoned = false
  func description(of number: TopicID) -> SinkTopic {
    SinkTopic(name: "", maximumRecordBytes: maximumRecordBytes)
  }
  func awaitMark(at place: WrittenPartition) -> StreamerError? {
    isMarked ? nil : error("not to be seen")
  }

  var eventDescriptor: CInt? { nil }
  var trouble: StreamerError? { nil }
  var maximumRecordBytes: Int { .max }
  var queueLength: Int { sent.count }
  var takesMore: Bool { sent.count < 20 }
  var outstanding: Int { sent.count }
  var writtenPartitions: [WrittenPartition] {
    let place = TopicPartition(topic: SimulatedPositions.name, partition: 0)
    return hasPosition ? [WrittenPartition(place, count: 1, lastOffset: 0)] : []
  }

  func begin() {
    if isTransactionOpen { complaint = complaint ?? "a transaction begins inside another" }
    (isTransactionOpen, hasPosition) = (true, false)
  }

  func send(_ batch: borrowing RecordBatch) {
    if !isTransactionOpen { complaint = complaint ?? "records outside a transaction" }
    for entry in batch.entries {
      let words = batch.bytes.bytes(entry.value ?? 0..<0).text.split(separator: " ")
      let row = SimulatedCluster.Row(
        commitLSN: UInt64(words[0]) ?? 0, ordinal: UInt64(words[1]) ?? 0)
      sent.append(
        Sent(
          row: row, partition: Int(row.ordinal % 2), ticket: entry.ticket, size: entry.size))
    }
  }

  func send(
    key: [UInt8], value: [UInt8]?, to number: TopicID, partition: Int32, ticket: UInt64
  ) {
    let value = value ?? []
    if !sent.isEmpty { complaint = complaint ?? "a position before its records" }
    hasPosition = true
    sent.append(Sent(record: PositionRecord(value), ticket: ticket, size: value.count))
  }

  /// The brokers take some of what was sent.
  func deliver(_ count: Int) {
    for record in sent.prefix(count) {
      if cluster.append(
        record.row, partition: record.partition, record.record, epoch: epoch)
      {
        receipts.append(DeliveryReceipt(ticket: record.ticket, count: 1, bytes: record.size))
      } else {
        fail("fenced")
      }
    }
    sent.removeFirst(min(count, sent.count))
  }

  func poll(_ report: (DeliveryReceipt) -> Void) throws(StreamerError) {
    for receipt in receipts { report(receipt) }
    receipts = []
    if let failure { throw failure }
  }

  /// Whether nobody has taken its id over.
  var isCurrent: Bool { epoch == cluster.epoch }

  func commit() -> StreamerError? {
    if !sent.isEmpty { complaint = complaint ?? "a commit before its records" }
    defer { fate = .done }
    isTransactionOpen = false
    lastCommit = .milliseconds(5)
    isMarked = fate != .forgotten
    switch fate {
    case .done: return cluster.commit(epoch: epoch) ? nil : error("fenced")
    case .repeated:
      guard cluster.commit(epoch: epoch) else { return error("fenced") }
      cluster.delay(epoch: epoch)
      if tellsDuration { lastCommit = .seconds(1) }
      return nil
    case .doneSilently:
      _ = cluster.commit(epoch: epoch)
      return error("timed out")
    case .lost:
      cluster.delay(epoch: epoch)
      return error("timed out")
    case .refused: return error("refused")
    case .forgotten: return nil
    }
  }

  private func fail(_ why: String) { failure = failure ?? error(why) }

  private func error(_ why: String) -> StreamerError {
    StreamerError(
      what: "sink", why: why, retryable: true, cause: why == "fenced" ? .fenced : .other)
  }
}

/// Where the simulated cluster keeps the position.
// SAFETY: as above.
struct SimulatedPositions: PositionKeeper, @unchecked Sendable {
  let cluster: SimulatedCluster
  static let name = "positions"
  var name: String { Self.name }
  var key: [UInt8] { [1] }
  func new(replication: Int) -> NewTopic { NewTopic(name) }
  func last() -> PositionRecord? { cluster.position }
  // Who takes the id over has the cluster abort what is open.
  func forgotten() -> [[TopicPartition]] { [] }
}
