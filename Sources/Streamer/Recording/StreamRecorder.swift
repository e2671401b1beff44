import CLinux
import Glibc
import PGWire
import Recording

/// Records one source: connects as a pipeline does, writes what the server sends, and acknowledges
/// what is durable in the file.
///
/// It runs on the thread that calls it and blocks there: recording has nothing else to do.
struct StreamRecorder: ~Copyable {
  /// When a recording ends by itself.
  struct Limits: Hashable, Sendable {
    /// After that time.
    var duration: Duration?
    /// After so many transactions.
    var transactions: Int?
    /// When the file has so many bytes.
    var size: Int?
  }

  /// What a recording came to, for the user.
  struct Summary {
    var bytes = 0
    var messages = 0
    var transactions = 0
    var fileSize = 0
    var duration = Duration.zero
    /// Everything before it is in the file.
    var complete = LSN.zero
  }

  private let name: String
  private let source: PostgresSourceConfiguration
  private let reconnects: Bool
  private let session: PostgresSession
  private let path: String
  private let limits: Limits
  private let start = ContinuousClock.now
  private var writer: RecordingWriter?
  private var tap = StreamTap()
  private var identity: PositionIdentity?
  private var bytes = 0
  private var fileSize = 0
  private var durable = LSN.zero
  private var statusInterval = Streamer.Limits.statusInterval
  private var lastStatus = ContinuousClock.now
  private var nextFlush = ContinuousClock.now
  private var backoff: Backoff
  private var random = SystemRandomNumberGenerator()

  /// Prepares to record a source; without `reconnects` it ends when the connection is lost.
  ///
  /// An `interruption` ends waits for the server.
  init(
    _ name: String, _ source: PostgresSourceConfiguration, reconnects: Bool, to path: String,
    _ limits: Limits, log: Log, interruption: WaitBreaker
  ) {
    self.name = name
    self.source = source
    self.reconnects = reconnects
    self.path = path
    self.limits = limits
    // The recording takes a sink's place: what is durable in it is its position.
    session = PostgresSession(
      name: name, source, sinks: [path], store: MemoryPositionStore(), log: log,
      interruption: interruption)
    tap.transactionLimit = limits.transactions
    tap.stopsWithoutPublication = source.onGap == .stop
    backoff = Backoff(longest: source.startRetryInterval)
  }

  /// What the recording has come to.
  var summary: Summary {
    Summary(
      bytes: bytes, messages: tap.messages, transactions: tap.transactions,
      fileSize: fileSize, duration: .now - start, complete: durable)
  }

  /// Whether the file exists: from the first connection on.
  var hasBegun: Bool { writer != nil }

  /// Records until a signal comes, a limit is reached, or the connection of a plan that does not
  /// reconnect is lost.
  ///
  /// The file is ended properly then. `progress` is called at every turn.
  ///
  /// Throws what ended it before its time.
  mutating func run(
    _ signals: borrowing Interruption, progress: (Summary) -> Void
  ) throws(StreamerError) {
    while true {
      var stream: ReplicationStream
      do throws(StreamerError) { stream = try connect() } catch {
        // Without a file there is nothing to save: the first attempt decides.
        guard writer != nil, reconnects, error.isRetryable else {
          try finish()
          throw error
        }
        if pause(signals) { return try finish() }
        continue
      }
      var failure: StreamerError?
      do throws(StreamerError) { try record(&stream, signals, progress) } catch { failure = error }
      // A stop may have ended a question to the catalog: the stream is as it was.
      guard let error = failure, !session.isStopping || !error.isRetryable else {
        return try end(stream)
      }
      guard error.isRetryable else {
        // The disk is full, most likely: what the file has was cut to whole blocks.
        try? finish()
        throw error
      }
      try write { (writer) throws(RecordingError) in
        try writer.disconnected(error.why, now: .now)
      }
      guard reconnects else {
        try finish()
        throw error
      }
      try flush()
      if pause(signals) { return try finish() }
    }
  }

  // MARK: - Connecting

