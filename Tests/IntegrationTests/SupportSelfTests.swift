import Support
import Testing

/// The equipment itself, on the real thing.
@Suite struct SupportSelfTests {
  @Test func `A subprocess gives its output and its code`() throws {
    let output = try Subprocess.run("sh", ["-c", "cat; echo oops >&2; exit 3"], input: "hello")
    #expect(output.termination == .exited(3))
    #expect(output.standardOutput == "hello")
    #expect(output.standardError == "oops\n")
  }

  @Test func `A subprocess past its limit is killed and named`() throws {
    let process = try Subprocess("sleep", ["1000"])
    #expect(throws: SupportError.self) { try process.wait(within: .milliseconds(50)) }
    #expect(process.poll() == .signalled(9))
  }

  @Test func `JSON keeps digits, order and surrogates`() throws {
    let value = try JSON(#"{"b": -1.50e3, "a": [null, true, "x\u00e9\ud83d\ude00\n"]}"#)
    #expect(value.names == ["b", "a"])
    #expect(value["b"] == .number("-1.50e3"))
    #expect(value["a"]?[2]?.string == "xé😀\n")
    for wrong in ["{", "[1,]", "01", "\"\u{1}\"", "{} x", "nul", #""\ud800""#] {
      #expect(throws: SupportError.self) { try JSON(wrong) }
    }
  }

  @Test(.needsPostgres) func `A server starts, answers, restarts and keeps what it had`() throws {
    let server = try PostgresServer(settings: ["work_mem": "5MB"])
    #expect(try server.psql("SHOW work_mem") == "5MB")
    let session = try server.session()
    try session.run("CREATE TABLE t (id int); BEGIN; INSERT INTO t VALUES (1)")
    #expect(try server.psql("SELECT count(*) FROM t") == "0")
    #expect(try session.run("COMMIT; SELECT id, 'x' FROM t") == "1|x")
    session.close()
    try server.restart(.immediate)
    #expect(try server.psql("SELECT count(*) FROM t") == "1")
    try server.kill()
    try server.start()
    #expect(try server.psql("SELECT count(*) FROM t") == "1")
  }

  @Test(arguments: PostgresPrograms.installed.keys.sorted())
  func `A server of each version that is installed runs`(version: Int) throws {
    let server = try PostgresServer(version: version)
    #expect(try server.majorVersion() == version)
    try server.restart()
    #expect(try server.psql("SELECT 1") == "1")
  }

  @Test(.needsKafka) func `A broker keeps records over a crash`() throws {
    let broker = try KafkaBroker()
    try broker.createTopic("t", partitions: 1)
    try Subprocess.check(
      "kcat", ["-P", "-b", broker.bootstrap, "-t", "t", "-K", ":"], input: "k:a b\nl:c\n")
    try broker.kill()
    try broker.start()
    let records = try broker.records("t")
    #expect(records.map(\.key) == ["k", "l"])
    #expect(records.map(\.value) == ["a b", "c"])
  }
}
