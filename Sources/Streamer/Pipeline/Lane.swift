import KafkaBridge
import PGWire

/// One sink's way through a source: what it has been given, what of that is delivered, and where
/// its positions stand.
///
/// A source has one lane for each of its sinks, for as long as it runs: a sink that fails is
/// replaced in it, so that its totals never go back. What is read comes in strands whose positions
/// are independent: one for PostgreSQL, one for each partition of Kafka.
struct Lane<Position: TrackedPosition>: ~Copyable {
  /// What was read of one strand.
  private struct Strand {
    var tracker: DeliveryTracker<Position>
    /// Whether reading has begun, so that its position says something.
    var isPlaced: Bool
  }

  /// The sink's name in the configuration.
  let name: String
  /// The sink; replaced when it has failed.
  private(set) var sink: any Sink
  /// The same sink, when it keeps its position itself.
  private(set) var keeper: (any TransactionalSink)?
  /// The same sink, when it can hold a topic's records back.
  private(set) var quarantine: QuarantineSink?
  /// The position that ``keeper`` has committed last; nil without one.
  private var kept: Position?
  /// Where the record stands that was refused: no place beyond is told.
  private var refusedPlace: ReadPlace?
  /// The place that ``keeper`` was told last.
  private var toldPlace: ReadPlace?
  /// Whether the sink is open; until then it belongs to the I/O worker, which opens it.
  private(set) var isOpen: Bool
  /// How often the sink was replaced: answers for an older one are void.
  private(set) var generation = 0
  /// Key and value bytes handed over or gathered, and not yet durable.
  private(set) var inFlightBytes = 0
  /// What the lane counts.
  var counts = LaneCounts()
  /// What has gathered for the sink.
  var batch = RecordBatch()
  /// Records whose topics the sink is being asked for.
  var awaited = AwaitedRecords()
  /// How many bytes may gather before reading had better wait; none while it has to.
  private(set) var gatheringLimit = Limits.gatheredBytes
  /// Where it stands in the transactions that are read; only for PostgreSQL's.
  var reading = Reading()
  /// What the existing rows that were read last are tracked by; nil when none were since the sink is
  /// the one that it is.
  var roundTicket: DeliveryTracker<Position>.Ticket?
  /// How far existing rows were taken, for a sink that keeps its position; nil where none are copied.
  var copied: CopyPlace?
  /// Whether such a sink may not be told for now how far everything is.
  var isPositionHeld = false

  /// The source's name, for dead letters.
  var sourceName = ""
  /// Where changes go that cannot be delivered; nil where they stop the source.
  var deadLetters: Route?
  /// Where it goes what is told of copies of existing rows; nil where nobody wants to know.
  var notices: Route?
  /// The records that a broker has refused, and how: read again, they are known by it.
  private(set) var refusedRecords: [RefusedRecord: StreamerError] = [:]
  /// Changes that went there and were not told.
  var buried: [BuriedChange] = []

  private var strands: [Strand] = []
  private var failure: StreamerError?
  private var isRefusalTold = false
  /// Bytes that became durable since ``takeDeliveredBytes()``.
  private var deliveredBytes = 0
  private let capacity: Int

  /// Makes a lane that begins at `position`, or, without one, where its strands begin.
  ///
  /// `capacity` is the number of transactions of a strand that may be read and not yet settled.
  init(
    name: String, sink: any Sink, position: Position? = nil, isOpen: Bool = false,
    capacity: Int = Limits.unsettledTransactions
  ) {
    self.name = name
    self.sink = sink
    self.isOpen = isOpen
    self.capacity = capacity
    keeper = sink as? any TransactionalSink
    quarantine = sink as? QuarantineSink
    if keeper != nil { kept = position ?? .zero }
    guard let position else { return }
    let tracker = DeliveryTracker(startingAt: position, capacity: capacity)
    strands.append(Strand(tracker: tracker, isPlaced: true))
  }

  // MARK: - State

  /// Everything of the first strand below it is durable in the sink; where the sink keeps its
  /// position itself, also in the position that it will begin with again.
  var confirmed: Position { kept ?? (strands.isEmpty ? .zero : strands[0].tracker.confirmed) }

  /// Everything of a strand below it is durable in the sink; nil before its first record.
  func confirmed(of strand: Int) -> Position? {
    strand < strands.count && strands[strand].isPlaced ? strands[strand].tracker.confirmed : nil
  }

