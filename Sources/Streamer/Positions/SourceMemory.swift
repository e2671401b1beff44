import PGWire

/// What is remembered of a source besides positions, so that a restart does as before.
///
/// It is asked as a ``PositionStore`` is, and throws the same errors.
protocol SourceMemory: AnyObject, Sendable {
  /// The value of `walPositionOverride` that was applied last, or nil when none was.
  func appliedOverride(source: String) throws(StreamerError) -> LSN?

  /// Stores the positions that an override leads to together with its value, so that neither a
  /// crash nor a restart applies it twice.
  func applyOverride(_ value: LSN, source: String, positions: [Position]) throws(StreamerError)

  /// The key's columns of a table that is described at `lsn`, when this description is a replay:
  /// a later one of the same table is remembered. Nil otherwise, and when nothing as old is known:
  /// then the catalog says, and ``rememberKeyColumns(_:of:at:)`` is told.
  func keyColumns(of table: DescribedTable, at lsn: LSN) throws(StreamerError) -> [String]?

  /// Remembers what the catalog said of a table that is described at `lsn`, so that a later ALTER
  /// does not change the keys of rows that are replayed; no columns means that there is no key.
  ///
  /// What says the same as the newest that is known of the table is not stored again.
  func rememberKeyColumns(
    _ key: [String], of table: DescribedTable, at lsn: LSN
  ) throws(StreamerError)

  /// Forgets what no replay of a source can need any more: keys that were replaced by `lsn`, and
  /// everything of another cluster or database.
  ///
  /// `lsn` must be at or below whatever may be described again. That is the slot's restart LSN: an
  /// open transaction's tables may be described before the confirmed position.
  func prune(_ origin: SourceOrigin, before lsn: LSN) throws(StreamerError)

  /// The copies of a database's existing rows that are kept, and how far each is.
  func copies(of origin: SourceOrigin) throws(StreamerError) -> CopyBook

  /// Stores copies and how far their tables are, all of it or nothing, each in place of the one before;
  /// durable when it returns.
  func save(_ copies: CopyBook, of origin: SourceOrigin) throws(StreamerError)

  /// Forgets copies with all of their tables, and single tables.
  func forget(_ copies: CopyBook, of origin: SourceOrigin) throws(StreamerError)

  /// The next offset of each partition of a signal topic that a source has read; none before the first.
  func signalOffsets(
    source: String, topic: String
  ) throws(StreamerError) -> [Int32: Int64]

  /// Stores how far a source has read a partition of a signal topic; durable when it returns.
  func save(
    signalOffset: Int64, of partition: Int32, topic: String, source: String
  ) throws(StreamerError)

  /// Remembers that the keys in the sinks have to be compared with a database's tables, in place of what
  /// was owed of the source; durable when it returns.
  func owe(_ comparison: OwedComparison) throws(StreamerError)

  /// What is owed of a source; nil when nothing is.
  func owedComparison(source: String) throws(StreamerError) -> OwedComparison?

  /// It is made; another that came to be owed meanwhile stays.
  func settle(_ comparison: OwedComparison) throws(StreamerError)

  /// Adds a gap to the ledger, unless the source's last entry says the same; durable when it returns.
  ///
  /// Of each source the newest ``Limits/gaps`` are kept.
  func record(_ gap: Gap) throws(StreamerError)

  /// The ledger of a source, the oldest entry first.
  func gaps(source: String) throws(StreamerError) -> [Gap]
}

/// A comparison of keys that a copy over a gap owes: it does not tell which rows were deleted.
struct OwedComparison: Hashable, Sendable {
  /// The database whose tables are compared.
  var origin: SourceOrigin
  /// When the gap was found.
  var since = UTCTime.now
}

/// The database that a source reads, which object identifiers and LSNs belong to.
struct SourceOrigin: Hashable, Sendable {
  /// The source's name in the configuration.
  var source: String
  /// The cluster's identifier as IDENTIFY_SYSTEM prints it.
  var systemIdentifier: String
  /// The database.
  var database: String
}

/// A table as a Relation message describes it.
struct DescribedTable: Hashable, Sendable {
  /// Where it lies.
  var origin: SourceOrigin
  /// Its object identifier.
  var relationOID: UInt32
  /// The names of its columns, in their order.
  var columns: [String]
}
