import PGWire

/// A sink that keeps its position itself, together with the records that lead to it: both become
/// visible at once, or neither does.
///
/// What it reports as durable is committed. ``claim()`` blocks and runs on the I/O worker; everything
/// else runs on the pipeline's thread.
protocol TransactionalSink: Sink {
  /// Whether ``claim()`` was called: what it said holds for one connection to the source.
  var isClaimed: Bool { get }

  /// Shuts out whoever wrote under the same name before, and gives the position that was committed
  /// last; nil when there is none. To be called when nobody else reads the slot.
  func claim() throws(StreamerError) -> KeptPosition?

  /// Reading has begun: the positions that follow belong to this history. A sink that was claimed since
  /// the last time stands at `place`.
  func begin(_ identity: PositionIdentity, options: String, at place: ReadPlace)

  /// Everything up to there has been sent.
  func reached(_ place: ReadPlace)

  /// Whether the end of a transaction is waited for.
  var awaitsBoundary: Bool { get }

  /// Whether records were sent that are not committed.
  var isUncommitted: Bool { get }

  /// The position that was committed since the last call.
  func takeCommitted() -> LSN?

  /// A stop has begun: nothing waits for its interval any more.
  func hurry()
}

/// What came of asking a sink where it stands.
struct SinkClaim: Hashable, Sendable {
  /// The position that it has kept; nil when it has none.
  var kept: KeptPosition?
  /// Where reading goes on inside a transaction: only when it begins at that very position.
  var cut: ReadPlace.Cut?
}

/// A position that a sink has kept.
struct KeptPosition: Hashable, Sendable {
  /// The position.
  var position: Position
  /// What of the transaction behind it is written; nil when nothing is.
  var cut: ReadPlace.Cut?
  /// How far existing rows are written; nil where none are copied.
  var copied: CopyPlace?
  /// What was asked of pgoutput, on which a transaction's ordinals depend.
  var options: String
}

extension KeptPosition {
  /// How far the existing rows of a database are written; nil where it is another's.
  func copied(of origin: SourceOrigin) -> CopyPlace? {
    position.systemIdentifier == origin.systemIdentifier && position.database == origin.database
      ? copied : nil
  }
}

extension PgOutputOptions {
  /// What the ordinals of a transaction's events depend on, besides the server's own configuration.
  var ordinals: String {
    "publications=\(publications.joined(separator: ",")) messages=\(messages) "
      + "origin=\(origin?.rawValue ?? "") twoPhase=\(twoPhase)"
  }
}