  private mutating func connect() throws(StreamerError) -> ReplicationStream {
    // A recording holds text: its events are the same, and no type in it can be unreadable.
    let attempt = PostgresAttempt(
      known: identity.map { [$0.position(sink: path, lsn: durable)] }, streams: reconnects)
    let established = try session.establish(attempt).get()
    guard let stream = established.takeStream() else {
      preconditionFailure("a stream is taken once")
    }
    if writer == nil { try create(established) }
    identity = established.identity
    statusInterval = established.statusInterval
    tap.connected(at: established.recorded.startLSN)
    try write { (writer) throws(RecordingError) in
      try writer.connected(established.recorded, now: .now)
    }
    return stream
  }

  private mutating func create(_ established: EstablishedSession) throws(StreamerError) {
    let identity = established.identity
    let header = RecordingHeader(
      program: Version.text.split(separator: "\n").first.map(String.init) ?? "psql-streamer",
      startTime: Self.microsecondsSince2000(), systemIdentifier: identity.systemIdentifier,
      database: identity.database, slot: identity.slot, publications: identity.publications)
    do throws(RecordingError) {
      writer = try RecordingWriter(
        creating: path, header, compression: .zstd(level: 3), now: start)
    } catch { throw StreamerError(error, recording: path) }
  }

  /// Waits before the next attempt; says whether a signal has ended the wait.
  private mutating func pause(_ signals: borrowing Interruption) -> Bool {
    do throws(StreamerError) {
      try signals.pause(backoff.next(using: &random))
      return false
    } catch { return true }
  }

  // MARK: - Recording

  /// Records one connection until a signal or a limit ends it; throws when it is lost.
  private mutating func record(
    _ stream: inout ReplicationStream, _ signals: borrowing Interruption,
    _ progress: (Summary) -> Void
  ) throws(StreamerError) {
    // The first update tells the server that somebody lives here.
    acknowledge(&stream)
    while true {
      try take(&stream)
      if let gap = tap.gap {
        throw StreamerError(.server(gap), source: source, name: name, streams: false)
      }
      if let ending = tap.ending {
        throw StreamerError(what: "source \(name)", why: ending, retryable: true)
      }
      if signals.next() != nil || hasReachedLimit { return }
      let now = ContinuousClock.now
      try write { (writer) throws(RecordingError) in try writer.writeIfDue(now: now) }
      if now >= nextFlush || tap.replyRequested, tap.complete > durable {
        try flush()
        acknowledge(&stream)
        backoff.reset()
      } else if tap.replyRequested || now >= lastStatus + statusInterval {
        acknowledge(&stream)
      }
      progress(summary)
      guard !stream.hasPending else {
        try receive(&stream)
        continue
      }
      if wait(for: stream, signals) { try receive(&stream) }
    }
  }

  private var hasReachedLimit: Bool {
    (limits.duration.map { .now >= start + $0 } ?? false)
      || (limits.transactions.map { tap.transactions >= $0 } ?? false)
      || (limits.size.map { fileSize >= $0 } ?? false)
  }

  /// Sleeps until the server sends, a signal comes or something is due; says whether there is
  /// something to read.
  private func wait(
    for stream: borrowing ReplicationStream, _ signals: borrowing Interruption
  ) -> Bool {
    var next = min(lastStatus + statusInterval, .now + Streamer.Limits.recorderTick)
    if let duration = limits.duration { next = min(next, start + duration) }
    // In a burst the socket is left alone for a while, as a pipeline does.
    if let readBy = stream.pace.readBy {
      _ = Self.wait(signals.descriptor, -1, until: min(next, readBy))
      return ContinuousClock.now >= readBy
    }
    return Self.wait(signals.descriptor, stream.descriptor, until: next)
  }

  /// Waits to the nanosecond: a gulp's pause is shorter than two milliseconds.
  private static func wait(
    _ signals: CInt, _ stream: CInt, until due: ContinuousClock.Instant
  ) -> Bool {
    let (seconds, attoseconds) = max(due - .now, .zero).components
    return clinux_wait(signals, stream, seconds * 1_000_000_000 + attoseconds / 1_000_000_000) != 0
  }

