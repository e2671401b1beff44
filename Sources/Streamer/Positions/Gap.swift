import PGWire

/// A place in a source's log behind which changes may be missing in the sinks, and what was done
/// about it: an entry of the ledger.
struct Gap: Hashable, Sendable {
  /// What made the gap; the raw values are those of the metric's label `cause`.
  enum Kind: String, CaseIterable, Sendable {
    /// The position belongs to another cluster.
    case cluster
    /// The position belongs to another database.
    case database
    /// The position belongs to another slot.
    case slot
    /// The position belongs to another publication.
    case publication
    /// The server left the position's timeline before it: a standby that lacked it was promoted, or a
    /// backup was restored.
    case timeline
    /// The slot has forgotten what follows the position: somebody moved it, or made it again.
    case slotMoved = "slot_moved"
    /// The slot was dropped, or a promoted standby never had it.
    case slotMissing = "slot_missing"
    /// The server has invalidated the slot.
    case slotInvalidated = "slot_invalidated"
    /// The server's log does not reach the position: a backup was restored.
    case serverBehind = "server_behind"
    /// The publication does not exist where the stream stands.
    case publicationMissing = "publication_missing"
    /// The slot held more than `walBudget` allows.
    case walBudget = "wal_budget"
  }

  /// What was done about it; the raw values are those of the metric's label `action`.
  enum Action: String, CaseIterable, Sendable {
    /// The source has stopped.
    case stop
    /// It has gone on without what is missing.
    case accept
    /// It has stopped and dropped the slot.
    case dropSlot = "drop_slot"
  }

  /// The source's name in the configuration.
  var source: String
  /// The least position that was known: everything before it is delivered.
  var from: LSN?
  /// Where reading goes on, or could; nil when there is no such place yet.
  var to: LSN?
  /// What made it.
  var kind: Kind
  /// The same in words.
  var cause: String
  /// What was done about it.
  var action: Action
  /// When it was found.
  var at = UTCTime.now

  /// Whether another entry says the same, at whatever time.
  func repeats(_ other: Gap) -> Bool {
    var copy = other
    copy.at = at
    return copy == self
  }
}
