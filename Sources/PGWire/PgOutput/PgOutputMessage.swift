/// One message of the pgoutput plugin, valid as long as the bytes it was decoded from.
public enum PgOutputMessage: ~Escapable {
  /// A transaction begins; its changes follow.
  case begin(Begin)
  /// The transaction ends and is committed.
  case commit(Commit)
  /// The transaction came from another server.
  case origin(Origin)
  /// A table is described, before its first row and after every change of it.
  case relation(Relation)
  /// A type outside pg_catalog is named.
  case type(TypeName)
  /// A row was inserted, updated or deleted.
  case change(Change)
  /// A row or a logical message that was too large to be held; only a stream that abridges has it.
  case abridged(AbridgedMessage)
  /// Tables were truncated.
  case truncate(Truncate)
  /// An application wrote a logical message.
  case message(LogicalMessage)
  /// A chunk of an open transaction starts; its changes follow.
  case streamStart(StreamStart)
  /// The chunk ends.
  case streamStop
  /// A transaction that came in chunks is committed.
  case streamCommit(xid: UInt32, Commit)
  /// A transaction that came in chunks was rolled back, or a part of it.
  case streamAbort(StreamAbort)
  /// A transaction that is prepared begins; its changes follow.
  case beginPrepare(Prepare)
  /// The transaction ends and is prepared.
  case prepare(Prepare)
  /// A transaction that came in chunks is prepared.
  case streamPrepare(Prepare)
  /// A prepared transaction was committed.
  case commitPrepared(CommitPrepared)
  /// A prepared transaction was rolled back.
  case rollbackPrepared(RollbackPrepared)
}

/// The start of a transaction (manual: "Begin").
public struct Begin: Hashable, Sendable {
  /// Where the commit record starts: the transaction's commit LSN.
  public let finalLSN: LSN
  /// When it was committed: microseconds since 2000-01-01 00:00 UTC.
  public let commitTime: Int64
  /// The transaction's 32-bit number.
  public let xid: UInt32

  /// Makes a begin from its parts, for tests.
  public init(finalLSN: LSN, commitTime: Int64, xid: UInt32) {
    self.finalLSN = finalLSN
    self.commitTime = commitTime
    self.xid = xid
  }
}

/// The end of a transaction (manual: "Commit").
public struct Commit: Hashable, Sendable {
  /// Where the commit record starts; the same as its begin's ``Begin/finalLSN``.
  public let commitLSN: LSN
  /// Where the commit record ends: what may be acknowledged once all is delivered.
  public let endLSN: LSN
  /// When it was committed: microseconds since 2000-01-01 00:00 UTC.
  public let commitTime: Int64

  /// Makes a commit from its parts, for tests.
  public init(commitLSN: LSN, endLSN: LSN, commitTime: Int64) {
    self.commitLSN = commitLSN
    self.endLSN = endLSN
    self.commitTime = commitTime
  }
}

/// Where a replicated transaction was first made (manual: "Origin").
public struct Origin: Hashable, Sendable {
  /// The commit's position on that server; 0/0 in a stream.
  public let lsn: LSN
  /// The origin's name.
  public let name: String
}

/// The name of a type that a following relation uses (manual: "Type").
///
/// For a domain the name is that of its base type.
public struct TypeName: Hashable, Sendable {
  /// The type's OID.
  public let oid: UInt32
  /// Its schema; "pg_catalog" where the wire has an empty string.
  public let schema: String
  /// Its name.
  public let name: String
}

/// A change of one row (manual: "Insert", "Update", "Delete").
public struct Change: ~Escapable {
  /// What happened to the row.
  public enum Kind: Hashable, Sendable {
    /// There is a new row only.
    case insert
    /// There is a new row, and an old image when its key changed or the identity is full.
    case update
    /// There is an old image only.
    case delete
  }

  /// How much of the old row the server sent.
  public enum OldImage: Hashable, Sendable {
    /// Nothing.
    case none
    /// The columns of the replica identity; the others read as NULL without being it.
    case key
    /// The whole row.
    case full
  }

  /// What happened.
  public let kind: Kind
  /// The OID of the table.
  public let relation: UInt32
  /// How much of the old row ``old`` holds.
  public let oldImage: OldImage
  /// The old row; without columns when ``oldImage`` is none.
  public let old: TupleData
  /// The new row; without columns for a delete.
  public let new: TupleData

  @inlinable @_lifetime(copy old, copy new)
  init(
    kind: Kind, relation: UInt32, oldImage: OldImage, old: consuming TupleData,
    new: consuming TupleData
  ) {
    self.kind = kind
    self.relation = relation
    self.oldImage = oldImage
    self.old = old
    self.new = new
  }
}

/// Tables emptied by one TRUNCATE (manual: "Truncate"; PostgreSQL 11 and later).
public struct Truncate: Hashable, Sendable {
  /// Whether CASCADE was asked for.
  public let cascade: Bool
  /// Whether RESTART IDENTITY was asked for.
  public let restartIdentity: Bool
  /// The OIDs of the published tables among those truncated.
  public let relations: [UInt32]
}

/// What pg_logical_emit_message wrote (manual: "Message"; PostgreSQL 14 and later).
public struct LogicalMessage: ~Escapable {
  /// Whether it belongs to the transaction around it; else it came at once and stands alone.
  public let isTransactional: Bool
  /// Where the message's record ends.
  public let lsn: LSN
  /// What the application named it, in the client encoding.
  public let prefix: RawSpan
  /// What it wrote, raw.
  public let content: RawSpan

  /// Makes a message from its parts.
  @_lifetime(copy prefix, copy content)
  public init(isTransactional: Bool, lsn: LSN, prefix: RawSpan, content: RawSpan) {
    self.isTransactional = isTransactional
    self.lsn = lsn
    self.prefix = prefix
    self.content = content
  }
}
