import PGWire

/// Where positions survive a restart.
///
/// A store may be asked by any thread, one call after the other; it may block for a disk, so a
/// pipeline asks it through its ``IOWorker``. Every call throws `StreamerError`; a full disk is
/// retryable, most else is not.
protocol PositionStore: AnyObject, Sendable {
  /// The stored positions of a source, one for each sink, ordered by the sink's name.
  func load(source: String) throws(StreamerError) -> [Position]

  /// Stores positions, all of them or none; durable when it returns.
  func save(_ positions: [Position]) throws(StreamerError)

  /// Forgets the position of a sink that no longer takes from the source.
  func forget(source: String, sink: String) throws(StreamerError)

  /// The value of `walPositionOverride` that was applied last, or nil when none was.
  func appliedOverride(source: String) throws(StreamerError) -> LSN?

  /// Stores the positions that an override leads to together with its value, so that neither a
  /// crash nor a restart applies it twice.
  func applyOverride(_ value: LSN, source: String, positions: [Position]) throws(StreamerError)

  /// The names of the key's columns that were remembered for a table with just these columns.
  func keyColumns(
    source: String, relationOID: UInt32, columns: [String]
  ) throws(StreamerError) -> [String]?

  /// Remembers the key's columns, so that a later ALTER does not change the keys of rows that are
  /// replayed; no columns means that the table has no key.
  func rememberKeyColumns(
    _ key: [String], source: String, relationOID: UInt32, columns: [String]
  ) throws(StreamerError)
}
