import Glibc
import Support
import Testing

@testable import PGWire

/// How much a stream keeps of what the server sends.
@Suite struct StreamWindowTests {
  /// CopyData of 1029 bytes, the tag and length included; its body is the letter.
  private static func message(_ letter: Character) -> String {
    "d\0\0\u{4}\u{4}" + String(repeating: letter, count: 1024)
  }

  /// CopyData with a body of that many bytes.
  private static func copyData(_ count: Int) -> [UInt8] {
    [0x64] + bigEndian(count + 4) + [UInt8](repeating: 7, count: count)
  }

  private static func bigEndian(_ length: Int) -> [UInt8] {
    [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: length >> $0) }
  }

  private static func messages(_ count: Int) -> String {
    (0..<count).map { message($0 % 2 == 0 ? "a" : "b") }.joined()
  }

  /// Receives once; waits before, as a pipeline does, unless more is known to be there.
  private static func receive(_ stream: inout ReplicationStream) throws -> Int {
    if !stream.hasPending {
      var request = pollfd(fd: stream.descriptor, events: Int16(POLLIN), revents: 0)
      try #require(unsafe poll(&request, 1, 60_000) == 1, "the stream stalls")
    }
    return try stream.receive(now: .now)
  }

  /// The length of the whole messages at the start of a window.
  private static func whole(_ window: RawSpan) throws -> Int {
    var end = 0
    while case .complete(let frame) = try MessageFrame.scan(window, at: end) { end = frame.end }
    return end
  }

  /// A reader that is behind does not make the window grow, and loses nothing by it.
  @Test func whatIsNotConsumedStopsReading() throws {
    let ends = try SocketPair()
    let capacity = 128 << 10
    var stream = ReplicationStream(adopting: ends.client, capacity: capacity)
    let bytes = Array(Self.messages(4000).utf8)
    let server = ends.server
    let thread = Thread { SocketPair.send(bytes, to: server) }
    while stream.input.room >= ReplicationStream.readAhead { _ = try Self.receive(&stream) }
    for _ in 0..<100 {
      let (count, hasPending) = (try stream.receive(now: .now), stream.hasPending)
      #expect(count == 0)
      #expect(hasPending)
    }
    // A few messages at a time, so that the window stays full.
    var received: [UInt8] = []
    var largest = 0
    while received.count < bytes.count {
      let end = min(try Self.whole(stream.received), 1029 * 10)
      received += stream.received.extracting(first: end).array
      stream.consume(end)
      if try Self.whole(stream.received) > 0 {
        _ = try stream.receive(now: .now)
      } else if received.count < bytes.count {
        _ = try Self.receive(&stream)
      }
      largest = max(largest, stream.input.count + stream.input.room)
    }
    thread.join()
    #expect(largest == capacity)
    let isSame = received == bytes
    #expect(isSame)
  }

  /// One that does not fit makes the window as large as itself and 64 KiB, until it is consumed.
  @Test(arguments: [60_000, 200_000, 3 << 20]) func aMessageThatDoesNotFit(size: Int) throws {
    let ends = try SocketPair()
    let capacity = 64 << 10
    var stream = ReplicationStream(adopting: ends.client, capacity: capacity)
    let message = Self.copyData(size - 5)
    let bytes = Array(Self.messages(7).utf8) + message + Array(Self.messages(200).utf8)
    let server = ends.server
    let thread = Thread { SocketPair.send(bytes, to: server) }
    var received = 0
    var largest = 0
    while received < bytes.count {
      _ = try Self.receive(&stream)
      largest = max(largest, stream.input.count + stream.input.room)
      let end = try Self.whole(stream.received)
      stream.consume(end)
      received += end
    }
    thread.join()
    #expect(largest <= max(capacity, size + ReplicationStream.readAhead))
    let (left, room) = (stream.input.count, stream.input.room)
    #expect(left == 0)
    #expect(room == capacity)
  }

  /// A length alone costs no memory, and no trap.
  @Test func aMessageThatIsOnlyClaimed() throws {
    let ends = try SocketPair()
    var stream = ReplicationStream(adopting: ends.client, capacity: 64 << 10)
    let claim = [0x64] + Self.bigEndian(MessageFrame.defaultLimit)
    let bytes = claim + [UInt8](repeating: 7, count: 100_000)
    let server = ends.server
    let thread = Thread { SocketPair.send(bytes, to: server) }
    while stream.input.count < bytes.count { _ = try Self.receive(&stream) }
    thread.join()
    let size = stream.input.count + stream.input.room
    #expect(size <= 4 * bytes.count)
  }

  /// With TLS the last bytes may lie inside OpenSSL, where the socket does not announce them.
  @Test(arguments: [66_000, 70_000, 71_999, 100_000]) func nothingIsLostInsideTLS(
    capacity: Int
  ) throws {
    let listener = try TLSListener(alpn: "postgresql")
    let parameters = try ConnectionParameters(
      ConnectionString("host=127.0.0.1 port=\(listener.port) sslmode=require"))
    let host = try #require(parameters.hosts.first)
    let deadline = Deadline(after: .seconds(10))
    let address = try #require(try SocketAddress.resolve(host, until: deadline).first)
    var stage = AttemptStage.connecting
    let transport = try ServerEndpoint(parameters, host: host, address: address)
      .open(.direct, until: deadline, stage: &stage)
    var stream = ReplicationStream(transport, capacity: capacity)
    let text = Self.messages(70)
    listener.say(text)
    // Until the window is full, and nothing more comes in unless somebody consumes.
    while stream.input.room >= ReplicationStream.readAhead { _ = try Self.receive(&stream) }
    var received = ""
    while received.utf8.count < text.utf8.count {
      let end = try Self.whole(stream.received)
      received += stream.received.extracting(first: end).text
      stream.consume(end)
      if received.utf8.count < text.utf8.count { _ = try Self.receive(&stream) }
    }
    let isSame = received == text
    #expect(isSame)
    let size = stream.input.count + stream.input.room
    #expect(size == capacity)
  }

  /// Any byte is a sign of life, a call that finds nothing is none.
  @Test func whenTheServerWasLastHeard() throws {
    let ends = try SocketPair()
    var stream = ReplicationStream(adopting: ends.client)
    let start = ContinuousClock.now
    _ = try stream.receive(now: start)
    let never = stream.lastReceived
    #expect(never == nil)
    SocketPair.send([0x64], to: ends.server)
    _ = try stream.receive(now: start + .seconds(1))
    let first = stream.lastReceived
    #expect(first == start + .seconds(1))
    _ = try stream.receive(now: start + .seconds(2))
    let still = stream.lastReceived
    #expect(still == start + .seconds(1))
  }
}
