/// What logical replication can do, and the major version of PostgreSQL that brought it.
///
/// The one table of such gates: commands and queries ask it, and docs/COMPATIBILITY.md is what real
/// servers answered when tests asked them for each of these.
public enum ServerFeature: String, CaseIterable, Sendable {
  /// Truncate messages, and `publish = 'truncate'`.
  case truncate = "truncate"
  /// wal_sender_timeout as a setting of a session.
  case sessionWALSenderTimeout = "wal_sender_timeout of a session"
  /// `publish_via_partition_root` of a publication.
  case partitionRoot = "publish_via_partition_root"
  /// logical_decoding_work_mem.
  case decodingMemory = "logical_decoding_work_mem"
  /// `wal_status` and `safe_wal_size` of a slot, and slots that the server invalidates.
  case slotWALStatus = "wal_status of slots"
  /// Logical messages of pg_logical_emit_message.
  case logicalMessages = "logical messages"
  /// Values in the types' binary form.
  case binary = "binary values"
  /// Transactions sent before they end: protocol 2.
  case streaming = "streaming of open transactions"
  /// idle_session_timeout.
  case idleSessionTimeout = "idle_session_timeout"
  /// CREATE_REPLICATION_SLOT with options in parentheses.
  case slotOptionList = "slot options in parentheses"
  /// Slots that decode at PREPARE TRANSACTION: protocol 3.
  case twoPhase = "two-phase slots"
  /// READ_REPLICATION_SLOT.
  case readSlot = "READ_REPLICATION_SLOT"
  /// `WHERE` on a published table.
  case rowFilters = "row filters"
  /// A list of columns on a published table.
  case columnLists = "column lists"
  /// FOR TABLES IN SCHEMA.
  case schemaPublications = "publications of schemas"
  /// Transactions without a published change are not sent.
  case skipsEmptyTransactions = "skipping of empty transactions"
  /// The option `origin`.
  case originFilter = "the origin filter"
  /// `streaming 'parallel'`: protocol 4.
  case parallelStreaming = "parallel streaming"
  /// Logical slots of a standby's own.
  case slotsOnStandbys = "logical slots on standbys"
  /// Slots that standbys keep in step, so that they outlive a failover.
  case failoverSlots = "failover slots"
  /// `invalidation_reason`, `inactive_since` and `synced` of a slot.
  case invalidationReason = "invalidation reasons of slots"
  /// ALTER_REPLICATION_SLOT with TWO_PHASE.
  case alterTwoPhase = "switching two-phase of a slot"
  /// Stored generated columns, by `publish_generated_columns` or a column list.
  case generatedColumns = "generated columns"

  /// The first major version that has it; 10 is the first with pgoutput at all.
  public var firstMajor: Int {
    switch self {
    case .truncate: 11
    case .sessionWALSenderTimeout: 12
    case .partitionRoot, .decodingMemory, .slotWALStatus: 13
    case .logicalMessages, .binary, .streaming, .idleSessionTimeout: 14
    case .slotOptionList, .twoPhase, .readSlot, .rowFilters, .columnLists, .schemaPublications,
      .skipsEmptyTransactions:
      15
    case .originFilter, .parallelStreaming, .slotsOnStandbys: 16
    case .failoverSlots, .invalidationReason: 17
    case .alterTwoPhase, .generatedColumns: 18
    }
  }

  /// Whether servers of this version have it.
  public func isAvailable(on server: ServerVersion) -> Bool { server.major >= firstMajor }

  /// Goes on when the server has it.
  ///
  /// Throws ``PGError/unsupported(_:on:)`` otherwise.
  public func require(on server: ServerVersion) throws(PGError) {
    guard isAvailable(on: server) else { throw .unsupported(self, on: server) }
  }
}
