import Glibc
import Testing

@testable import PGWire

/// TLS with a real server behind a proxy that cuts, delays and forges what the server says.
@Suite(.enabled(if: LiveServer.isAvailable, "needs a PostgreSQL server"), .serialized)
struct TLSFaultTests {
  private let server: LiveServer

  init() throws {
    server = try #require(LiveServer.shared)
    signal(SIGPIPE, SIG_IGN)
  }

  private func connect(
    _ proxy: FaultyProxy, mode: String = "require", timeout: Duration = .seconds(10)
  ) throws(PGError) -> Connection {
    let string = try ConnectionString(
      "\(proxy.address) dbname=postgres user=scram_user password='scram secret' sslmode=\(mode)")
    return try Connection.open(ConnectionParameters(string), timeout: timeout)
  }

  /// A session with a query; its error, or nil.
  private func failure(
    _ proxy: FaultyProxy, mode: String = "require", timeout: Duration = .seconds(10)
  ) -> PGError? {
    do throws(PGError) {
      var connection = try connect(proxy, mode: mode, timeout: timeout)
      _ = try connection.query("SELECT repeat('x', 1000)", timeout: timeout)
      connection.close()
      return nil
    } catch {
      return error
    }
  }

  /// How many bytes the server certainly sends before such a session has its answer: counted, and less
  /// the few by which one session's signatures and keys may be shorter than another's, and what a server
  /// that is asked to go says last.
  private func sessionSize() throws -> Int {
    let counts = try (0..<3).map { _ in
      let proxy = try FaultyProxy(to: server.port, faults: [.none])
      try #require(failure(proxy) == nil)
      return proxy.bytesDelivered
    }
    return try #require(counts.min()) - 100
  }

  /// A record arrives byte by byte: OpenSSL wants to read in mid-record again and again.
  @Test(arguments: [Fault.byteByByte, .pieces(of: 5), .pieces(of: 301)])
  func recordsInPieces(fault: Fault) throws {
    let proxy = try FaultyProxy(to: server.port, faults: [fault])
    var connection = try connect(proxy)
    let isEncrypted = connection.isEncrypted
    #expect(isEncrypted)
    let rows = try connection.query("SELECT repeat('x', 5000)").first?.rows
    #expect(rows == [[String(repeating: "x", count: 5000)]])
    connection.close()
  }

  /// More than all buffers hold, written in parts that OpenSSL chooses.
  @Test func aQueryThatDoesNotFit() throws {
    let text = String(repeating: "x", count: 24 << 20)
    let proxy = try FaultyProxy(to: server.port, faults: [.none])
    var connection = try connect(proxy)
    let results = try connection.query("SELECT length('\(text)')", timeout: .seconds(300))
    #expect(results.first?.rows == [["25165824"]])
    connection.close()
  }

  private enum Ending: CaseIterable {
    case end, reset, garbage
    func fault(after count: Int) -> Fault {
      switch self {
      case .end: .end(after: count)
      case .reset: .reset(after: count)
      case .garbage: .garbage([0x17, 3, 3, 0, 4, 1, 2, 3, 4], after: count)
      }
    }
  }

  /// Closed without close_notify, reset, or joined by somebody else's bytes: always a typed error, of
  /// a phase no earlier than the last one's.
  @Test(arguments: Ending.allCases) private func cutAnywhere(ending: Ending) throws {
    let size = try sessionSize()
    #expect(size > 2000)
    // Every byte of the answer and of the first records' headers, then about seventy more.
    let offsets = Array(0..<12) + Array(stride(from: 12, to: size, by: size / 70))
    let proxy = try FaultyProxy(
      to: server.port, faults: offsets.map { ending.fault(after: $0) })
    var reached = 0
    for offset in offsets {
      let error = try #require(
        failure(proxy, timeout: ending == .garbage ? .milliseconds(500) : .seconds(10)),
        "after \(offset) bytes the session went well")
      // Forged bytes in a record's header may promise more than ever comes.
      if ending == .garbage, case .timeout = error { continue }
      let phase = try #require(Self.phase(error), "after \(offset) bytes: \(error)")
      // A reset takes away what the client had not read yet.
      if ending != .reset { #expect(phase >= reached, "after \(offset) bytes: \(error)") }
      reached = max(reached, phase)
    }
    #expect(reached == 2)
  }

  /// TLS is 0, startup 1, a query 2; nil for an error that a broken stream cannot have.
  private static func phase(_ error: PGError) -> Int? {
    let phase: ConnectionPhase
    switch error {
    case .closed(let name), .transport(_, let name): phase = name
    // Forged bytes are refused by TLS itself, in the handshake or behind it.
    case .garbled(let text): return text.contains("the server ended it") ? 1 : 0
    default: return nil
    }
    switch phase {
    case .tls: return 0
    case .startup: return 1
    case .query: return 2
    default: return nil
    }
  }

  @Test func silenceAnywhere() throws {
    let size = try sessionSize()
    let offsets = [0, 1, 5, 200] + Array(stride(from: 400, to: size, by: size / 10))
    let proxy = try FaultyProxy(to: server.port, faults: offsets.map { .silence(after: $0) })
    for offset in offsets {
      guard case .timeout = failure(proxy, timeout: .milliseconds(150)) else {
        Issue.record("after \(offset) bytes a timeout was expected")
        return
      }
    }
  }

  /// Bytes behind 'S' are an attack (CVE-2021-23222), even if TLS would go on well without them.
  @Test(arguments: [[0x52], Scripted.authenticationOk + Scripted.version + Scripted.ready])
  func bytesBehindTheAnswer(forged: [UInt8]) throws {
    let proxy = try FaultyProxy(to: server.port, faults: [.garbage(forged, after: 1)])
    guard case .garbled(let text) = failure(proxy) else {
      Issue.record("a refusal was expected")
      return
    }
    #expect(text.contains("sent more than its answer"))
  }
}
