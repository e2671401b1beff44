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
}

/// A store that is also the memory of its sources: what one instance keeps in one place.
typealias SourceStore = PositionStore & SourceMemory