  /// Whether a transaction of the first strand may begin.
  var canBegin: Bool {
    strands.isEmpty || !strands[0].tracker.isFull || strands[0].tracker.isOpen
  }

  /// Whether a transaction of the first strand has begun and has not been committed.
  var hasOpenTransaction: Bool { !strands.isEmpty && strands[0].tracker.isOpen }

  /// Whether a strand's next record has to wait for deliveries.
  func isFull(_ strand: Int) -> Bool { strand < strands.count && strands[strand].tracker.isFull }

  /// Whether everything that was taken is delivered.
  var isIdle: Bool {
    for strand in strands where !strand.tracker.isIdle { return false }
    return true
  }

  /// Whether the existing rows that were read last are delivered, all of them.
  var hasDeliveredRound: Bool {
    guard let roundTicket, !strands.isEmpty else { return false }
    return strands[0].tracker.isSettled(roundTicket)
  }

  /// Whether everything that was taken of a strand is delivered.
  func isIdle(_ strand: Int) -> Bool { strand >= strands.count || strands[strand].tracker.isIdle }

  /// The transaction of the first strand that holds back everything after it, and when it was
  /// committed, in microseconds since 2000-01-01 00:00 UTC; nil when there is none.
  var oldest: (ticket: DeliveryTracker<Position>.Ticket, commitTime: Int64?)? {
    guard let tracker = strands.first?.tracker, let ticket = tracker.oldestTicket else {
      return nil
    }
    return (ticket, tracker.oldestCommitTime)
  }

  /// Whether a record came that the sink can never take: ``takeRefusal()`` says which.
  var hasFailed: Bool { failure != nil }

  /// Whether the sink has delivered all that it was given and can take.
  var isDrained: Bool { hasFailed ? inFlightBytes == 0 : isIdle }

  /// Whether the sink has been given something that is not durable yet.
  var isUndelivered: Bool { inFlightBytes > 0 || keeper?.isUncommitted == true }

  // MARK: - Restarts

  /// Starts anew with a fresh sink: everything that was not confirmed will be read again.
  mutating func restart(with sink: any Sink) {
    self.sink = sink
    keeper = sink as? any TransactionalSink
    quarantine = sink as? QuarantineSink
    toldPlace = nil
    refusedPlace = nil
    isOpen = false
    generation += 1
    batch.removeAll()
    _ = awaited.takeAll()
    waits()
    inFlightBytes = 0
    failure = nil
    isRefusalTold = false
    reading = Reading()
    roundTicket = nil
    copied = nil
    for index in strands.indices {
      let position = index == 0 ? confirmed : strands[index].tracker.confirmed
      strands[index].tracker.restart(at: position)
    }
  }

  /// The I/O worker has opened the sink.
  mutating func opened() { isOpen = true }

  /// Moves the first strand to a position that was decided on: what is unsettled will be read again
  /// from there.
  ///
  /// What the sink has is not touched; at the position where it stands anyway, nothing
  /// changes.
  mutating func resume(at position: Position) {
    guard confirmed != position || strands.isEmpty else { return }
    if !sink.isClosedToRecords { handOver() }
    begin(at: position)
  }

  /// The sink has said where it stands: reading begins there, inside a transaction perhaps.
  mutating func claimed(at position: Position, cut: ReadPlace.Cut?) {
    begin(at: position)
    copied = nil
    reading.resume(at: cut)
  }

  /// A connection is there, to a server of that history.
  func connected(_ identity: PositionIdentity, options: String) {
    guard let keeper, let place else { return }
    keeper.begin(identity, options: options, at: place)
  }

  /// Where everything lies that was read.
  private var place: ReadPlace? {
    guard let lsn = end(of: 0)?.lsn else { return nil }
    return ReadPlace(
      lsn: lsn, cut: reading.cut(isOpen: hasOpenTransaction), copied: copied)
  }

  private mutating func begin(at position: Position) {
    reading = Reading()
    drop(awaited.takeAll())
    place(0, at: position)
    toldPlace = nil
    if keeper != nil { kept = position }
  }

  // MARK: - Strands

  /// Begins a new reading of a strand at a position.
  mutating func place(_ strand: Int, at position: Position) {
    makeRoom(strand)
    strands[strand].tracker.restart(at: position)
    strands[strand].isPlaced = true
  }

  /// A strand is read by somebody else from now on: what is outstanding of it changes nothing.
  mutating func retire(_ strand: Int) {
    guard strand < strands.count else { return }
    strands[strand].tracker.restart(at: .zero)
    strands[strand].isPlaced = false
  }

