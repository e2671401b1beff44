import KafkaBridge
import PGWire

/// The way of a change from the server's bytes to the sinks, without sockets, clocks or threads.
///
/// It consumes the window of received bytes message by message, gives each event to every lane, and
/// says why it stopped: for want of bytes, or in mid-window when the in-flight budget is spent, a
/// tracker is full, or a row's table has not been looked up. What it stopped at is simply not
/// consumed.
struct Pipeline: ~Copyable {
  /// How much it may take, and what it is called.
  struct Settings {
    /// The source's name in the configuration, for errors.
    var source = ""
    /// Bytes of records that may be read and not yet durable, over all lanes.
    var inFlightLimit: Int
    /// The largest change, in bytes as it was received, that becomes a record.
    var maxRowSize = Limits.rowBytes
    /// What is done with bytes that are no text.
    var invalidUTF8 = InvalidUTF8.replace
    /// How open transactions are kept that come in chunks.
    var spool: Spool.Settings
    /// The table whose new rows ask for existing rows of others; nil for none.
    var signalTable: TablePattern?
  }

  /// Why reading stopped.
  enum Pause: Hashable, Sendable {
    /// The window holds no further whole message.
    case needsBytes
    /// The sinks hold as much as they may: deliveries are waited for.
    case budget
    /// A row's table is being looked up: an answer is waited for.
    case lookUp
    /// As many transactions as can be kept track of are not delivered.
    case trackerFull
    /// A slice of a kept transaction was read: it goes on at once, when others had their turn.
    case replaying
    /// No transaction is open, and the caller wanted to stop there.
    case betweenTransactions
    /// Everything is read that was committed before existing rows are.
    case fence
    /// Readers of the primary may not see the next transaction yet.
    case visibility
    /// A sink is ending a transaction of its own.
    case committing
  }

  /// What one call of ``consume(_:untilCommit:)`` did.
  struct Consumed: Hashable, Sendable {
    /// How many bytes of the window it took.
    let count: Int
    /// Why it stopped.
    let pause: Pause
  }

  /// The sinks' ways, in the configuration's order.
  var lanes: LaneSet<LSN>
  /// What of each lane depends on the connection.
  var encodings: OwnedArray<LaneEncoding>
  /// How much it may take.
  let settings: Settings

  /// Gives each table its counters.
  let observer: PipelineObserver

  /// The database that the stream comes from.
  private(set) var origin = StreamOrigin()
  /// Where the stream stands.
  var decoder = PgOutputDecoder()
  /// What the connection knows of its tables.
  var tables = KnownTables()
  /// Look-ups that nobody has taken yet.
  var requests: [TableRequest] = []
  /// Topics of outboxes that sinks have to be asked for.
  var topicRequests: [TopicRequest] = []
  /// What of outboxes was passed over; the reader takes it.
  var outboxNotices: [OutboxNotice] = []
  /// The number of the look-up filed last.
  var lastRequest: UInt64 = 0
  /// The number of the connection.
  private(set) var connection = 0
  /// The table whose row was met before its look-up was answered: that row is read again.
  var awaitedTable: UInt32?
  /// Up to where the stream has been looked through for tables.
  var scan = TableScan()

  /// Open transactions that come in chunks.
  var spool: Spool
  /// The kept transaction that is being read; nil when the window is.
  var replay: StreamReplay?
  /// The kept record that was read last has to be read again.
  var repeatsRecord = false
  /// Bytes of a kept transaction that one call of ``consume(_:untilCommit:)`` reads at most.
  var replaySliceBytes = Limits.replaySliceBytes
  /// The prepared transaction that is kept although it does not come in chunks.
  var keptPrepare: UInt32?
  /// Where the connection began to read.
  private(set) var connectionStart = LSN.zero
  /// How far some lane was then.
  private(set) var connectionEnd = LSN.zero
  /// What came of streamed transactions; the reader takes it.
  private var streamEnds: [StreamReplay.Summary] = []

