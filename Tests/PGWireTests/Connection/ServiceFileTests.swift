import Support
import Testing

@testable import PGWire

/// Service files as libpq 18 reads them; each row was tried with its psql.
struct ServiceFileTests {
  private func read(_ text: String) throws(PGError) -> String? {
    guard
      let values = try ServiceFile(Array(text.utf8), path: "/s").values(of: "x")
    else { return nil }
    return values.map { "\($0.key.rawValue)=\($0.value)" }.sorted().joined(separator: " ")
  }

  @Test(
    arguments: [
      ("[x]\nhost=/x\nhost=/y\n[x]\nport=7\n", "host=/x"),
      ("[x]\nhost=  /x\n", "host=  /x"),
      ("[x]\n\thost=/x  \n", "host=/x"),
      ("[x]\nport=4 # t\n", "port=4 # t"),
      ("[x]\nport=5=6\n", "port=5=6"),
      ("[x] trailing\nhost=/x\n", "host=/x"),
      ("[x]\nuser=", "user="),
      ("[x]", ""),
      ("  # c\n\n[y]\nnonsense\n[x]\r\nport=1\r\n", "port=1"),
      ("[ x ]\nhost=/x\n", nil),
      ("[xy]\nhost=/x\n", nil),
      ("host=/x\n", nil),
      ("", nil),
    ] as [(String, String?)])
  func sections(text: String, expected: String?) throws {
    #expect(try read(text) == expected)
  }

  @Test(arguments: [
    ("[x]\nhost = /x\n", "line 2"), ("[x]\nPORT=5\n", "line 2"), ("[x]\nhost\n", "line 2"),
    ("[x]\n\nfoo=z\n", "line 3"), ("[x]\nservice=z\n", "nest"), ("[x]\nservicefile=/y\n", "line 2"),
    ("[x]\npassword=geheim\ngeheim\n", "line 3"), ("[x]\nuser=a\0b\n", "zero byte"),
  ])
  func errors(text: String, expected: String) {
    do throws(PGError) {
      _ = try read(text)
      Issue.record("an error was expected")
    } catch {
      #expect(error.description.contains(expected), "\(error)")
      #expect(error.description.contains("service file /s"))
      #expect(!error.description.contains("geheim"))
    }
  }

  @Test func longLines() throws {
    func file(_ count: Int, _ end: String) -> String {
      "[x]\nhost=" + String(repeating: "/", count: count - 5) + end
    }
    for (count, end) in [(1021, "\n"), (1022, "")] {
      #expect(try read(file(count, end)) != nil)
      #expect(throws: PGError.self) { try read(file(count + 1, end)) }
    }
  }

  @Test func whereItIsLookedFor() throws {
    let directory = try TemporaryDirectory("service")
    let (own, system) = (directory.file(".pg_service.conf"), directory.file("pg_service.conf"))
    try FileBytes.write("[x]\nhost=/own\n", to: own)
    try FileBytes.write("[x]\nhost=/system\n[y]\nport=7\nuser=fu\n", to: system)
    func host(
      _ string: String, _ environment: [String: String]
    ) throws -> [ConnectionParameters.Host] {
      try ConnectionParameters(ConnectionString(string), environment: environment).hosts
    }
    let home = ["HOME": directory.path, "PGSYSCONFDIR": directory.path]
    #expect(try host("service=x", home).first?.name == "/own")
    #expect(try host("", home.merging(["PGSERVICE": "x"]) { $1 }).first?.name == "/own")
    let named = home.merging(["PGSERVICEFILE": system]) { $1 }
    #expect(try host("service=x", named).first?.name == "/system")
    // Not in the first file, so in the system's.
    #expect(try host("service=y", home).first?.port == 7)
    #expect(try host("service=y", ["PGSYSCONFDIR": directory.path]).first?.port == 7)
    // String, service, environment, default.
    let all = home.merging(["PGHOST": "e", "PGPORT": "9", "PGUSER": "eu"]) { $1 }
    let merged = try ConnectionParameters(
      ConnectionString("service=y host=s"), environment: all)
    #expect(merged.description == "fu@s:7/fu sslmode=prefer")
    for (string, environment) in [
      ("service=none", home), ("service=''", home), ("", home.merging(["PGSERVICE": ""]) { $1 }),
      ("service=x", home.merging(["PGSERVICEFILE": "/none"]) { $1 }),
    ] {
      #expect(throws: PGError.self) { try host(string, environment) }
    }
  }
}
