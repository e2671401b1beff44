import Glibc
import Support
import Testing

@testable import PGWire

/// The orderly end of a stream.
@Suite struct StreamClosingTests {
  private static let done = Scripted.message("c")
  private static let complete = Scripted.message("C", Array("COPY 0\0".utf8))

  /// What the server has still on its way, in any order, is dropped.
  @Test(arguments: [
    done + complete + Scripted.ready,
    Conversation.stream + done + Conversation.stream + complete + complete + Scripted.ready,
    Scripted.notice + Scripted.error("57014", severity: "ERROR") + Scripted.ready,
  ])
  func theServersLastWordIsAwaited(answer: [UInt8]) throws {
    let ends = try SocketPair()
    var stream = ReplicationStream(adopting: ends.client)
    // A message of which a part was received before the end.
    ends.send(Array(Conversation.stream.prefix(40)))
    _ = try stream.receive(now: .now)
    let server = ends.server
    let thread = Thread {
      SocketPair.send(Array(Conversation.stream.dropFirst(40)), to: server)
      _ = SocketPair.receive(5, from: server)
      for byte in answer { SocketPair.send([byte], to: server) }
    }
    let isOrderly = stream.close(within: .seconds(10))
    thread.join()
    #expect(isOrderly)
    let farewell = ends.receive(6)
    #expect(farewell == [0x58, 0, 0, 0, 4])
  }

  /// A reader that was inside a message says how much of it is to come.
  @Test func theRestOfAMessageIsPassedOver() throws {
    let ends = try SocketPair()
    var stream = ReplicationStream(adopting: ends.client)
    ends.send(Array(Conversation.stream.prefix(40)))
    _ = try stream.receive(now: .now)
    let length = 1 + Conversation.stream[1...4].reduce(0) { $0 << 8 | Int($1) }
    let consumed = min(length - 1, stream.received.byteCount)
    stream.consume(consumed)
    let server = ends.server
    let thread = Thread {
      SocketPair.send(Array(Conversation.stream.dropFirst(40)), to: server)
      SocketPair.send(Self.done + Self.complete + Scripted.ready, to: server)
    }
    let isOrderly = stream.close(within: .seconds(10), rest: length - consumed)
    thread.join()
    #expect(isOrderly)
  }

  /// A server that never answers, sends for ever, closes or talks nonsense: the end comes all the same.
  @Test(arguments: [[], Scripted.message("d", [UInt8](repeating: 0, count: 8000)), [0xFF]])
  func aServerThatDoesNotEnd(flood: [UInt8]) throws {
    let ends = try SocketPair()
    let stream = ReplicationStream(adopting: ends.client)
    let server = ends.server
    let thread = Thread {
      if flood.count == 1 {
        SocketPair.send([0x64, 0, 0, 0, 0], to: server)
      } else {
        // Until the client has closed, when the socket takes nothing more.
        while !flood.isEmpty, SocketPair.send(flood, to: server) {}
      }
    }
    let isOrderly = stream.close(within: .milliseconds(50))
    thread.join()
    #expect(!isOrderly)
  }

  @Test func aServerThatCloses() throws {
    let ends = try SocketPair()
    let stream = ReplicationStream(adopting: ends.client)
    shutdown(ends.server, Int32(SHUT_WR))
    let isOrderly = stream.close(within: .seconds(10))
    #expect(!isOrderly)
    let farewell = ends.receive(11)
    #expect(farewell.count == 10)
  }

  /// What waits to be sent goes first, also to a server that reads only later.
  @Test func whatWaitsIsSentFirst() throws {
    let ends = try SocketPair()
    var stream = ReplicationStream(adopting: ends.client)
    var count = 0
    while !stream.wantsWrite {
      try stream.send(StandbyStatusUpdate(written: LSN(1), flushed: LSN(1)))
      count += 1
    }
    let server = ends.server
    let sent = count * 39 + 5
    let thread = Thread {
      guard SocketPair.receive(sent, from: server).count == sent else { return }
      SocketPair.send(Self.done + Self.complete + Scripted.ready, to: server)
    }
    let isOrderly = stream.close(within: .seconds(10))
    thread.join()
    #expect(isOrderly)
  }

  @Test(arguments: 0..<200 as Range<UInt64>) func anEndInAnyPieces(seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    let tail: [UInt8] = [1, 2, 3]
    let bytes = Conversation.stream + Self.done + Self.complete + Scripted.ready + tail
    var ending = CommandEnding()
    var offset = 0
    while !ending.isOver {
      try #require(offset < bytes.count - tail.count)
      let end = min(offset + Int.random(in: 1...40, using: &random), bytes.count - tail.count)
      try ending.take(unsafe bytes[offset..<end].span.bytes)
      offset = end
    }
    #expect(offset == bytes.count - tail.count)
  }
}

/// Stops in full flow, as a real server sees them.
@Suite(.needsPostgres, .serialized)
struct OrderlyStopTests {
  @Test(arguments: ["sslmode=disable", "sslmode=require", "unix"])
  func theServersLogHasNothingToSay(way: String) throws {
    let certificates = try TestCertificates()
    let server = try PostgresServer(
      tls: .init(certificate: certificates.serverCertificate, key: certificates.serverKey))
    signal(SIGPIPE, SIG_IGN)
    try server.psql(
      """
      CREATE TABLE t (id int, v text);
      CREATE PUBLICATION p FOR TABLE t;
      SELECT pg_create_logical_replication_slot('s', 'pgoutput')
      """)
    // Transactions of a few megabytes altogether: more than all buffers between the two.
    try server.psql(
      """
      DO $$ BEGIN FOR i IN 1..2000 LOOP
        INSERT INTO t SELECT n, repeat('x', 100) FROM generate_series(1, 100) n; COMMIT;
      END LOOP; END $$
      """)
    let dsn =
      way == "unix"
      ? "host=\(server.socketDirectory) port=\(server.port) user=postgres dbname=postgres"
      : server.dsn(more: way)
    for _ in 0..<3 {
      var connection = try Connection.open(
        ConnectionParameters(ConnectionString(dsn)), replication: true)
      try connection.startCopyBoth(
        "START_REPLICATION SLOT s LOGICAL 0/0 (proto_version '1', publication_names 'p')")
      var stream = ReplicationStream(connection)
      var received = 0
      while received < 500_000 {
        received += try stream.receive(now: .now)
        stream.consume(try Self.whole(stream.received))
      }
      let isOrderly = stream.close(within: .seconds(60))
      #expect(isOrderly)
      // The slot is free once the walsender has gone, which is also when it has logged.
      try eventually("the end of the walsender") {
        try server.psql("SELECT count(*) FROM pg_stat_replication") == "0"
      }
    }
    let log = server.log
    for line in ["Broken pipe", "reset by peer", "FATAL", "unexpected EOF"] {
      #expect(!log.contains(line), "\(log)")
    }
  }

  private static func whole(_ window: RawSpan) throws -> Int {
    var end = 0
    while case .complete(let frame) = try MessageFrame.scan(window, at: end) { end = frame.end }
    return end
  }
}
