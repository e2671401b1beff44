import Glibc
import PGWire

/// Heartbeats, and what becomes of a slot that holds too much.
extension PostgresSession {
  /// Writes a heartbeat into the server's log.
  func heartbeat() -> Heartbeat.Answer {
    do throws(PGError) {
      let heartbeat = source.heartbeat
      guard
        let rows = try rows(
          elsewhere: heartbeat.dsn, within: Limits.slotAnswer, { self.heartbeatSQL(major: $0) })
      else {
        return .refused(
          StreamerError(
            what: "source \(name)",
            why: source.output.messages
              ? "there are no logical messages before PostgreSQL 14"
              : "messages = false asks for no logical messages",
            hint:
              "heartbeatTable names a table to write to; heartbeat = 0 says that none is wanted."
          ))
      }
      guard let text = rows.last?.first ?? nil, let lsn = LSN(text) else { return .notNow }
      return .sent(lsn)
    } catch {
      elsewhere = nil
      let said = StreamerError(
        error, source: source, name: name, remedy: error.serverError.map(remedy))
      guard let code = error.serverError?.code else { return .failed(said) }
      // What a person must change: rights, a missing table or column, another type.
      return ["42", "25", "23", "22"].contains(String(code.prefix(2)))
        ? .refused(said) : .failed(said)
    }
  }

  /// What is written; nil when the server has nothing for it.
  ///
  /// A table's row is in no hurry: nobody waits for its commit, also not on a synchronous standby.
  private func heartbeatSQL(major: Int) -> String? {
    let slot = ReplicationCommand.literal(source.replicationSlot)
    if let table = source.heartbeat.tableName {
      let name =
        "\(ReplicationCommand.identifier(table.schema)).\(ReplicationCommand.identifier(table.table))"
      return """
        SET LOCAL synchronous_commit = off; \
        INSERT INTO \(name) (slot, at) VALUES (\(slot), now()) \
        ON CONFLICT (slot) DO UPDATE SET at = excluded.at; \
        SELECT pg_catalog.pg_current_wal_insert_lsn()
        """
    }
    guard source.output.messages, major >= ServerFeature.logicalMessages.firstMajor else {
      return nil
    }
    let prefix = ReplicationCommand.literal(Heartbeat.prefix + source.replicationSlot)
    return """
      SELECT CASE WHEN NOT pg_catalog.pg_is_in_recovery() \
      THEN pg_catalog.pg_logical_emit_message(false, \(prefix), ''::text) END
      """
  }

  private func remedy(_ error: ServerError) -> String {
    guard let table = source.heartbeat.tableName else {
      return
        "GRANT EXECUTE ON FUNCTION pg_logical_emit_message(bool, text, text), or set heartbeat = 0."
    }
    let name =
      "\(ReplicationCommand.pasted(table.schema)).\(ReplicationCommand.pasted(table.table))"
    return
      "CREATE TABLE \(name) (slot text PRIMARY KEY, at timestamptz), and grant INSERT and UPDATE "
      + "on it; or set heartbeat = 0."
  }

  /// Asks the server, by an ordinary session of its own where a connection string is given; nil when
  /// there is nothing to ask.
  func rows(
    elsewhere dsn: DSN?, within limit: Duration, _ text: (_ serverMajor: Int) -> String?
  ) throws(PGError) -> [[String?]]? {
    guard let dsn else {
      var isNothing = false
      let rows = try catalog?.rows(within: limit) { major in
        let sql = text(major)
        isNothing = sql == nil
        return sql ?? ""
      }
      return isNothing ? nil : rows ?? []
    }
    var connection: Connection
    if let kept = elsewhere.take() {
      connection = kept
    } else {
      connection = try open(
        dsn.parameters(), replication: false, until: .now + source.timeout, isLookUp: true)
    }
    guard let sql = text(connection.serverVersion.major) else { return nil }
    let rows = try connection.query(sql, timeout: limit).last?.rows ?? []
    elsewhere = consume connection
    return rows
  }

  /// Drops the slot that holds more than `walBudget.dropSlot`, as soon as the server has seen that
  /// nobody reads it any more.
  func dropSlot(within limit: Duration) {
    let end = ContinuousClock.now + limit
    let slot = ReplicationCommand.literal(source.replicationSlot)
    repeat {
      do throws(PGError) {
        _ = try rows(elsewhere: nil, within: Limits.slotAnswer) { _ in
          "SELECT pg_catalog.pg_drop_replication_slot(\(slot))"
        }
        return log.warning("dropped the slot, as walBudget says", ["slot": source.replicationSlot])
      } catch {
        guard error.serverError?.code == "55006", .now < end else {
          return log.error("the slot was not dropped", ["error": "\(mapped(error))"])
        }
      }
      usleep(50_000)
    } while true
  }
}
