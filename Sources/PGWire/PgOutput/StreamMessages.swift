/// A chunk of an open transaction starts (manual: "Stream Start"; PostgreSQL 14 and later).
public struct StreamStart: Hashable, Sendable {
  /// The whole transaction's number; its changes carry their subtransactions'.
  public let xid: UInt32
  /// Whether it is the transaction's first chunk on this connection.
  public let isFirst: Bool
}

/// An open transaction, or a part of it, has been rolled back (manual: "Stream Abort").
public struct StreamAbort: Hashable, Sendable {
  /// The whole transaction's number.
  public let xid: UInt32
  /// What was rolled back: a subtransaction, or, with the same number, the whole.
  public let subtransaction: UInt32
  /// Where the abort record ends, and when it was written (microseconds since 2000-01-01 00:00 UTC).
  ///
  /// Only with `streaming 'parallel'` (PostgreSQL 16 and later).
  public let position: Position?

  /// Where and when a transaction was rolled back.
  public struct Position: Hashable, Sendable {
    /// Where the abort record ends.
    public let lsn: LSN
    /// When: microseconds since 2000-01-01 00:00 UTC.
    public let time: Int64
  }

  /// Whether the whole transaction was rolled back.
  public var isWhole: Bool { xid == subtransaction }

  init(from reader: inout ByteReader) throws(DecodingError) {
    xid = try reader.integer()
    subtransaction = try reader.integer()
    position =
      reader.isAtEnd ? nil : Position(lsn: try reader.lsn(), time: try reader.integer())
  }
}

/// A prepared transaction (manual: "Begin Prepare", "Prepare", "Stream Prepare"; PostgreSQL 15 and
/// later).
public struct Prepare: Hashable, Sendable {
  /// Where the prepare record starts.
  public let prepareLSN: LSN
  /// Where the prepare record ends: what may be acknowledged once all is delivered.
  public let endLSN: LSN
  /// When it was prepared: microseconds since 2000-01-01 00:00 UTC.
  public let prepareTime: Int64
  /// The transaction's 32-bit number.
  public let xid: UInt32
  /// The name that PREPARE TRANSACTION gave it.
  public let gid: String

  init(from reader: inout ByteReader) throws(DecodingError) {
    prepareLSN = try reader.lsn()
    endLSN = try reader.lsn()
    prepareTime = try reader.integer()
    xid = try reader.integer()
    gid = try reader.string()
  }
}

/// A prepared transaction was committed (manual: "Commit Prepared").
public struct CommitPrepared: Hashable, Sendable {
  /// Where the commit record starts.
  public let commitLSN: LSN
  /// Where the commit record ends.
  public let endLSN: LSN
  /// When it was committed: microseconds since 2000-01-01 00:00 UTC.
  public let commitTime: Int64
  /// The transaction's 32-bit number.
  public let xid: UInt32
  /// The name that PREPARE TRANSACTION gave it.
  public let gid: String

  init(from reader: inout ByteReader) throws(DecodingError) {
    commitLSN = try reader.lsn()
    endLSN = try reader.lsn()
    commitTime = try reader.integer()
    xid = try reader.integer()
    gid = try reader.string()
  }
}

/// A prepared transaction was rolled back (manual: "Rollback Prepared").
public struct RollbackPrepared: Hashable, Sendable {
  /// Where its prepare record ends.
  public let prepareEndLSN: LSN
  /// Where the rollback record ends; where it starts is not on the wire.
  public let rollbackEndLSN: LSN
  /// When it was prepared: microseconds since 2000-01-01 00:00 UTC.
  public let prepareTime: Int64
  /// When it was rolled back: microseconds since 2000-01-01 00:00 UTC.
  public let rollbackTime: Int64
  /// The transaction's 32-bit number.
  public let xid: UInt32
  /// The name that PREPARE TRANSACTION gave it.
  public let gid: String

  init(from reader: inout ByteReader) throws(DecodingError) {
    prepareEndLSN = try reader.lsn()
    rollbackEndLSN = try reader.lsn()
    prepareTime = try reader.integer()
    rollbackTime = try reader.integer()
    xid = try reader.integer()
    gid = try reader.string()
  }
}
