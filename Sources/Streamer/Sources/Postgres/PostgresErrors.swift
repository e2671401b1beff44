import PGWire

extension StreamerError {
  /// What a failure of the PostgreSQL client means for a source: its remedy, whether trying again
  /// may help, and how the process ends when it happens at the start.
  ///
  /// `remedy` is what is known better where it was asked; else the SQLSTATE tells.
  init(
    _ error: PGError, source: PostgresSourceConfiguration, name: String, remedy: String? = nil
  ) {
    let cause = error.serverError
    let isUsage: Bool
    if case .connectionString = error { isUsage = true } else { isUsage = false }
    self.init(
      what: "source \(name)", why: "\(error)" + (cause.map(Self.place) ?? ""),
      hint: remedy ?? cause.flatMap { Self.hint($0, source: source) }
        ?? (error.isUnanswered
          ? "A lock on the server's catalogs may hold it up, or a pooler without a free connection."
          : ""),
      exit: isUsage ? .usage : error.isRetryable ? .failure : .preflight,
      retryable: error.isRetryable,
      cause: cause?.code == "55006" ? .slotActive : error.isGarbled ? .garbled : .other)
  }

  /// What a fault of the stream means; `streams` says whether open transactions came in chunks.
  ///
  /// What a server cannot decode while a transaction is open, it can when that has committed: tables
  /// that a savepoint made or altered are known to fail.
  init(
    _ fault: StreamFault, source: PostgresSourceConfiguration, name: String, streams: Bool
  ) {
    switch fault {
    case .server(let error) where error.isVanishedPublication:
      self.init(
        what: "source \(name)",
        why: "changes are missing: publication \"\(source.publication)\" does not exist where the "
          + "stream stands (\(PGError.server(error)))",
        hint: "\(Publication.suggestion(source.publication)) if it does not exist; run "
          + "once with --accept-gap \(name) to go on over the gap; onGap = \"accept\" does so each "
          + "time.",
        exit: .preflight)
    case .server(let error) where streams && !PGError.server(error).isRetryable:
      self.init(
        what: "source \(name)", why: "\(PGError.server(error))" + Self.place(error),
        hint: "The next connection does without streaming.", retryable: true,
        cause: .streamingFailed)
    case .malformed(let error, let place):
      self.init(
        what: "source \(name)", why: "protocol violation in replication, \(place): \(error)",
        hint: "The connection was closed; reading begins again at the confirmed position.",
        retryable: true)
    case .server(let error): self.init(PGError.server(error), source: source, name: name)
    case .ended:
      self.init(what: "source \(name)", why: "the server ended the stream", retryable: true)
    case .binary(let fault):
      self.init(
        what: "source \(name)", why: "\(fault)", hint: Self.textInstead, retryable: true,
        cause: .binaryUnreadable)
    case .spool(let fault):
      self.init(
        what: "source \(name)", why: "\(fault)",
        hint: "The next connection does without streaming; see spool.", retryable: true,
        cause: .streamingFailed)
    }
  }

  /// What happens after values in binary could not be read.
  static let textInstead = "Reading begins again with values as text."

  /// Where decoding failed, from the error's context; empty where that says none.
  private static func place(_ error: ServerError) -> String {
    let marker = "associated LSN "
    guard let context = error.context, let found = context.firstRange(of: marker) else { return "" }
    let digits = context[found.upperBound...].prefix { $0.isHexDigit || $0 == "/" }
    return LSN(String(digits)).map { " (at LSN \($0))" } ?? ""
  }

  /// The user's name, as it is pasted into SQL.
  private static func user(of source: PostgresSourceConfiguration) -> String {
    (try? source.dsn.parameters()).map { ReplicationCommand.pasted($0.user) } ?? "…"
  }

  /// The remedy, by SQLSTATE (manual: "PostgreSQL Error Codes").
  private static func hint(
    _ error: ServerError, source: PostgresSourceConfiguration
  ) -> String? {
    switch error.code {
    case _ where error.message.contains("unsupported startup parameter"):
      // The words of pgbouncer, whatever its version.
      error.message.contains("replication")
        ? "A pooler sits in between that passes no replication on: connect to PostgreSQL itself."
        : "A pooler sits in between: connect to PostgreSQL itself, or have it pass the parameter by "
          + "(ignore_startup_parameters of pgbouncer); what it drops is set by SQL then."
    case "25006": "The server is a standby, or reads only: name the primary in dsn."
    case "28P01": "Check user and password in dsn, PGPASSWORD or the passfile."
    case "28000": "Allow this user, database and address in the server's pg_hba.conf."
    case "3D000": "Check dbname in dsn."
    case "42501":
      "Give the user what it lacks: ALTER ROLE \(user(of: source)) REPLICATION, and CONNECT on the "
        + "database."
    case "53400": "Raise max_replication_slots, or drop a slot that nobody reads."
    case "53300": "Raise max_wal_senders or max_connections."
    case "42704" where error.message.contains(source.publication):
      "\(Publication.suggestion(source.publication)); if it exists now but did not where "
        + "the slot stands, drop slot \(source.replicationSlot) and begin anew."
    case "55000" where error.message.contains("wal_level"):
      "Set wal_level = logical in postgresql.conf and restart the server."
    case "55000":
      "`psql-streamer check` says what is wrong with slot \(source.replicationSlot); one that was "
        + "invalidated has to be dropped and begun anew."
    // The words may be in any language, names are in all; of files it only misses WAL and a plugin.
    case "58P01" where !error.message.contains("pgoutput"):
      "The server has removed WAL that slot \(source.replicationSlot) needed: drop it and begin anew."
    case "0A000":
      "The server lacks what the source asks for: docs/COMPATIBILITY.md says which versions have it."
    case "22021", "22P05":
      "The database holds bytes that have no place in UTF-8, and the server cannot convert them (see "
        + "server_encoding). Mend or remove them; what is in the WAL already is passed over only by "
        + "walPositionOverride = a position behind that transaction's commit, which leaves it out."
    case "XX000" where error.message.contains("invalid memory alloc request size"):
      "A value is too long for its text, such as a bytea above 512 MiB. binary = true in the source "
        + "reads it (PostgreSQL 14 and later); see maxRowSize."
    default: nil
    }
  }
}
