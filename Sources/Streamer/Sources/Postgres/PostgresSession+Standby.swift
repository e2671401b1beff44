import PGWire

/// Snapshots of a standby.
extension PostgresSession {
  /// Begins the transaction of a snapshot anew and takes one: what it sees, its limit, the time, and on a
  /// standby where replay stood before it.
  ///
  /// That can be asked for only in another transaction, and has to be close to the snapshot: whoever
  /// commits in between is doubtful. So the server is sent all of it at once; the tables were free a
  /// moment ago.
  func seenOnStandby(
    _ seen: String, _ time: String, _ connection: inout Connection
  ) throws(StreamerError) -> [String?]? {
    let answers: [[String?]]
    do throws(PGError) {
      answers = try connection.query(
        """
        COMMIT; BEGIN READ ONLY; \
        SELECT pg_catalog.pg_is_in_recovery(), pg_catalog.pg_last_wal_replay_lsn(); \
        COMMIT; \(Self.beginSnapshot); \(locking)\
        SELECT \(seen), CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_stat_wal_receiver) \
        THEN pg_catalog.pg_last_wal_receive_lsn() END, \
        CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn() \
        ELSE pg_catalog.pg_current_wal_insert_lsn() END, pg_catalog.pg_is_in_recovery(), \(time), \
        current_setting('wal_block_size')
        """, timeout: timeLeft
      ).compactMap(\.rows.first)
    } catch { throw retried(mapped(error)) }
    guard answers.count == 2, answers[0].count == 2, answers[1].count == 6,
      let after = answers[1][2].flatMap({ LSN($0) })
    else { return nil }
    let (wasStandby, isStandby) = (answers[0][0] == "t", answers[1][3] == "t")
    guard wasStandby == isStandby else {
      throw StreamerError(
        what: "source \(name)", why: "the server was promoted while it took a snapshot",
        hint: "Another is taken.", retryable: true)
    }
    guard isStandby else { return [answers[1][0], "\(after)", answers[1][4]] }
    guard let before = answers[0][1].flatMap({ LSN($0) }),
      let pageBytes = answers[1][5].flatMap({ UInt64($0) }), pageBytes > 0
    else { return nil }
    let window = ReplayWindow(
      before: before, after: after, received: answers[1][1].flatMap { LSN($0) },
      pageBytes: pageBytes)
    return [answers[1][0], "\(window.limit)", answers[1][4], "\(before)"]
  }

  /// Begins the transaction of a snapshot, which is taken by its first question.
  static let beginSnapshot = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"

  /// Locks tables against being altered, as a snapshot of them is taken.
  func lock(_ tables: [SnapshotTable]) -> String {
    tables.isEmpty
      ? ""
      : "LOCK TABLE \(tables.map(\.source).joined(separator: ", ")) IN ACCESS SHARE MODE; "
  }
}