  private mutating func makeRoom(_ strand: Int) {
    while strands.count <= strand {
      let tracker = DeliveryTracker<Position>(startingAt: .zero, capacity: capacity)
      strands.append(Strand(tracker: tracker, isPlaced: false))
    }
  }

  /// Where the transaction of a strand ends that was committed last; nil before its first.
  func end(of strand: Int) -> Position? {
    strand < strands.count && strands[strand].isPlaced ? strands[strand].tracker.end : nil
  }

  /// The transaction of the first strand that a lost connection has cut; nil when there is none.
  var openTicket: DeliveryTracker<Position>.Ticket? { strands.first?.tracker.openTicket }

  /// Begins a transaction of a strand and gives its ticket.
  mutating func begin(
    strand: Int, commitTime: Int64? = nil
  ) -> DeliveryTracker<Position>.Ticket {
    makeRoom(strand)
    return StrandTicket.make(
      strand: strand, number: strands[strand].tracker.begin(commitTime: commitTime))
  }

  /// Ends the open transaction of a strand.
  mutating func commit(strand: Int, end: Position) { strands[strand].tracker.commit(end: end) }

  /// The server has nothing to send below `walEnd`.
  mutating func keepalive(walEnd: Position) {
    makeRoom(0)
    strands[0].tracker.keepalive(walEnd)
  }

  // MARK: - Records

  /// Counts the records of a strand's open transaction that were added to ``batch`` from `first`
  /// on; `table` and `place` are for the error, should the sink be unable to take one.
  mutating func produced(
    from first: Int, strand: Int, table: @autoclosure () -> String,
    place: @autoclosure () -> String
  ) {
    var index = first
    while index < batch.count {
      let size = batch.size(index)
      strands[strand].tracker.produced()
      counts.events &+= 1
      if size.whole > sink.maximumRecordBytes || !refusedRecords.isEmpty,
        let refusal = refusal(index, table(), place())
      {
        // A position between two records of one event does not exist.
        batch.truncate(to: keeper == nil ? index : first)
        return refuse(refusal)
      }
      inFlightBytes &+= size.payload
      index += 1
    }
    if batch.isLarge, !sink.isClosedToRecords { handOver() }
  }

  /// Counts a record that waits for its topic.
  mutating func count(_ size: Int) {
    strands[0].tracker.produced()
    counts.events &+= 1
    inFlightBytes &+= size
  }

  /// A record that waited stands in the batch, at `index`, or is refused, and false; `before` is what
  /// it took then.
  mutating func released(_ index: Int, was before: Int, table: String, place: String) -> Bool {
    let size = batch.size(index)
    if size.whole > sink.maximumRecordBytes || !refusedRecords.isEmpty,
      let refusal = refusal(index, table, place)
    {
      batch.truncate(to: index)
      inFlightBytes -= before
      refuse(refusal)
      return false
    }
    inFlightBytes += size.payload - before
    return true
  }

  /// A record that waited is not to be delivered, and counts as if it were.
  mutating func settled(_ ticket: DeliveryTracker<Position>.Ticket, bytes: Int) {
    let (strand, number) = StrandTicket.parts(of: ticket)
    strands[strand].tracker.delivered(number, count: 1)
    inFlightBytes -= bytes
    deliveredBytes += bytes
  }

  /// Records that wait are not to be sent: they stay outstanding, and are read again.
  mutating func drop(_ records: [AwaitedRecords.Record]) {
    for waiting in records { inFlightBytes -= waiting.record.payloadBytes }
    waits()
  }

  /// Works out anew whether reading has to wait for topics: a sink that keeps its position itself
  /// gets everything in the order in which it was read.
  mutating func waits() {
    let isHeld = !awaited.isEmpty && (keeper != nil || awaited.isFull)
    gatheringLimit = isHeld ? 0 : Limits.gatheredBytes
  }

  /// Counts a record that was not made because it can never be delivered.
  mutating func refused(strand: Int, _ error: StreamerError) {
    strands[strand].tracker.produced()
    refuse(error)
  }

  /// What was refused stays outstanding, so that no position passes it, and nothing after it is
  /// produced.
  ///
  /// What came before is delivered and counts.
  mutating func refuse(_ error: StreamerError) {
    if keeper != nil, failure == nil {
      reading.stepBack()
      refusedPlace = place
    }
    if failure == nil { failure = error }
    reading.skipBelow = .max
  }

