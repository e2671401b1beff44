import Testing

@testable import PGWire

/// Framing: where messages begin and end.
struct MessageFrameTests {
  @Test func findsMessagesOneAfterTheOther() throws {
    let window: [UInt8] = [0x5A, 0, 0, 0, 5, 0x49, 0x6E, 0, 0, 0, 4]
    let first = try unsafe MessageFrame.scan(window.span.bytes)
    #expect(first == .complete(MessageFrame(tag: .readyForQuery, body: 5..<6)))
    let second = try unsafe MessageFrame.scan(window.span.bytes, at: 6)
    #expect(second == .complete(MessageFrame(tag: MessageTag("n"), body: 11..<11)))
    let end = try unsafe MessageFrame.scan(window.span.bytes, at: 11)
    #expect(end == .incomplete(missing: 5))
  }

  @Test func saysHowMuchIsMissing() throws {
    let window: [UInt8] = [0x44, 0, 0, 0, 9, 1, 2, 3, 4, 5]
    for count in 0..<10 {
      let part = Array(window.prefix(count))
      let scan = try unsafe MessageFrame.scan(part.span.bytes)
      #expect(scan == .incomplete(missing: count < 5 ? 5 - count : 10 - count))
    }
  }

  @Test(
    arguments: [
      [0, 0, 0, 3], [0, 0, 0, 0], [0xFF, 0xFF, 0xFF, 0xFF], [0x80, 0, 0, 0], [0, 0, 1, 1],
    ]
      as [[UInt8]])
  func lengthsOutOfRangeThrow(length: [UInt8]) {
    let window = [0x44] + length
    #expect(throws: DecodingError.self) {
      try unsafe MessageFrame.scan(window.span.bytes, limit: 256)
    }
  }
}

/// The messages' bodies, whole and cut short.
struct BackendMessageTests {
  private let error: [UInt8] =
    Array(
      "SFEHLER\0VERROR\0C23505\0Mdoppelt\0DKey (id)=(5)\0Hdo not\0P12\0p3\0qSELECT 1\0Wline 1\nline 2\0"
        .utf8) + Array("ss\0tt\0cc\0dd\0nn\0Ff.c\0L9\0Rr\0?unknown\0\0".utf8)

  @Test func everyFieldOfAnError() throws {
    let decoded = try unsafe ServerError.decode(error.span.bytes)
    var expected = ServerError()
    expected.localizedSeverity = "FEHLER"
    expected.severity = "ERROR"
    expected.code = "23505"
    expected.message = "doppelt"
    expected.detail = "Key (id)=(5)"
    expected.hint = "do not"
    expected.position = 12
    expected.internalPosition = 3
    expected.internalQuery = "SELECT 1"
    expected.context = "line 1\nline 2"
    expected.schemaName = "s"
    expected.tableName = "t"
    expected.columnName = "c"
    expected.dataTypeName = "d"
    expected.constraintName = "n"
    expected.file = "f.c"
    expected.line = 9
    expected.routine = "r"
    #expect(decoded == expected)
    // The detail of an integrity violation quotes a row.
    #expect(decoded.description == "ERROR 23505: doppelt. do not")
  }

  @Test func descriptionIsOneLine() {
    var error = ServerError()
    error.severity = "FATAL"
    error.code = "28P01"
    error.message = "no\nway."
    error.detail = "It was wrong"
    error.hint = "Do\tit right."
    #expect(error.description == "FATAL 28P01: no way. It was wrong. Do it right.")
  }

  @Test func messagesCutShortThrow() throws {
    let row: [UInt8] = [0, 2, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 2, 0x61, 0x62]
    #expect(try unsafe DataRow.decode(row.span.bytes).values == [nil, "ab"])
    let columns: [UInt8] =
      [0, 1, 0x61, 0, 0, 0, 0, 7, 0, 2, 0, 0, 0, 25, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0]
    let field = try unsafe RowDescription.decode(columns.span.bytes).fields.first
    #expect(field?.name == "a" && field?.tableOID == 7 && field?.typeOID == 25)
    #expect(field?.attributeNumber == 2 && field?.typeSize == -1 && field?.typeModifier == -1)
    let key: [UInt8] = [0, 0, 1, 2, 9, 8, 7, 6]
    #expect(try unsafe BackendKeyData.decode(key.span.bytes).processID == 258)
    let status: [UInt8] = Array("a\0b\0".utf8)
    #expect(try unsafe ParameterStatus.decode(status.span.bytes).value == "b")

    func throwsWhenCut(_ body: [UInt8], _ decode: (RawSpan) throws(DecodingError) -> Void) {
      for count in 0..<body.count {
        let part = Array(body.prefix(count))
        #expect(throws: DecodingError.self) { try unsafe decode(part.span.bytes) }
      }
    }
    throwsWhenCut(error) { span throws(DecodingError) in _ = try ServerError.decode(span) }
    throwsWhenCut(row) { span throws(DecodingError) in _ = try DataRow.decode(span) }
    throwsWhenCut(columns) { span throws(DecodingError) in _ = try RowDescription.decode(span) }
    throwsWhenCut(key) { span throws(DecodingError) in _ = try BackendKeyData.decode(span) }
    throwsWhenCut(status) { span throws(DecodingError) in _ = try ParameterStatus.decode(span) }
    let trailing = row + [0]
    #expect(throws: DecodingError.self) { try unsafe DataRow.decode(trailing.span.bytes) }
    let negative: [UInt8] = [0, 1, 0xFF, 0xFF, 0xFF, 0xFE]
    #expect(throws: DecodingError.self) { try unsafe DataRow.decode(negative.span.bytes) }
  }

