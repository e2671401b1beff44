import PGWire

/// What a snapshot of the server sees (manual: "pg_snapshot", the text form).
struct ServerSnapshot: Hashable, Sendable {
  /// Every transaction below it has ended.
  var xmin: UInt64
  /// None at or above it is seen.
  var xmax: UInt64
  /// Those in between that had not ended: the lower 32 bits of their numbers.
  var running: Set<UInt32>
  /// On a standby, which lists none of those, where its replay of the log stood before it took the
  /// snapshot; nil on a primary.
  var replayed: LSN?

  /// The expression by which a server says what a new one sees.
  static func current(serverMajor: Int) -> String {
    "pg_catalog.\(serverMajor >= 13 ? "pg_current_snapshot" : "txid_current_snapshot")()::text"
  }

  /// Reads the text `xmin:xmax:xip,…`; nil for anything else.
  init?(_ text: String) {
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count == 3, let xmin = UInt64(parts[0]), let xmax = UInt64(parts[1]) else {
      return nil
    }
    let listed = parts[2].split(separator: ",").map { UInt64($0) }
    guard !listed.contains(nil) else { return nil }
    self.xmin = xmin
    self.xmax = xmax
    running = Set(listed.compactMap { $0.map { UInt32(truncatingIfNeeded: $0) } })
  }

  /// Whether it sees a committed transaction of that number; the stream's have 32 bits, and none is
  /// further than 2³¹ from the snapshot.
  func sees(_ xid: UInt32) -> Bool {
    Self.precedes(xid, xmax) && !running.contains(xid)
  }

  /// Whether it sees a transaction whose commit record begins there, below the place from which on none
  /// is seen; nil where that cannot be told.
  ///
  /// A standby makes transactions visible in the order of their commit records, and says by places
  /// which it had replayed. For those in between there is what holds everywhere: all below `xmin` have
  /// ended, and none from `xmax` on.
  func sees(_ xid: UInt32, at commitLSN: LSN) -> Bool? {
    guard let replayed else { return sees(xid) }
    if commitLSN < replayed || Self.precedes(xid, xmin) { return true }
    return Self.precedes(xid, xmax) ? nil : false
  }

  private static func precedes(_ xid: UInt32, _ other: UInt64) -> Bool {
    Int32(bitPattern: xid &- UInt32(truncatingIfNeeded: other)) < 0
  }
}

/// The transactions that were read and that a snapshot may not see yet.
///
/// A commit is decoded and sent before the transaction is visible to others: by an instant, or as long
/// as a synchronous standby takes. A snapshot that does not see what was read is older than the stream.
struct ReadTransactions {
  /// Whether existing rows will be read, so that they have to be kept in mind.
  var isNeeded = false
  private var xids: [UInt32] = []
  /// The snapshot must find everything below it ended, which may have been read without being kept in
  /// mind; nil before the first snapshot.
  private var horizon: UInt64?

  /// Begins with nothing in mind.
  init(isNeeded: Bool = false) { self.isNeeded = isNeeded }

  /// Nothing has been read before: the slot is new.
  mutating func startAfresh() {
    isNeeded = true
    horizon = horizon ?? 0
  }

  /// A transaction was read.
  mutating func add(_ xid: UInt32) {
    if xids.count >= Limits.readTransactions {
      xids.removeAll(keepingCapacity: true)
      horizon = nil
    }
    xids.append(xid)
  }

  /// Whether a snapshot that was just taken, and everything since, sees all that has been read; forgets
  /// what every later snapshot will see as well.
  mutating func areSeen(by snapshot: ServerSnapshot) -> Bool {
    if snapshot.replayed != nil {
      // What a standby sends it has replayed before, so what was read in front of the fence is seen.
      xids.removeAll(keepingCapacity: true)
      horizon = 0
      return true
    }
    let needed = horizon ?? snapshot.xmax
    horizon = needed
    let all = snapshot.xmin >= needed && xids.allSatisfy(snapshot.sees)
    let xmin = UInt32(truncatingIfNeeded: snapshot.xmin)
    xids.removeAll { Int32(bitPattern: $0 &- xmin) < 0 }
    return all
  }
}