  /// Hands what has gathered to the sink, as soon as that can do something with it.
  mutating func flush() {
    if !batch.isEmpty, sink.takesMore { handOver() } else if keeper != nil { tellPlace() }
  }

  /// A transaction has ended: a sink that waits for this ends its own here.
  mutating func ended() {
    guard let keeper, keeper.awaitsBoundary else { return }
    if sink.isClosedToRecords { return }
    if batch.isEmpty { tellPlace() } else { handOver() }
  }

  /// Tells a sink that keeps its position how far that is, once it has all that lies before.
  private mutating func tellPlace() {
    guard let keeper, isOpen, batch.isEmpty, awaited.isEmpty, !isPositionHeld,
      !reading.hasNewRows, let place = refusedPlace ?? place
    else { return }
    guard place != toldPlace else { return }
    toldPlace = place
    keeper.reached(place)
  }

  private mutating func handOver() {
    guard !batch.isEmpty, keeper == nil || awaited.isEmpty else { return }
    sink.send(batch)
    batch.removeAll()
    guard keeper != nil else { return }
    // It may be the same as before: what is told of copies moves nothing.
    toldPlace = nil
    tellPlace()
  }

  // MARK: - Delivery

  /// Takes what the sink reports as durable, and throws also when a record was refused.
  mutating func poll() throws(StreamerError) {
    try takeReports()
    if let failure { throw failure }
  }

  /// Why a record was refused: told once, since what came before it is still delivered.
  mutating func takeRefusal() -> StreamerError? {
    guard let failure, !isRefusalTold else { return nil }
    isRefusalTold = true
    return failure
  }

  /// Takes what the sink reports as durable; throws when the sink itself has failed.
  mutating func takeReports() throws(StreamerError) {
    guard isOpen else { return }
    do throws(StreamerError) {
      try sink.poll { receipt in
        let (strand, number) = StrandTicket.parts(of: receipt.ticket)
        strands[strand].tracker.delivered(number, count: receipt.count)
        inFlightBytes -= receipt.bytes
        deliveredBytes += receipt.bytes
        counts.delivered += receipt.count
      }
    } catch {
      guard !error.isRetryable, let record = error.refusedRecord,
        refusedRecords.updateValue(error, forKey: record) == nil
      else { throw error }
      throw error.retried(
        quarantine != nil
          ? "It comes again, and is held with what follows it in its topic."
          : deadLetters != nil && error.cause == .recordTooLarge
            ? "It comes again, and goes to the dead letter topic."
            : "It comes again, which tells its table and place.")
    }
    if let lsn = keeper?.takeCommitted(), let position = Position(lsn: lsn) { kept = position }
    flush()
  }

  /// Transactions settled since the last call; nil when there were none.
  mutating func takeSettled() -> SettledTransactions? {
    var sum = SettledTransactions()
    for index in strands.indices {
      if let settled = strands[index].tracker.takeSettled() { sum.add(settled) }
    }
    return sum.count > 0 ? sum : nil
  }

  /// Bytes that became durable since the last call.
  mutating func takeDeliveredBytes() -> Int {
    defer { deliveredBytes = 0 }
    return deliveredBytes
  }

  /// Bytes that the strands' trackers take.
  var trackerBytes: Int { strands.reduce(0) { $0 + $1.tracker.ownedBytes } }
}

/// Totals of a lane since the start, for /stats and metrics.
struct LaneCounts {
  var events = 0
  var excluded = 0
  var repeated = 0
  var delivered = 0
  /// Of them, those that went to the dead letter topic.
  var deadLetters: [DeadLetter.Cause: Int] = [:]
}

/// What a delivery report brings back of a record: its strand in the upper 16 bits, the number of its
/// transaction in that strand and lane in the lower 48.
///
/// Numbers are never used twice in one process, so that a report that comes after its strand was
/// given away is recognised: 2^48 records take nine years at a million a second.
enum StrandTicket {
  /// How many strands can be told apart.
  static let strands = Limits.strands
  private static let numberBits: UInt64 = 48

  /// Puts a ticket together.
  static func make(strand: Int, number: UInt64) -> UInt64 { UInt64(strand) << numberBits | number }

  /// Takes a ticket apart.
  static func parts(of ticket: UInt64) -> (strand: Int, number: UInt64) {
    (Int(ticket >> numberBits), ticket & (1 << numberBits - 1))
  }
}
