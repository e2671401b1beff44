/// The commands of a replication connection, written for a server's version
/// (manual: "Streaming Replication Protocol").
///
/// The replication grammar knows upper-case keywords only, doubles quotes inside quotes, and before
/// version 14 reads even plain SQL with that grammar: SQL belongs on an ordinary connection.
/// Versions are numbers as `server_version_num` has them.
public enum ReplicationCommand {
  /// What a new slot does with the snapshot of its beginning.
  public enum Snapshot: String, CaseIterable, Sendable {
    /// Exports it for other sessions, until the next command on this connection.
    case export
    /// Takes it for the transaction that this connection has begun.
    case use
    /// Makes none.
    case nothing
  }

  /// Asks for system identifier, timeline, WAL position and database.
  public static let identifySystem = "IDENTIFY_SYSTEM"

  /// Creates a logical slot of the pgoutput plugin.
  ///
  /// The answer's row is the slot's name, its consistent point, the exported snapshot's name and the
  /// plugin. Throws ``PGError/unsupported(_:on:)`` for what the server is too old for.
  public static func createSlot(
    _ name: String, temporary: Bool = false, twoPhase: Bool = false, failover: Bool = false,
    snapshot: Snapshot = .nothing, serverVersion: Int
  ) throws(PGError) -> String {
    let server = ServerVersion(number: serverVersion)
    if twoPhase { try ServerFeature.twoPhase.require(on: server) }
    if failover { try ServerFeature.failoverSlots.require(on: server) }
    var command = "CREATE_REPLICATION_SLOT \(identifier(name))"
    if temporary { command += " TEMPORARY" }
    command += " LOGICAL \"pgoutput\""
    guard ServerFeature.slotOptionList.isAvailable(on: server) else {
      // The words of the old grammar; every version still takes them.
      switch snapshot {
      case .export: return command + " EXPORT_SNAPSHOT"
      case .use: return command + " USE_SNAPSHOT"
      case .nothing: return command + " NOEXPORT_SNAPSHOT"
      }
    }
    var options = ["SNAPSHOT \(literal(snapshot.rawValue))"]
    if twoPhase { options.append("TWO_PHASE true") }
    if failover { options.append("FAILOVER true") }
    return command + " (\(options.joined(separator: ", ")))"
  }

  /// Changes a slot that nobody streams from; what is nil stays.
  ///
  /// Throws ``PGError/unsupported(_:on:)`` before version 17, and for two-phase before 18.
  public static func alterSlot(
    _ name: String, failover: Bool? = nil, twoPhase: Bool? = nil, serverVersion: Int
  ) throws(PGError) -> String {
    precondition(failover != nil || twoPhase != nil, "altering a slot changes something")
    let server = ServerVersion(number: serverVersion)
    try ServerFeature.failoverSlots.require(on: server)
    if twoPhase != nil { try ServerFeature.alterTwoPhase.require(on: server) }
    let options = [failover.map { "FAILOVER \($0)" }, twoPhase.map { "TWO_PHASE \($0)" }]
    let list = options.compactMap { $0 }.joined(separator: ", ")
    return "ALTER_REPLICATION_SLOT \(identifier(name)) (\(list))"
  }

  /// Asks for a physical slot's type, restart position and timeline; a logical one is refused.
  ///
  /// Throws ``PGError/unsupported(_:on:)`` before version 15.
  public static func readSlot(_ name: String, serverVersion: Int) throws(PGError) -> String {
    try ServerFeature.readSlot.require(on: ServerVersion(number: serverVersion))
    return "READ_REPLICATION_SLOT \(identifier(name))"
  }

  /// Drops a slot.
  ///
  /// While somebody streams from it the server answers 55006, or waits for the end with `wait`.
  /// Servers before 13 complete the command twice.
  public static func dropSlot(_ name: String, wait: Bool = false) -> String {
    "DROP_REPLICATION_SLOT \(identifier(name))\(wait ? " WAIT" : "")"
  }

  /// Starts streaming at `lsn`, or at the slot's own position when that is later.
  ///
  /// `options` are those that the server has: ``PgOutputOptions/supported(by:)``.
  public static func start(slot: String, at lsn: LSN, _ options: PgOutputOptions) -> String {
    let list = options.pairs.map { "\"\($0.name)\" \(literal($0.value))" }
    return "START_REPLICATION SLOT \(identifier(slot)) LOGICAL \(lsn) "
      + "(\(list.joined(separator: ", ")))"
  }

  /// A name in double quotes, as both grammars read it.
  public static func identifier(_ name: String) -> String { "\"\(doubling("\"", in: name))\"" }

  /// A name as SQL reads it back, quoted only where it has to be: for commands that people paste.
  public static func pasted(_ name: String) -> String {
    let isPlain = name.utf8.enumerated().allSatisfy { index, byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "_"): true
      case UInt8(ascii: "0")...UInt8(ascii: "9"): index > 0
      default: false
      }
    }
    return isPlain && !name.isEmpty && !reserved.contains(name) ? name : identifier(name)
  }

  /// What is no name without quotes (manual: "SQL Key Words", the reserved ones of all versions).
  private static let reserved = Set(
    """
    all analyse analyze and any array as asc asymmetric authorization binary both case cast check \
    collate collation column concurrently constraint create cross current_catalog current_date \
    current_role current_schema current_time current_timestamp current_user default deferrable \
    desc distinct do else end except false fetch for foreign freeze from full grant group having \
    ilike in initially inner intersect into is isnull join lateral leading left like limit \
    localtime localtimestamp natural not notnull null offset on only or order outer overlaps \
    placing primary references returning right select session_user similar some symmetric \
    system_user table tablesample then to trailing true union unique user using variadic verbose \
    when where window with
    """.split(separator: " ").map(String.init))

  /// A text in single quotes, for the replication grammar and for SQL with
  /// standard_conforming_strings.
  public static func literal(_ text: String) -> String { "'\(doubling("'", in: text))'" }

  /// By scalars: for the server a quote is one too when a combining mark follows it.
  private static func doubling(_ quote: Unicode.Scalar, in text: String) -> String {
    var doubled = String.UnicodeScalarView()
    for scalar in text.unicodeScalars {
      doubled.append(scalar)
      if scalar == quote { doubled.append(scalar) }
    }
    return String(doubled)
  }
}
