import Glibc
import Testing

@testable import PGWire

/// A replication stream on one end of a socketpair; the test is the server.
@Suite struct ReplicationStreamTests {
  @Test func aScriptedServerNeedsNoStartup() throws {
    let ends = try SocketPair()
    var stream = ReplicationStream(adopting: ends.client)
    let nothing = try stream.receive(now: .now)
    #expect(nothing == 0)

    ends.send([0x64, 0, 0, 0, 4])
    let count = try stream.receive(now: .now)
    #expect(count == 5)
    let bytes = stream.received.array
    #expect(bytes == [0x64, 0, 0, 0, 4])
    stream.consume(5)

    try stream.send(StandbyStatusUpdate(written: LSN(1), flushed: LSN(2)))
    let update = ends.receive(39)
    #expect(update[5] == UInt8(ascii: "r"))
    stream.close()
    let farewell = ends.receive(11)
    #expect(farewell == [0x63, 0, 0, 0, 4, 0x58, 0, 0, 0, 4])
  }
}