  @Test(arguments: [
    ("15.18 (Debian 15.18-0+deb12u1)", 150_018, 15), ("18beta1", 180_000, 18),
    ("9.6.24", 90_624, 9), ("10.23", 100_023, 10), ("16.4-YB-2.1", 160_004, 16),
  ])
  func versions(text: String, number: Int, major: Int) {
    #expect(ServerVersion(text)?.number == number)
    #expect(ServerVersion(text)?.major == major)
  }

  @Test func noVersions() {
    for text in ["", "devel", ".1", "99999.1"] { #expect(ServerVersion(text) == nil) }
  }
}

/// What the client writes, byte by byte.
struct FrontendMessageTests {
  private func written(_ write: (inout ByteWriter) -> Void) -> [UInt8] {
    var writer = ByteWriter()
    writer.append(UInt8(0xAA))  // messages are appended, wherever the buffer stands
    write(&writer)
    return Array(writer.bytes.array.dropFirst())
  }

  @Test func messages() {
    #expect(written { FrontendMessage.sslRequest(into: &$0) } == [0, 0, 0, 8, 4, 210, 22, 47])
    #expect(
      written { FrontendMessage.startup(parameters: [("user", "me")], into: &$0) }
        == [0, 0, 0, 17, 0, 3, 0, 0] + Array("user\0me\0\0".utf8))
    #expect(
      written { FrontendMessage.query("a;", into: &$0) }
        == [0x51, 0, 0, 0, 7, 0x61, 0x3B, 0])
    #expect(
      written { FrontendMessage.password([0x61], into: &$0) } == [0x70, 0, 0, 0, 6, 0x61, 0])
    #expect(
      written { FrontendMessage.saslInitialResponse(mechanism: "M", [1, 2], into: &$0) }
        == [0x70, 0, 0, 0, 12, 0x4D, 0, 0, 0, 0, 2, 1, 2])
    #expect(written { FrontendMessage.saslResponse([7], into: &$0) } == [0x70, 0, 0, 0, 5, 7])
    #expect(
      written { FrontendMessage.copyDataHeader(bodyCount: 34, into: &$0) } == [0x64, 0, 0, 0, 38])
    #expect(written { FrontendMessage.copyDone(into: &$0) } == [0x63, 0, 0, 0, 4])
    #expect(written { FrontendMessage.terminate(into: &$0) } == [0x58, 0, 0, 0, 4])
    let key = BackendKeyData(processID: 1, secretKey: [9, 8, 7, 6])
    #expect(
      written { FrontendMessage.cancelRequest(key, into: &$0) }
        == [0, 0, 0, 16, 4, 210, 22, 46, 0, 0, 0, 1, 9, 8, 7, 6])
  }
}

/// The window of received bytes against a plain array, at random.
struct InputBufferTests {
  @Test(arguments: [1, 2, 3, 4, 5] as [UInt64])
  func behavesLikeAQueue(seed: UInt64) {
    var random = seed
    func next(_ bound: Int) -> Int {
      random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int(random >> 33) % bound
    }
    var buffer = InputBuffer(capacity: 16, limit: 4096)
    var model: [UInt8] = []
    var value: UInt8 = 0
    for _ in 0..<2000 {
      if next(2) == 0, model.count < 2000 {
        let minimum = 1 + next(40)
        let written = unsafe buffer.withFreeSpace(minimum: minimum) { space in
          #expect(space.count >= minimum)
          for index in 0..<minimum {
            value &+= 1
            unsafe space[index] = value
            model.append(value)
          }
          return minimum
        }
        #expect(written == minimum)
      } else {
        let count = next(model.count + 1)
        buffer.consume(count)
        model.removeFirst(count)
      }
      let (bytes, isEmpty) = (buffer.readable.array, buffer.isEmpty)
      #expect(bytes == model)
      #expect(isEmpty == model.isEmpty)
    }
  }
}
