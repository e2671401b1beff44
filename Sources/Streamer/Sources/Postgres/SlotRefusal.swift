import PGWire

/// Why a source cannot read from a slot that exists, and what to do about it.
struct SlotRefusal: Hashable {
  /// Goes after the slot's name.
  let why: String
  /// The remedy, as sentences.
  let hint: String
  /// Whether waiting may help.
  let isTemporary: Bool
  /// Whether the slot is of no use to anybody any more.
  let isLost: Bool

  /// Examines a slot; nil when it can be read.
  ///
  /// That somebody reads it now is no refusal.
  init?(of slot: ReplicationSlot, database: String) {
    let another = "Choose another replicationSlot."
    if slot.plugin != "pgoutput" {
      self.init(
        "belongs to plugin \(slot.plugin ?? "none: it is physical"), not to pgoutput", another)
    } else if slot.database != database {
      self.init("belongs to database \(slot.database ?? "none")", another)
    } else {
      switch slot.health {
      case .usable, .atRisk: return nil
      case .lost(let loss):
        self.init(
          "was invalidated: \(loss.explanation)",
          "Run once with --accept-gap to drop it (as pg_drop_replication_slot does) and begin anew, "
            + "without what lies between. " + loss.prevention, isLost: true)
      case .synchronized:
        self.init(
          "is kept in step with the primary by this standby, and cannot be read here",
          "Read it on the primary; after a promotion it can be read here.", isTemporary: true)
      }
    }
  }

  private init(
    _ why: String, _ hint: String, isTemporary: Bool = false, isLost: Bool = false
  ) {
    self.why = why
    self.hint = hint
    self.isTemporary = isTemporary
    self.isLost = isLost
  }
}
