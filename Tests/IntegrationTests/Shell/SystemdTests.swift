import Glibc
import Support
import Testing

extension Integration.LastThird {
  /// What the binary does under systemd (U18), with a socket and a file in the place of systemd's.
  @Suite struct Systemd {
    private let server: PostgresServer
    private let directory: TemporaryDirectory

    init() throws {
      server = try PostgresServer()
      try server.psql("CREATE TABLE t (id int PRIMARY KEY); CREATE PUBLICATION p FOR ALL TABLES")
      directory = try TemporaryDirectory("systemd")
    }

    /// A configuration whose dsn comes from a credential.
    private func configuration(publication: String = "p") throws -> String {
      try FileBytes.write("\(server.dsn())\n", to: directory.file("dsn"))
      let file = directory.file("run.toml")
      try FileBytes.write(
        """
        store = "\(directory.file("positions.sqlite"))"
        http = "127.0.0.1:0"
        [source.pg]
        type = "postgres"
        dsn = "${file:${CREDENTIALS_DIRECTORY}/dsn}"
        publication = "\(publication)"
        replicationSlot = "systemd"
        [sink.out]
        type = "stub_discard"
        sources = ["pg"]
        """, to: file)
      return file
    }

    private func start(
      _ file: String, _ more: [String: String]
    ) throws -> Subprocess {
      let environment = ["CREDENTIALS_DIRECTORY": directory.file(".")]
      return try Subprocess(
        Binary.psqlStreamer, ["run", "--config", file],
        environment: environment.merging(more) { $1 })
    }

    @Test func `READY comes after preflight, then signs of life, states, and STOPPING`() throws {
      let manager = try NotifySocket(directory.file("notify"))
      let streamer = try start(
        try configuration(), ["NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "2000000"])
      try manager.wait(for: "READY=1")
      #expect(try server.readSlots() == 1)
      #expect(manager.heard.contains("STATUS=source pg: streaming; sink out: streaming"))
      let before = manager.heard.count { $0 == "WATCHDOG=1" }
      try manager.wait { $0.count { $0 == "WATCHDOG=1" } >= before + 2 }
      try server.stop(.immediate)
      try manager.wait { $0.contains { $0.hasPrefix("STATUS=source pg: retrying (") } }
      try server.start()
      try manager.wait { $0.last { $0.hasPrefix("STATUS=") }?.contains("pg: streaming") == true }
      streamer.send(SIGTERM)
      try manager.wait(for: "STOPPING=1")
      #expect(try streamer.wait() == .exited(0))
      #expect(manager.heard.count { $0 == "READY=1" } == 1)
    }

    @Test func `A start that fails is never READY, and says so by priority`() throws {
      let manager = try NotifySocket(directory.file("notify"))
      let file = try configuration(publication: "missing")
      // The shell asks what its standard error is, as systemd says it.
      let output = try Subprocess.run(
        "sh",
        [
          "-c",
          "JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2) exec '\(Binary.psqlStreamer)' run -c '\(file)'",
        ],
        environment: [
          "CREDENTIALS_DIRECTORY": directory.file("."), "NOTIFY_SOCKET": manager.path,
        ])
      #expect(output.termination == .exited(3))
      manager.drain()
      #expect(!manager.heard.isEmpty && !manager.heard.contains("READY=1"))
      let lines = output.standardError.split(separator: "\n")
      #expect(lines.contains { $0.hasPrefix("<6>time=") && $0.contains("msg=starting") })
      #expect(lines.contains { $0.hasPrefix("<3>psql-streamer: ") && $0.contains("missing") })
      #expect(lines.allSatisfy { $0.hasPrefix("<") })
    }

    @Test func `Without the journal lines have no priority`() throws {
      let output = try start(try configuration(publication: "missing"), ["JOURNAL_STREAM": "1:2"])
      #expect(try output.wait() == .exited(3))
      #expect(output.standardError.hasPrefix("time="))
      #expect(output.standardError.contains("\npsql-streamer: "))
    }
  }
}

/// The socket on which systemd listens.
private final class NotifySocket {
  let path: String
  /// What was said so far, line by line.
  private(set) var heard: [String] = []
  private let descriptor: CInt

  init(_ path: String) throws {
    self.path = path
    descriptor = socket(AF_UNIX, CInt(SOCK_DGRAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let bytes = Array(path.utf8)
    try #require(bytes.count < MemoryLayout.size(ofValue: address.sun_path))
    unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: bytes) }
    let length = socklen_t(MemoryLayout<sockaddr_un>.size)
    let bound = unsafe withUnsafePointer(to: &address) {
      unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe bind(descriptor, $0, length)
      }
    }
    try #require(bound == 0)
  }

  deinit { close(descriptor) }

  /// Takes what has come.
  func drain() {
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = unsafe recv(descriptor, &buffer, buffer.count, CInt(MSG_DONTWAIT))
      guard count > 0 else { return }
      let text = String(decoding: buffer[..<count], as: UTF8.self)
      heard += text.split(separator: "\n").map(String.init)
    }
  }

  func wait(for line: String) throws { try wait { $0.contains(line) } }

  func wait(until isEnough: ([String]) -> Bool) throws {
    try eventually("systemd hears it; so far: \(heard.suffix(5))") {
      drain()
      return isEnough(heard)
    }
  }
}
