/// How far a copy is, for whoever asks.
extension Snapshot {
  /// What is worth a line in the log.
  enum Remark {
    case began(CopyRequest, tables: Int)
    case copied(TableProgress)
    case gone(TableProgress)
    /// A round has ended: how many rows it had and how long the stream has waited.
    case round(rows: Int64, pause: Duration)
    /// A snapshot was given up, and so many one after the other: the stream has not come to it in time,
    /// or was ahead of it.
    case stale(times: Int, isLate: Bool)
    case failed(StreamerError)
    /// A copy cannot be made.
    case refused(CopyRequest)
    case finished(CopyRequest, tables: Int, rows: Int64)
  }

  /// How far the copy is whose turn it is, or was last.
  var status: SnapshotStatus {
    let request = current ?? book.unfinished.first.flatMap { book[$0] } ?? book.requests.last
    let progress = request.map { book.tables(of: $0.number) } ?? []
    var status = SnapshotStatus(
      tables: progress.count, tablesDone: progress.count { $0.isDone },
      rows: progress.reduce(0) { $0 + $1.rows }, bytes: pace.bytes, pauses: pauses)
    let left = progress.filter { !$0.isDone }
    status.isPaused = current == nil && !left.isEmpty
    status.table = left.first?.name
    let counted = left.map { (estimate: estimates[$0.relation] ?? -1, rows: $0.rows) }
    if !counted.contains(where: { $0.estimate < 0 }) {
      // Where there are more rows than the server believes, its belief is of no use for that table.
      status.estimatedRows =
        counted.reduce(0) { $0 + max($1.estimate, $1.rows) }
        + progress.filter(\.isDone).reduce(0) { $0 + $1.rows }
    }
    status.rowsPerSecond = status.isUnderWay ? pace.rowsPerSecond : nil
    return status
  }

  /// All copies, for whoever asks for a list.
  var list: [CopyStatus] {
    book.requests.map { CopyStatus($0, book.tables(of: $0.number), isCurrent: $0 == current) }
  }
}

/// What has been read of a copy by this process, and how fast it went lately.
struct CopyPace: Sendable {
  typealias Instant = ContinuousClock.Instant

  /// How much has been read.
  private(set) var rows: Int64 = 0
  private(set) var bytes: Int64 = 0
  /// How many rows had been read at some moments of the last while, the oldest first.
  private var samples: [(rows: Int64, time: Instant)] = []
  private var latest: Instant?

  /// Rows are going to be read; nothing happens when they were already.
  mutating func begin(now: Instant) {
    if samples.isEmpty { samples = [(rows, now)] }
    latest = max(latest ?? now, now)
  }

  /// Rows have been read.
  mutating func add(rows: Int64, bytes: Int64, now: Instant) {
    self.rows += rows
    self.bytes += bytes
    latest = now
    guard let last = samples.last, now - last.time >= Limits.copySample else { return }
    samples.append((self.rows, now))
    if samples.count > Limits.copySamples { samples.removeFirst() }
  }

  /// Nothing is read for as long as somebody likes: that is no slowness.
  mutating func pause() { samples = [] }

  /// How many rows came in a second; nil before that can be said.
  var rowsPerSecond: Double? {
    guard let first = samples.first, let latest, latest - first.time >= Limits.copySample,
      rows > first.rows
    else { return nil }
    return Double(rows - first.rows) / (latest - first.time).inSeconds
  }
}

/// How often changes have waited for existing rows, and for how long.
struct CopyPauses: Hashable, Sendable {
  /// How often.
  private(set) var count: UInt64 = 0
  /// How long the last time, the longest time, and in all.
  private(set) var last = Duration.zero
  private(set) var longest = Duration.zero
  private(set) var total = Duration.zero

  /// One more.
  mutating func add(_ pause: Duration) {
    count += 1
    last = pause
    longest = max(longest, pause)
    total += pause
  }
}
