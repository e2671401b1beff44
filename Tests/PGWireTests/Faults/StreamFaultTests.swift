import Glibc
import Testing

@testable import PGWire

/// A replication stream on which the server goes away, or stops to listen.
@Suite struct StreamFaultTests {
  private static let start: [FaultyServer.Turn] = [
    .packet, .send(Conversation.welcome), .message, .send(Conversation.start),
  ]

  private func stream(_ server: FaultyServer) throws(PGError) -> ReplicationStream {
    var connection = try Conversation.connect(server.address)
    try connection.startCopyBoth("START_REPLICATION")
    return ReplicationStream(connection)
  }

  private func status(_ number: Int) -> StandbyStatusUpdate {
    StandbyStatusUpdate(written: LSN(UInt64(number)), flushed: LSN(UInt64(number)))
  }

  private static func wait(_ descriptor: Int32, for events: Int32) -> Bool {
    var request = pollfd(fd: descriptor, events: Int16(events), revents: 0)
    return unsafe poll(&request, 1, 60_000) == 1
  }

  /// What the server said last is read before the loss is told, also when a status update was the
  /// first to meet it.
  @Test(arguments: [true, false]) func theServersLastWord(reset: Bool) throws {
    let error = Scripted.error("57P01", severity: "FATAL")
    let total = Conversation.welcome.count + Conversation.start.count + error.count
    let server = try FaultyServer(
      Self.start + [.message, .send(error)],
      faults: [reset ? .reset(after: total) : .end(after: total)])
    var stream = try stream(server)
    try stream.send(status(1))
    #expect(Self.wait(stream.descriptor, for: POLLIN))
    if reset {
      // Until the reset has come, which poll(2) reports unasked.
      #expect(Self.wait(stream.descriptor, for: 0))
      for number in 2...4 { try stream.send(status(number)) }
      let wantsWrite = stream.wantsWrite
      #expect(!wantsWrite)
    }
    var bytes: [UInt8] = []
    do throws(PGError) {
      while true {
        if try stream.receive(now: .now) > 0 {
          let count = stream.received.byteCount
          bytes += stream.received.array
          stream.consume(count)
        } else if !Self.wait(stream.descriptor, for: POLLIN) {
          break
        }
      }
      Issue.record("the stream was expected to end")
    } catch {
      switch error {
      case .closed(.copyBoth), .transport(_, .copyBoth): break
      default: Issue.record("\(error)")
      }
    }
    #expect(bytes.suffix(error.count) == error[...])
    // It stays lost.
    #expect(throws: PGError.self) { try stream.receive(now: .now) }
  }

  /// A server that does not read takes a part of what is written; all of it arrives, in order.
  @Test func statusUpdatesThatDoNotFit() throws {
    let isFull = Flag()
    let limit = 2_000_000
    let server = try FaultyServer(
      Self.start + [.wait(isFull), .bytes(limit * 39), .send(Scripted.ready)])
    var stream = try stream(server)
    var number = 0
    while !stream.wantsWrite, number < limit {
      number += 1
      try stream.send(status(number))
    }
    #expect(number < limit)
    for _ in 0..<1000 {
      number += 1
      try stream.send(status(number))
    }
    isFull.set()
    while stream.wantsWrite {
      #expect(Self.wait(stream.descriptor, for: POLLOUT))
      try stream.flush()
    }
    stream.close()
    let received = try #require(server.finish().first?.last)
    // Each update is 39 bytes; CopyDone and Terminate end it.
    #expect(received.count == number * 39 + 10)
    var isInOrder = true
    for index in 0..<number {
      let written = received[(index * 39 + 6)..<(index * 39 + 14)].reduce(0) { $0 << 8 | Int($1) }
      if written != index + 1 { isInOrder = false }
    }
    #expect(isInOrder)
  }

  /// A query larger than all buffers between the two.
  @Test func aQueryThatDoesNotFit() throws {
    let sql = String(repeating: "0123456789abcdef", count: 3 << 19)
    let server = try FaultyServer([
      .packet, .send(Conversation.welcome), .bytes(sql.utf8.count + 6),
      .send(Conversation.result),
    ])
    var connection = try Conversation.connect(server.address)
    #expect(try connection.query(sql).first?.rows == [["1"]])
    connection.close()
    let received = try #require(server.finish().first?.last)
    let isWhole = received.dropFirst(5).dropLast().elementsEqual(sql.utf8)
    #expect(isWhole)
  }

  /// A server that does not listen: the query ends with a timeout, and so does the connection.
  @Test func aQueryThatNobodyReads() throws {
    let sql = String(repeating: "0123456789abcdef", count: 3 << 19)
    let isOver = Flag()
    let server = try FaultyServer([.packet, .send(Conversation.welcome), .wait(isOver)])
    var connection = try Conversation.connect(server.address)
    #expect(throws: PGError.timeout("sending a query")) {
      try connection.query(sql, timeout: .milliseconds(60))
    }
    #expect(throws: PGError.closed(.query)) { try connection.query("SELECT 1") }
    isOver.set()
    connection.close()
  }
}
