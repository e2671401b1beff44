import PGWire
import Support
import Testing

@testable import Streamer

/// What a recorder sees of a stream: tables before their messages, and how far it may acknowledge.
@Suite struct StreamTapTests {
  /// What a tap passes on of bytes that come in pieces, with its questions in between.
  private struct Passed {
    var tap = StreamTap()
    var bytes: [UInt8] = []
    /// Where in the bytes each table was asked for.
    var questions: [(offset: Int, relation: Relation)] = []

    init(_ stream: [UInt8], pieces: Int) throws(DecodingError) {
      tap.connected(at: .zero)
      var window: [UInt8] = []
      var given = 0
      while true {
        switch try tap.step(unsafe window.span.bytes) {
        case .record(0):
          guard given < stream.count else { return }
          window += stream[given...].prefix(pieces)
          given = min(stream.count, given + pieces)
        case .record(let count):
          bytes += window.prefix(count)
          window.removeFirst(count)
        case .describe(let relation):
          questions.append((bytes.count, relation))
          tap.described()
        }
      }
    }
  }

  /// Whatever the pieces are: nothing is added or lost, each table is asked for once, right before
  /// its message, or before the commit of the transaction whose chunks described it.
  @Test(arguments: Fixture.all)
  func everyFixturePasses(_ fixture: Fixture) throws {
    let bytes = try fixture.bytes()
    let whole = try Passed(bytes, pieces: .max)
    #expect(whole.bytes == bytes)
    #expect(whole.tap.messages == (try fixture.frames(bytes)).count)
    let expected = try Self.places(fixture, bytes)
    #expect(whole.questions.map(\.offset) == expected)
    let parts = try Passed(bytes, pieces: 7)
    #expect(parts.bytes == bytes && parts.questions.map(\.offset) == expected)
    #expect(parts.questions.map(\.relation) == whole.questions.map(\.relation))
    #expect(parts.tap.complete == whole.tap.complete)
    #expect(parts.tap.transactions == whole.tap.transactions)
  }

  /// Where the questions belong, worked out from whole messages.
  private static func places(_ fixture: Fixture, _ bytes: [UInt8]) throws -> [Int] {
    var decoder = PgOutputDecoder()
    var open: [UInt32: [Relation]] = [:]
    var places: [Int] = []
    for frame in try fixture.frames(bytes) where frame.tag == .copyData {
      let body = Array(bytes[frame.body])
      let start = frame.body.lowerBound - MessageFrame.headerSize
      guard case .xLogData(_, _, let payload) = try ReplicationMessage(unsafe body.span.bytes)
      else { continue }
      switch try decoder.decode(payload) {
      case .relation(let relation):
        guard let xid = decoder.stream else {
          places.append(start)
          continue
        }
        if open[xid]?.contains(relation) != true { open[xid, default: []].append(relation) }
      case .streamCommit(let xid, _):
        places += (open.removeValue(forKey: xid) ?? []).map { _ in start }
      case .streamPrepare(let prepare):
        places += (open.removeValue(forKey: prepare.xid) ?? []).map { _ in start }
      case .streamAbort(let abort): if abort.isWhole { open[abort.xid] = nil }
      default: break
      }
    }
    return places
  }

  /// A keepalive inside a transaction says how far the server has read, not what it has sent.
  @Test func onlyWholeTransactionsAreAcknowledged() throws {
    var bytes = ServerBytes()
    bytes.keepalive(walEnd: LSN(100))
    bytes.begin(LSN(200), xid: 1)
    bytes.keepalive(walEnd: LSN(5000), reply: true)
    let open = try Passed(bytes.bytes, pieces: .max)
    #expect(open.tap.complete == LSN(100) && open.tap.sent == LSN(5000))
    #expect(open.tap.replyRequested && open.tap.transactions == 0)
    bytes.commit(LSN(200), end: LSN(230))
    let closed = try Passed(bytes.bytes, pieces: .max)
    #expect(closed.tap.complete == LSN(230) && closed.tap.transactions == 1)
  }

  /// Nothing behind a publication that has vanished is passed on, let alone acknowledged.
  @Test(arguments: [true, false])
  func aVanishedPublicationIsAGap(stops: Bool) throws {
    var bytes = ServerBytes()
    bytes.keepalive(walEnd: LSN(100))
    bytes.message("N", Array("SWARNING\0C55000\0Mskipped\0RLoadPublications\0\0".utf8))
    let end = bytes.bytes.count
    bytes.keepalive(walEnd: LSN(200))
    var tap = StreamTap()
    tap.stopsWithoutPublication = stops
    tap.connected(at: .zero)
    let all = bytes.bytes
    guard case .record(let count) = try tap.step(unsafe all.span.bytes) else {
      Issue.record("a table is described")
      return
    }
    #expect(count == (stops ? end : all.count))
    #expect(tap.complete == LSN(stops ? 100 : 200))
    #expect((tap.gap != nil) == stops)
  }

  /// A large row is passed on before it is whole: it takes no memory.
  @Test func aRowPassesInPieces() throws {
    var bytes = ServerBytes()
    bytes.xLogData(LSN(1), ServerBytes.insert(1, [.text(String(repeating: "x", count: 5000))]))
    bytes.keepalive(walEnd: LSN(9))
    var tap = StreamTap()
    tap.connected(at: .zero)
    let part = Array(bytes.bytes[..<200])
    guard case .record(200) = try tap.step(unsafe part.span.bytes) else {
      Issue.record("the row's beginning is held back")
      return
    }
    let rest = Array(bytes.bytes[200...])
    guard case .record(rest.count) = try tap.step(unsafe rest.span.bytes) else {
      Issue.record("the rest is held back")
      return
    }
    #expect(tap.messages == 2 && tap.complete == LSN(9))
  }
}
