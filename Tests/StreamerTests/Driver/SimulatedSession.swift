import Glibc
import PGWire
import Recording
import Support

@testable import PGWire
@testable import Streamer

/// The server of a simulated driver: one log, one slot, and one connection at a time, whose other end
/// is a socket. It fails when the simulation says so.
// SAFETY: the simulation runs everything, the worker's jobs included, on one thread.
final class SimulatedSession: ReplicationServer, @unchecked Sendable {
  /// What the next calls do.
  struct Faults {
    /// The server cannot be reached.
    var isUnreachable = false
    /// Somebody else reads the slot.
    var isSlotActive = false
    /// The server refuses for good.
    var refusesForGood = false
    /// The catalog does not answer.
    var failsLookUps = false
    /// Heartbeats that are written do not come back.
    var losesHeartbeats = false
    /// The store's disk is full.
    var isStoreFull = false
    /// The store is full, but what it was given is there all the same.
    var savesAllTheSame = false
  }

  var faults = Faults()
  /// What readers of the primary see; nil where everything is seen when it is sent.
  var visibility: SimulatedVisibility?
  var server: SimulatedServer
  private(set) var link: SimulatedLink?
  /// The durable positions.
  let store: MemoryPositionStore
  /// The connection during which a heartbeat was written that never comes back.
  private(set) var lostHeartbeat = 0
  /// How many heartbeats were written.
  private(set) var heartbeats = 0
  /// How often a stream was started.
  private(set) var connections = 0
  /// Why a start was refused because changes may be missing; nil when none was.
  private(set) var refusedGap: String?
  /// The first rule that was broken.
  private(set) var complaint: String?
  /// The source's name.
  let source: String
  /// What others see of the source.
  let status: SourceStatus
  private let streams: Bool
  private let sinks: [String]

  init(
    _ server: SimulatedServer, source: String = "s", streams: Bool, sinks: [String],
    store: MemoryPositionStore = MemoryPositionStore()
  ) {
    self.server = server
    self.source = source
    status = SourceStatus(name: source, type: "postgres")
    self.streams = streams
    self.sinks = sinks
    self.store = store
    identity = Self.identity(source)
  }

  private let identity: PositionIdentity

  private static func identity(_ source: String) -> PositionIdentity {
    PositionIdentity(
      source: source, systemIdentifier: "\(SimulatedHistory.systemIdentifier)", timeline: 1,
      database: SimulatedHistory.database, slot: "slot", publications: ["p"])
  }

  /// What is stored for a sink.
  func stored(_ sink: String) -> LSN? { store.load(source: source).first { $0.sink == sink }?.lsn }

  /// The least stored position; nil when nothing is stored.
  var leastStored: LSN? { sinks.compactMap(stored).min() }

  // MARK: - Jobs

  func establish(_ attempt: PostgresAttempt) -> Result<EstablishedSession, StreamerError> {
    do throws(StreamerError) { return .success(try connect(attempt)) } catch {
      return .failure(error)
    }
  }

  private func connect(_ attempt: PostgresAttempt) throws(StreamerError) -> EstablishedSession {
    if faults.isUnreachable { throw Self.error("unreachable") }
    if faults.refusesForGood {
      throw StreamerError(what: "server", why: "refused", exit: .preflight)
    }
    if let link, link.isOpen {
      // A walsender notices late that its client is gone.
      self.link = nil
      throw Self.slotActive
    }
    if faults.isSlotActive { throw Self.slotActive }
    let start = PostgresStart(
      source: source, sinks: sinks, store: store, override: nil, onGap: .stop,
      log: Log(level: .error, descriptor: -1))
    let lsns: [LSN]
    do throws(StreamerError) {
      let decided = try start.decide(
        on: PostgresStart.Server(
          identity: identity, slot: .at(server.confirmedFlush), flushLSN: server.history.end),
        known: attempt.known)
      lsns = try start.settle(decided, newSlot: nil)
    } catch {
      refusedGap = error.why
      throw error
    }
    let streams = streams && attempt.streams
    let position = lsns.min() ?? .zero
    if position < server.confirmedFlush {
      complaint = complaint ?? "a stream was started at \(position), which the slot has forgotten"
    }
    server.connect(at: position, streams: streams)
    connections += 1
    let link = SimulatedLink()
    self.link = link
    return EstablishedSession(
      ReplicationStream(adopting: link.takeClientEnd()), identity: identity,
      host: SimulatedHistory.host, start: position, streams: streams, positions: lsns,
      statusInterval: .seconds(10),
      recorded: RecordedConnection(
        serverVersion: "15", timeline: 1, host: "", startLSN: position, command: "",
        parameters: []))
  }