  /// What stops the stream for existing rows.
  var fence: Fence?
  /// Whether no transaction begins, because a snapshot is being taken.
  var awaitsSnapshot = false
  /// Rows of the signal table; the reader takes them.
  var signals: [SignalRow] = []
  /// Rows whose keys were changed while existing rows are copied; the reader takes them.
  var moved: [MovedRow] = []
  /// The transactions that were read of late.
  var read = ReadTransactions()
  /// What readers of the primary see, where transactions wait for that; nil where none does.
  var visible: VisibleTransactions?
  /// The message that was taken last is the start of a transaction that has to wait.
  var isHeldBack = false

  /// The transaction being read; nil between transactions.
  var transaction: Transaction?
  /// The row that came in binary, as text; nil while it is used.
  var rowText: ByteWriter? = ByteWriter()
  /// The row that is no text throughout, mended; nil while it is used.
  var rowRepaired: ByteWriter? = ByteWriter()
  /// A row as a sink's rules have it; nil while it is read.
  var rowRuled: ByteWriter? = ByteWriter()
  /// What is known besides of the change that is read, where it was too large to be held.
  var abridged: (digest: [UInt8], bytesLeftOut: Int)?
  /// A row in binary that cannot be read: the connection has to begin again in text.
  var binaryFault: BinaryFault?
  /// Bytes of this connection's stream before the message that is read next, for errors.
  var streamOffset: UInt64 = 0
  /// The largest position that the server itself has sent on this connection: nothing beyond it
  /// may ever be acknowledged.
  var sent = LSN.zero
  /// Whether the server wants a status update at once; the reader clears it.
  var replyRequested = false
  /// How many events were made of the source's changes.
  var eventCount = 0
  /// How many keepalives came: each is a sign of life.
  var keepalives = 0
  /// How often in a row the server asked without anything new to send: it waits for us in order
  /// to shut down.
  var pings = 0
  /// Notices that came inside the stream; the reader takes them.
  var notices: [ServerError] = []
  /// How many came beyond those.
  var noticesLeftOut = 0
  /// Whether a publication that does not exist where the stream stands ends the stream: changes are
  /// missing then.
  var stopsWithoutPublication = false

  /// Makes the way into lanes, each with its setup.
  init(
    lanes: consuming LaneSet<LSN>, setups: [LaneSetup], settings: Settings,
    observer: PipelineObserver
  ) {
    precondition(lanes.count == setups.count, "each lane has its setup")
    encodings = OwnedArray(count: setups.count) { LaneEncoding(setups[$0]) }
    spool = Spool(settings.spool)
    self.observer = observer
    self.lanes = lanes
    self.settings = settings
  }

  // MARK: - State

  /// Where reading has to begin: the least position among the lanes.
  var startLSN: LSN { lanes.leastConfirmed }

  /// Bytes of records that are not yet durable, over all lanes.
  var inFlightBytes: Int { lanes.inFlightBytes }

  /// Whether the sinks hold as much as they may.
  var isOverBudget: Bool { lanes.inFlightBytes >= settings.inFlightLimit || lanes.isHeldUp }

  /// What stands in the way of reading now; ``Pause/needsBytes`` for nothing but the want of bytes.
  var pause: Pause {
    if let awaitedTable, tables.isAwaited(awaitedTable) { return .lookUp }
    if isOverBudget { return .budget }
    if fence != nil, isHeldByFence { return .fence }
    if transaction == nil {
      if awaitsSnapshot { return .fence }
      if isHeldInvisible { return .visibility }
      if !lanes.canBegin { return .trackerFull }
    }
    return replay != nil ? .replaying : .needsBytes
  }

  /// Whether everything that was read is delivered.
  var isSettled: Bool { lanes.isIdle }

  /// Takes the numbers over to status and metrics.
  mutating func report(saved: LSN, now: ContinuousClock.Instant) {
    observer.observe(&self, saved: saved, now: now)
  }

