/// Whether a logical slot can be streamed from.
public enum SlotHealth: Hashable, Sendable {
  /// It can.
  case usable
  /// It can, but it lags so far that the server may invalidate it.
  case atRisk
  /// The server has invalidated it, for good.
  case lost(Loss)
  /// A standby keeps it in step with its primary, and lets nobody read it until it is promoted.
  case synchronized

  /// Why a server invalidates a slot (manual: "pg_replication_slots").
  public enum Loss: Hashable, Sendable {
    /// The slot fell too far behind for max_slot_wal_keep_size.
    case walRemoved
    /// Recovery on a standby removed rows of the catalog that decoding needs.
    case rowsRemoved
    /// The primary of a standby has lowered wal_level.
    case walLevelInsufficient
    /// Nobody read it for idle_replication_slot_timeout.
    case idleTimeout
    /// Something that a later version has.
    case other(String)

    /// Reads the column `invalidation_reason`.
    public init(_ reason: String) {
      switch reason {
      case "wal_removed": self = .walRemoved
      case "rows_removed": self = .rowsRemoved
      case "wal_level_insufficient": self = .walLevelInsufficient
      case "idle_timeout": self = .idleTimeout
      default: self = .other(reason)
      }
    }

    /// What happened, to follow "was invalidated: ".
    public var explanation: String {
      switch self {
      case .walRemoved: "the server has removed WAL that it needed"
      case .rowsRemoved: "recovery has removed catalog rows that it needed"
      case .walLevelInsufficient: "the primary's wal_level is no longer logical"
      case .idleTimeout: "nobody read it for idle_replication_slot_timeout"
      case .other(let reason): reason
      }
    }

    /// What keeps the next slot from the same end, as a sentence.
    public var prevention: String {
      switch self {
      case .walRemoved: "Raise max_slot_wal_keep_size."
      case .rowsRemoved: "Set hot_standby_feedback = on, with a slot between the servers."
      case .walLevelInsufficient: "Set wal_level = logical on the primary."
      case .idleTimeout: "Raise idle_replication_slot_timeout."
      case .other: "See the server's log."
      }
    }
  }
}

extension ReplicationSlot {
  /// Whether it can be streamed from, as far as the server's version tells.
  ///
  /// For a logical slot. Versions before 13 invalidate no slot; from 17 the server names the reason.
  /// Before, a primary has but one; `conflicting` of 16 is set whatever it was, so that a standby's
  /// reason stays open.
  public var health: SlotHealth {
    if let invalidationReason { return .lost(SlotHealth.Loss(invalidationReason)) }
    if isConflicting == true, isOnStandby {
      return .lost(.other("recovery was in conflict with it, or has removed WAL that it needed"))
    }
    if walStatus == "lost" || restartLSN == nil { return .lost(.walRemoved) }
    if isSynced == true, isOnStandby { return .synchronized }
    // Without max_slot_wal_keep_size a slot that holds much is `extended` as well, and in no danger.
    let isLimited = safeWALSize != nil
    return walStatus == "unreserved" || walStatus == "extended" && isLimited ? .atRisk : .usable
  }
}
