/// The answer to IDENTIFY_SYSTEM: which cluster this is and how far its WAL reaches.
public struct SystemIdentification: Hashable, Sendable {
  /// The cluster's number, made by initdb.
  public let systemIdentifier: String
  /// The history it is on; a promotion begins a new one.
  public let timeline: UInt32
  /// The position up to which WAL is flushed.
  public let flushLSN: LSN

  /// Reads the answer's one row: systemid, timeline, xlogpos, dbname; nil when it is not that.
  public init?(row: [String?]) {
    guard row.count >= 3, let systemIdentifier = row[0], let timeline = row[1].flatMap(UInt32.init),
      let flushLSN = row[2].flatMap({ LSN($0) })
    else { return nil }
    self.systemIdentifier = systemIdentifier
    self.timeline = timeline
    self.flushLSN = flushLSN
  }

  /// Makes an identification from its parts, for tests.
  public init(systemIdentifier: String, timeline: UInt32, flushLSN: LSN) {
    self.systemIdentifier = systemIdentifier
    self.timeline = timeline
    self.flushLSN = flushLSN
  }
}
