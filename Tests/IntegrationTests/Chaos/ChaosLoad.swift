import Support

/// Eight concurrent writers whose outcome can be checked from the database alone.
///
/// Every change of a row of `counter` adds one to its `seq` under the row's lock. Since the lock is
/// held until the commit, the changes of one key commit in the order of `seq`, and a rollback, also
/// to a savepoint, takes its numbers back. So of each key the stream must hold exactly 1, 2, 3 … up
/// to what the table says at the end. `journal` rows carry what belongs together in a transaction.
struct ChaosLoad {
  static let tables = """
    CREATE TABLE counter (key int PRIMARY KEY, seq int NOT NULL, filler text);
    INSERT INTO counter SELECT key, 0, repeat('f', 50) FROM generate_series(1, 90) key;
    CREATE TABLE journal (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tx xid8 NOT NULL);
    CREATE TABLE scratch (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tx xid8, filler text);
    CREATE FUNCTION bump(wanted int) RETURNS void LANGUAGE sql AS
      'UPDATE counter SET seq = seq + 1 WHERE key = wanted';
    """

  /// Keys are taken in rising order within a transaction, so writers never deadlock.
  private static let script = #"""
    \set low random(1, 30)
    \set middle random(31, 60)
    \set high random(61, 90)
    \set choice random(1, 10)
    \set rare random(1, 200)
    BEGIN;
    SELECT bump(:low);
    INSERT INTO journal (tx) VALUES (pg_current_xact_id());
    SAVEPOINT one;
    SELECT bump(:middle);
    INSERT INTO scratch (tx) VALUES (pg_current_xact_id());
    SAVEPOINT two;
    SELECT bump(:high);
    SELECT bump(:high);
    \if :choice <= 3
    ROLLBACK TO SAVEPOINT one;
    SELECT bump(:middle);
    \elif :choice <= 5
    ROLLBACK TO SAVEPOINT two;
    \elif :choice <= 6
    INSERT INTO scratch (tx) SELECT pg_current_xact_id() FROM generate_series(1, 40);
    \endif
    \if :rare = 1
    INSERT INTO scratch (filler) SELECT repeat('b', 300) FROM generate_series(1, 300);
    SAVEPOINT three;
    INSERT INTO scratch (filler) SELECT repeat('r', 300) FROM generate_series(1, 300);
    ROLLBACK TO SAVEPOINT three;
    INSERT INTO scratch (filler) SELECT repeat('a', 300) FROM generate_series(1, 300);
    \elif :rare <= 5
    COPY scratch (filler) FROM PROGRAM 'seq 30';
    \endif
    INSERT INTO journal (tx) VALUES (pg_current_xact_id());
    \if :choice = 10
    ROLLBACK;
    \else
    COMMIT;
    \endif
    """#

  let scenario: Scenario
  let process: Subprocess

  /// Starts the writers; pgbench is started again when a restart of the server ended it.
  ///
  /// - Throws: `SupportError` when pgbench cannot be started.
  init(_ scenario: Scenario, seconds: Int, transactionsPerSecond: Int) throws {
    self.scenario = scenario
    let file = scenario.directory.file("load.sql")
    try FileBytes.write(Self.script, to: file)
    let loop = """
      end=$(($(date +%s) + \(seconds)))
      while left=$((end - $(date +%s))); [ "$left" -gt 0 ]; do
        "$@" -T "$left" >&2 || sleep 0.2
      done
      """
    process = try Subprocess(
      "sh",
      [
        "-c", loop, "load", scenario.postgres.program("pgbench"), "-n", "-c", "8", "-j", "2",
        "-R", "\(transactionsPerSecond)", "-f", file,
        "-h", scenario.postgres.socketDirectory, "-p", "\(scenario.postgres.port)",
        "-U", "postgres", scenario.name,
      ])
  }

  /// Waits for the writers' end.
  func finish() throws { try process.wait(within: .seconds(300)) }
}
