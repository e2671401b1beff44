import PGWire

/// What readers of the primary see.
extension PostgresSession {
  func sight() -> Result<VisibleTransactions.Sight, StreamerError> {
    do throws(StreamerError) { return .success(try look()) } catch { return .failure(error) }
  }

  private func look() throws(StreamerError) -> VisibleTransactions.Sight {
    guard let catalog else {
      throw StreamerError(what: "source \(name)", why: "it is not connected", retryable: true)
    }
    let rows: [[String?]]
    do throws(PGError) {
      // The snapshot is taken first: whatever it sees was committed before the position.
      rows = try catalog.rows(within: Limits.slotAnswer) { major in
        "SELECT \(ServerSnapshot.current(serverMajor: major)), "
          + "pg_catalog.pg_current_wal_insert_lsn()"
      }
    } catch {
      // The next connection finds what has become of a server that is in recovery now.
      guard error.serverError?.code == "55000" else { throw mapped(error) }
      throw mapped(error).retried("It is connected anew.")
    }
    guard let row = rows.first, row.count == 2,
      let snapshot = row[0].flatMap({ ServerSnapshot($0) }), let limit = row[1].flatMap({ LSN($0) })
    else { throw unsaidSnapshot }
    return VisibleTransactions.Sight(snapshot: snapshot, limit: limit)
  }

  /// Refuses a server whose snapshots say nothing of what readers of the primary see, and one whose
  /// commits wait for this very connection.
  func checkVisibility(
    _ plain: inout Connection, _ server: ServerFacts, _ known: [Position]?
  ) throws(StreamerError) {
    guard source.visibility == .primary else { return }
    // One that was kept may still lead to the server that was the primary before.
    catalog?.disconnect()
    if server.isInRecovery {
      let isFailover = known?.isEmpty == false && awaitsFailover(inRecovery: true)
      throw StreamerError(
        what: "source \(name)", why: Self.standbyVisibility,
        hint: "Name the primary in dsn, or set visibility = \"none\".", exit: .preflight,
        retryable: isFailover, cause: isFailover ? .failover : .other)
    }
    let rows = try ask(&plain, "SELECT current_setting('synchronous_standby_names')")
    let names = SynchronousStandbyNames((rows.first?.first ?? nil) ?? "")
    guard !names.include(plain.parameterStatus["application_name"] ?? "") else {
      throw StreamerError(
        what: "source \(name)", why: names.deadlock,
        hint: SynchronousStandbyNames.remedy, exit: .preflight)
    }
  }

  /// Why a standby does not do.
  static let standbyVisibility =
    "visibility = \"primary\" cannot be had from a standby, whose snapshots do not say what the primary's "
    + "readers see"
}

/// The value of `synchronous_standby_names` (manual: "Replication", Primary Server).
struct SynchronousStandbyNames {
  private let text: String
  private let names: [String]

  /// Takes the setting as the server shows it: a list of names, or one in FIRST n (…) or ANY n (…).
  init(_ text: String) {
    self.text = text
    var list = Substring(text)
    if let open = text.firstIndex(of: "("), let close = text.lastIndex(of: ")"), open < close {
      list = text[text.index(after: open)..<close]
    }
    names = list.split(separator: ",").map { name in
      let name = name.drop(while: \.isWhitespace)
      guard name.hasPrefix("\"") else { return String(name.prefix { !$0.isWhitespace }) }
      return String(name.dropFirst().prefix { $0 != "\"" })
    }
  }

  /// Whether none is waited for.
  var isEmpty: Bool { names.isEmpty }

  /// Whether a connection of that application_name counts as such a standby.
  func include(_ applicationName: String) -> Bool {
    names.contains { $0 == "*" || $0.lowercased() == applicationName.lowercased() }
  }

  /// What helps against it.
  static let remedy =
    "Name the standbys there, and not this application_name or *; or set visibility = \"none\"."

  /// Why this connection must not be among them.
  var deadlock: String {
    "synchronous_standby_names (\(text.singleLine)) covers this connection too: with visibility = "
      + "\"primary\" each would wait for the other"
  }
}
