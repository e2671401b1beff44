import Glibc
import PGWire

/// A table as `tail --table` names it.
struct TailTable: Hashable {
  /// Its schema, as it is written in the catalog.
  let schema: String
  /// Its name, as it is written in the catalog.
  let name: String

  /// Reads "schema.table", or "table" for one in the schema public; parts may be quoted as SQL quotes
  /// them, and are taken as they are otherwise.
  init(_ text: String) throws(StreamerError) {
    guard let names = TablePattern(text) else {
      throw StreamerError(
        what: "--table \(text.singleLine)", why: "it is no table's name",
        hint: "Such as public.orders, or '\"My schema\".orders'.", exit: .usage)
    }
    schema = names.schema?.text ?? "public"
    name = names.table.text
  }
}

/// The publication that `tail --table` makes for as long as it runs.
///
/// Its name holds the process id. The session that made it stays open and keeps an advisory lock:
/// whoever can take that lock knows that the owner is gone, on whichever machine it was, and that
/// what it left may be dropped.
struct TailPublication: ~Copyable {
  private static let prefix = "psql_streamer_tail_"
  /// The first half of the lock's key; the second is the process id.
  private static let lockClass = 1_886_676_588

  /// Its name.
  let name: String
  /// The tables for which only inserts and truncates may be published.
  let insertOnly: [String]
  private let dsn: Secret
  private var session: Connection?

  private init(name: String, insertOnly: [String], dsn: Secret, session: consuming Connection) {
    self.name = name
    self.insertOnly = insertOnly
    self.dsn = dsn
    self.session = consume session
  }

  /// Removes what others have left, and makes the publication.
  ///
  /// Throws `StreamerError` when the server refuses.
  static func create(
    of tables: [TailTable], _ dsn: Secret, _ interruption: borrowing Interruption
  ) throws(StreamerError) -> TailPublication {
    let name = "\(prefix)\(getpid())"
    do throws(PGError) {
      var session = try Self.connect(dsn, interruption.breaker)
      _ = try session.query("SELECT pg_advisory_lock(\(Self.lockClass), \(getpid()))")
      try Self.dropStale(&session)
      let insertOnly = try Self.tablesWithoutIdentity(tables, &session)
      _ = try session.query(
        Publication.create(name, tables: tables.map { ($0.schema, $0.name) })
          + Self.options(insertOnly.isEmpty, session.serverVersion))
      return TailPublication(
        name: name, insertOnly: insertOnly, dsn: dsn, session: consume session)
    } catch { throw explained(error) }
  }

  /// Drops it; what stands in the way is said on standard error.
  mutating func drop() {
    var last: PGError?
    for attempt in 0..<2 {
      do throws(PGError) {
        var connection: Connection
        if attempt == 0, let kept = session.take() {
          connection = kept
        } else {
          connection = try Self.connect(dsn)
        }
        _ = try connection.query("DROP PUBLICATION IF EXISTS \(name)")
        return connection.close()
      } catch { last = error }
    }
    if let last {
      Terminal.complain("publication \(name) stays: \(last). DROP PUBLICATION \(name)")
    }
  }

  private static func connect(
    _ dsn: Secret, _ interruption: WaitBreaker? = nil
  ) throws(PGError) -> Connection {
    let parameters = try DSN(dsn.revealed).parameters()
    return try SessionSettings.open(
      parameters, timeout: .seconds(10), interruption: interruption)
  }

  /// Drops the publications whose owner no longer holds its lock.
  private static func dropStale(_ session: inout Connection) throws(PGError) {
    let found = try session.query(
      "SELECT pubname FROM pg_catalog.pg_publication WHERE pubname ~ '^\(prefix)[0-9]{1,9}$'")
    for row in found.first?.rows ?? [] {
      guard let name = row.first ?? nil, let pid = Int32(name.dropFirst(prefix.count)) else {
        continue
      }
      let lock = "(\(lockClass), \(pid))"
      let taken = try session.query("SELECT pg_try_advisory_lock\(lock)").first?.rows.first
      guard taken?.first == "t" else { continue }
      // Somebody else's may refuse: it is left then.
      do throws(PGError) { _ = try session.query("DROP PUBLICATION IF EXISTS \(name)") } catch {
        guard case .server = error else { throw error }
      }
      _ = try session.query("SELECT pg_advisory_unlock\(lock)")
    }
  }

  /// Of these tables, those on which the server would refuse updates and deletes as soon as they
  /// are published.
  private static func tablesWithoutIdentity(
    _ tables: [TailTable], _ session: inout Connection
  ) throws(PGError) -> [String] {
    let names = tables.map {
      "(\(ReplicationCommand.literal($0.schema)), \(ReplicationCommand.literal($0.name)))"
    }
    let rows = try session.query(
      """
      SELECT n.nspname || '.' || c.relname FROM pg_catalog.pg_class c \
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
      WHERE (n.nspname, c.relname) IN (\(names.joined(separator: ", "))) AND (c.relreplident = 'n' \
      OR c.relreplident = 'd' AND NOT EXISTS (SELECT FROM pg_catalog.pg_index i \
      WHERE i.indrelid = c.oid AND i.indisprimary AND i.indimmediate)) ORDER BY 1
      """)
    return (rows.first?.rows ?? []).compactMap { $0.first ?? nil }
  }

  private static func options(_ all: Bool, _ version: ServerVersion) -> String {
    if all { return "" }
    return " WITH (publish = '\(version.major >= 11 ? "insert, truncate" : "insert")')"
  }

  private static func explained(_ error: PGError) -> StreamerError {
    var hint = ""
    if case .server(let server) = error {
      hint =
        switch server.code {
        case "42P01": "Write --table schema.table as the catalog spells it."
        case "42501":
          "Publications want CREATE on the database and the tables' owner; or name one that exists with "
            + "--publication."
        default: ""
        }
    }
    let isUsage = if case .connectionString = error { true } else { false }
    return StreamerError(
      what: "tail", why: "\(error)", hint: hint,
      exit: isUsage ? .usage : error.isRetryable ? .failure : .preflight)
  }
}
