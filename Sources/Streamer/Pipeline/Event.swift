import PGWire

/// What an event tells.
enum EventAction: Sendable {
  case insert, update, delete, truncate, read, message
  case prepare, commitPrepared, rollbackPrepared

  /// The word for it.
  var name: StaticString {
    switch self {
    case .insert: "insert"
    case .update: "update"
    case .delete: "delete"
    case .truncate: "truncate"
    case .read: "read"
    case .message: "message"
    case .prepare: "prepare"
    case .commitPrepared: "commit-prepared"
    case .rollbackPrepared: "rollback-prepared"
    }
  }
}

/// One event's place in the stream.
struct EventPlace {
  /// The change's own LSN.
  let lsn: LSN
  /// Its number in the transaction.
  let ordinal: UInt64
}

/// A row event: an action and the row images that belong to it, as views of the received bytes.
struct RowEvent: ~Escapable {
  /// What an event is of an update that changes the key.
  enum KeyChange {
    /// It stands for itself.
    case none
    /// The row under its old key goes away; in an extra event of one sink, see ``TableLane``.
    case delete, extraDelete
    /// The row appears under its new key.
    case insert
  }

  /// insert, update, delete or read.
  let action: EventAction
  /// Where it stands.
  let place: EventPlace
  /// The row after the change; for a delete the old row.
  let row: TupleData
  /// Whether of ``row`` only the key's columns are known.
  let isKeyOnly: Bool
  /// The old row, where the server sent one.
  let old: TupleData
  /// How much of the old row is known.
  let oldImage: Change.OldImage
  /// Whether the old row is part of the event, not only a source of values that were not sent.
  let showsOld: Bool
  /// Whether the event is one of the two that a changed key becomes.
  let part: KeyChange
  /// The row under its new key, where ``part`` is the delete.
  let successor: TupleData

  /// An insert, an update that keeps the key, or a delete: the change as it is; or, as an insert of a
  /// round, a row that existed.
  @_lifetime(copy change)
  init(_ change: borrowing Change, at place: EventPlace, isRead: Bool = false) {
    self.place = place
    self.old = change.old
    self.oldImage = change.oldImage
    self.showsOld = true
    self.part = .none
    self.successor = change.new
    switch change.kind {
    case .insert:
      action = isRead ? .read : .insert
      row = change.new
      isKeyOnly = false
    case .update:
      action = .update
      row = change.new
      isKeyOnly = false
    case .delete:
      action = .delete
      row = change.old
      isKeyOnly = change.oldImage == .key
    }
  }

  /// The first half of an update that changed the key: the row under its old key goes away.
  @_lifetime(copy change)
  init(deletingOldKeyOf change: borrowing Change, at place: EventPlace) {
    self.action = .delete
    self.place = place
    self.row = change.old
    self.isKeyOnly = change.oldImage == .key
    self.old = change.old
    self.oldImage = change.oldImage
    self.showsOld = true
    self.part = .delete
    self.successor = change.new
  }

  /// The second half: the row appears under its new key.
  ///
  /// The old image stays at hand for values that were not sent again, but is not part of the event.
  @_lifetime(copy change)
  init(insertingNewKeyOf change: borrowing Change, at place: EventPlace) {
    self.action = .insert
    self.place = place
    self.row = change.new
    self.isKeyOnly = false
    self.old = change.old
    self.oldImage = change.oldImage
    self.showsOld = false
    self.part = .insert
    self.successor = change.new
  }

  /// An update after which a row is a sink's for the first time.
  @_lifetime(copy update)
  init(enteringBy update: borrowing RowEvent) {
    self.action = .insert
    self.place = update.place
    self.row = update.row
    self.isKeyOnly = false
    self.old = update.old
    self.oldImage = update.oldImage
    self.showsOld = false
    self.part = .none
    self.successor = update.row
  }

  /// An update after which a row is none of a sink's any more; where its old row was not sent, its
  /// identity has not changed and stands in the new one.
  @_lifetime(copy update)
  init(leavingBy update: borrowing RowEvent) {
    let isSent = update.oldImage != .none
    self.action = .delete
    self.place = update.place
    self.row = isSent ? update.old : update.row
    self.isKeyOnly = update.oldImage != .full
    self.old = isSent ? update.old : update.row
    self.oldImage = isSent ? update.oldImage : .key
    self.showsOld = true
    self.part = .none
    self.successor = update.row
  }

  /// The same event with its rows as they were written anew.
  @_lifetime(copy rows)
  init(_ event: borrowing RowEvent, with rows: borrowing Change) {
    self.action = event.action
    self.place = event.place
    self.row = event.action == .delete ? rows.old : rows.new
    self.isKeyOnly = event.isKeyOnly
    self.old = rows.old
    self.oldImage = event.oldImage
    self.showsOld = event.showsOld
    self.part = event.part
    self.successor = rows.new
  }

  /// One half of an update that changes only the key of one sink.
  @_lifetime(copy update)
  init(_ part: KeyChange, ofUpdate update: borrowing RowEvent) {
    let isInsert = part == .insert
    self.action = isInsert ? .insert : .delete
    self.place = update.place
    self.row = isInsert ? update.row : update.old
    self.isKeyOnly = !isInsert && update.oldImage == .key
    self.old = update.old
    self.oldImage = update.oldImage
    self.showsOld = !isInsert
    self.part = part
    self.successor = update.row
  }
}
