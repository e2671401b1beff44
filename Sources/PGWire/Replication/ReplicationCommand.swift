/// The commands of a replication connection, written for a server's version
/// (manual: "Streaming Replication Protocol").
///
/// The replication grammar knows upper-case keywords only, doubles quotes inside quotes, and before
/// version 14 reads even plain SQL with that grammar: SQL belongs on an ordinary connection.
public enum ReplicationCommand {
  /// Asks for system identifier, timeline, WAL position and database.
  public static let identifySystem = "IDENTIFY_SYSTEM"

  /// Creates a logical slot of the pgoutput plugin, without an exported snapshot.
  public static func createSlot(_ name: String, temporary: Bool, serverVersion: Int) -> String {
    let head =
      "CREATE_REPLICATION_SLOT \(identifier(name))\(temporary ? " TEMPORARY" : "") LOGICAL \"pgoutput\""
    return head + (serverVersion >= 15_00_00 ? " (SNAPSHOT 'nothing')" : " NOEXPORT_SNAPSHOT")
  }

  /// Drops a slot; the server answers 55006 while somebody streams from it.
  public static func dropSlot(_ name: String) -> String {
    "DROP_REPLICATION_SLOT \(identifier(name))"
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

  /// A text in single quotes, for the replication grammar and for SQL with
  /// standard_conforming_strings.
  public static func literal(_ text: String) -> String { "'\(doubling("'", in: text))'" }

  private static func doubling(_ quote: Character, in text: String) -> String {
    var doubled = ""
    for character in text {
      doubled.append(character)
      if character == quote { doubled.append(character) }
    }
    return doubled
  }
}