  private func receive(_ stream: inout ReplicationStream) throws(StreamerError) {
    do throws(PGError) { _ = try stream.receive(now: .now) } catch {
      throw StreamerError(error, source: source, name: name)
    }
  }

  /// Records what was received, with the catalog's answer before each table's description.
  private mutating func take(_ stream: inout ReplicationStream) throws(StreamerError) {
    while true {
      let step: StreamTap.Step
      do throws(DecodingError) { step = try tap.step(stream.received) } catch {
        try write(stream.received, stream.received.byteCount)
        throw StreamerError(
          what: "source \(name)",
          why: "protocol violation in replication, a message's header: \(error)", retryable: true)
      }
      switch step {
      case .record(0): return
      case .record(let count):
        try write(stream.received, count)
        stream.consume(count)
        if hasReachedLimit || tap.gap != nil { return }
      case .describe(let relation): try describe(relation)
      }
    }
  }

  private mutating func describe(_ relation: Relation) throws(StreamerError) {
    let request = TableRequest(
      number: 0, connection: 0, relation: relation, topics: [], position: tap.complete)
    let facts = try session.lookUp([request]).get()
    let recorded = RecordedRelation(
      relation: relation, catalogKey: facts[0].catalogKey,
      types: facts[0].types.learned(for: relation.columns.map(\.type)))
    try write { (writer) throws(RecordingError) in try writer.relation(recorded, now: .now) }
    tap.described()
  }

  // MARK: - The file

  private mutating func write(_ window: RawSpan, _ count: Int) throws(StreamerError) {
    bytes += count
    let piece = window.extracting(first: count)
    try write { (writer) throws(RecordingError) in try writer.received(piece, now: .now) }
  }

  private mutating func write(
    _ body: (inout RecordingWriter) throws(RecordingError) -> Void
  ) throws(StreamerError) {
    guard var writer = writer.take() else { return }
    do throws(RecordingError) {
      try body(&writer)
      fileSize = writer.size
      self.writer = consume writer
    } catch {
      fileSize = writer.size
      self.writer = consume writer
      throw StreamerError(error, recording: path)
    }
  }

  /// Makes everything that was recorded durable.
  private mutating func flush() throws(StreamerError) {
    nextFlush = .now + RecordingFormat.blockInterval
    try write { (writer) throws(RecordingError) in try writer.flush() }
    durable = tap.complete
  }

  /// Ends the file and then the stream, in an orderly way.
  private mutating func end(_ stream: consuming ReplicationStream) throws(StreamerError) {
    try finish()
    acknowledge(&stream)
    stream.close(within: Streamer.Limits.release, rest: tap.rest)
  }

  /// Ends the file, if there is one.
  private mutating func finish() throws(StreamerError) {
    let (messages, transactions) = (tap.messages, tap.transactions)
    try write { (writer) throws(RecordingError) in
      try writer.end(messages: messages, transactions: transactions, now: .now)
    }
    durable = tap.complete
    session.close()
  }

  /// Tells the server what is durable; a lost connection is noticed at the next read.
  private mutating func acknowledge(_ stream: inout ReplicationStream) {
    tap.replyRequested = false
    lastStatus = .now
    try? stream.send(StandbyStatusUpdate(written: tap.sent, flushed: durable))
  }

  private static func microsecondsSince2000() -> Int64 {
    var time = timespec()
    _ = unsafe clock_gettime(CLOCK_REALTIME, &time)
    return (Int64(time.tv_sec) - 946_684_800) * 1_000_000 + Int64(time.tv_nsec) / 1000
  }
}

extension StreamerError {
  /// What a failure of a recording's file means.
  init(_ error: RecordingError, recording path: String) {
    var hint = ""
    if case .system(_, let number) = error.reason {
      hint =
        switch number {
        case EEXIST: "Choose another name: a recording is never replaced."
        case ENOSPC, EDQUOT, EFBIG:
          "The disk is full: the file ends with its last whole block and can be read."
        default: ""
        }
    }
    self.init(what: "recording \(path)", why: "\(error)", hint: hint)
  }
}