  func lookUp(_ requests: [TableRequest]) -> Result<[TableFacts], StreamerError> {
    if faults.failsLookUps { return .failure(Self.error("no answer from the catalog")) }
    return .success(
      requests.map { request in
        TableFacts(
          catalogKey: request.relation.columns[0].name == "id" ? ["id"] : [],
          types: TypeCatalog())
      })
  }

  func save(_ positions: [Position]) -> StreamerError? {
    guard faults.isStoreFull else {
      store.save(positions)
      return nil
    }
    if faults.savesAllTheSame { store.save(positions) }
    return Self.error("the store's disk is full")
  }

  func slot() -> ReplicationSlot? { nil }

  func sight() -> Result<VisibleTransactions.Sight, StreamerError> {
    if faults.failsLookUps { return .failure(Self.error("nothing is said of what is visible")) }
    guard let sight = visibility?.look() else { return .failure(Self.error("nobody may ask")) }
    return .success(sight)
  }

  func record(_ gap: Gap) { store.record(gap) }

  func heartbeat() -> Heartbeat.Answer {
    if faults.isUnreachable { return .failed(Self.error("unreachable")) }
    heartbeats += 1
    if faults.losesHeartbeats { lostHeartbeat = connections }
    return .sent(faults.losesHeartbeats ? LSN(.max) : server.history.end)
  }

  func dropSlot(within limit: Duration) {
    complaint = complaint ?? "the slot was dropped, which nobody has asked for"
  }

  func close() {}

  private static let slotActive = StreamerError(
    what: "slot", why: "active", retryable: true, cause: .slotActive)

  private static func error(_ why: String) -> StreamerError {
    StreamerError(what: "server", why: why, retryable: true)
  }

  // MARK: - The connection

  /// Sends the next bytes, `count` at most, and takes what the client says; false when nothing more
  /// can be sent now.
  @discardableResult func pump(_ count: Int) -> Bool {
    guard let link else { return false }
    for update in link.receive() {
      let stored = leastStored ?? .zero
      if update.flushed > stored {
        complaint = complaint ?? "\(update.flushed) was acknowledged, \(stored) is saved"
      }
      if update.flushed > server.sent {
        complaint = complaint ?? "\(update.flushed) was acknowledged, \(server.sent) was sent"
      }
      server.acknowledge(update.flushed)
      if update.replyRequested, server.isExhausted, link.pending.isEmpty {
        var bytes = ServerBytes()
        bytes.keepalive(walEnd: server.sent, reply: false)
        link.pending += bytes.bytes
      }
    }
    if link.pending.count < 4096 { link.pending += server.read(count) }
    return link.flush()
  }

  /// Moves the slot as pg_replication_slot_advance does, which needs it to be free.
  func advanceSlot(to position: LSN) {
    // Before anything is stored a slot begins where it stands.
    guard link?.isOpen != true, leastStored != nil else { return }
    server.acknowledge(position)
  }

  /// The connection is gone.
  func cut() { link?.close() }

  /// The server says goodbye: what the client reads next is the end of the stream.
  func shutDown() {
    pump(0)
    link?.shutDown()
  }
}