  /// Whether no transaction is open: neither the one being read nor one that a lost connection
  /// has cut, which the server sends again.
  var isBetweenTransactions: Bool { transaction == nil && !lanes.hasOpenTransaction }

  /// Whether no transaction is open and everything that was read is delivered.
  var isAtRest: Bool { transaction == nil && isSettled }

  /// The notices that came inside the stream since the last call, and how many more there were.
  mutating func takeNotices() -> (kept: [ServerError], leftOut: Int) {
    defer {
      notices.removeAll()
      noticesLeftOut = 0
    }
    return (notices, noticesLeftOut)
  }

  /// What came of streamed transactions since the last call.
  mutating func takeStreamEnds() -> [StreamReplay.Summary] {
    defer { streamEnds.removeAll() }
    return streamEnds
  }

  /// Notes what came of a streamed transaction.
  mutating func streamEnded(_ summary: StreamReplay.Summary) { streamEnds.append(summary) }

  // MARK: - Connections

  /// The connection is lost: the server sends open transactions again.
  mutating func disconnected() {
    endRound()
    fence = nil
    awaitsSnapshot = false
    read = ReadTransactions(isNeeded: read.isNeeded)
    visible?.disconnected()
    replay = nil
    repeatsRecord = false
    spool.removeAll()
    // A sink that has failed is followed by one that is not open, and cannot be asked for topics.
    requests = []
  }

  /// A new connection to `origin` begins at `start`: what the old one said of tables is void.
  ///
  /// `messageTopics` are the lanes' topics of logical messages; nil excludes them.
  /// `deadLetterTopics` are those of changes that cannot be delivered; without one they stop the
  /// source. `notificationTopics` are those of what is told of copies of existing rows,
  /// `transactionTopics` those of what is told of transactions.
  mutating func connected(
    at start: LSN, _ origin: StreamOrigin, messageTopics: [TopicID?],
    deadLetterTopics: [TopicID?] = [], notificationTopics: [TopicID?] = [],
    transactionTopics: [TopicID?] = []
  ) {
    self.origin = origin
    for (index, topic) in notificationTopics.enumerated() {
      lanes[index].notices = topic.map { Route(topic: $0, table: "") }
    }
    for (index, topic) in deadLetterTopics.enumerated() {
      lanes[index].sourceName = settings.source
      lanes[index].deadLetters = topic.map { Route(topic: $0, table: "") }
    }
    for (index, topic) in transactionTopics.enumerated() {
      encodings[index].metadataRoute = topic.map { Route(topic: $0, table: "") }
    }
    for index in encodings.indices {
      encodings[index].connected(origin, messageTopic: messageTopics[index])
    }
    connected(at: start)
    askTopicsAgain()
  }

  /// A new connection to the same database begins at `start`.
  mutating func connected(at start: LSN) {
    disconnected()
    connection += 1
    connectionStart = start
    connectionEnd = max(start, lanes.confirmed.max() ?? start)
    for index in encodings.indices { encodings[index].start(at: start) }
    keptPrepare = nil
    decoder = PgOutputDecoder()
    tables = KnownTables()
    requests = []
    awaitedTable = nil
    scan = TableScan()
    transaction = nil
    binaryFault = nil
    sent = .zero
    streamOffset = 0
    pings = 0
    replyRequested = false
  }

  mutating func open(_ transaction: Transaction) {
    self.transaction = transaction
    for index in lanes.indices {
      lanes[index].begin(transaction)
      encodings[index].begin(transaction)
    }
  }

  mutating func close(endLSN: LSN) {
    tellEnd(at: endLSN)
    if let transaction { observer.committed(events: transaction.nextOrdinal) }
    if read.isNeeded, let xid = transaction?.xid { read.add(xid) }
    transaction = nil
    sent = max(sent, endLSN)
    for index in lanes.indices {
      lanes[index].commit(endLSN: endLSN)
      encodings[index].end(endLSN)
    }
  }
}
