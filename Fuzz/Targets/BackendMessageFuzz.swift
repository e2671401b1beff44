@testable import PGWire

/// Each decoder of a backend message, and the answer to a query, against arbitrary bodies.
enum BackendMessageFuzz: FuzzTarget {
  static let name = "backend-messages"

  /// What an input is decoded as; its first byte says which.
  private enum Kind: CaseIterable {
    case error, authentication, keyData, row, status, columns, numbers, query
  }

  static var seeds: [[UInt8]] {
    get throws {
      var seeds = try Recordings.messages().filter { $0.tag != .copyData }.map { [0] + $0.body }
      seeds.append([0] + Array("SFATAL\0VFATAL\0C57P01\0Mgoodbye\0P7\0L12\0\0".utf8))
      seeds.append([1, 0, 0, 0, 5, 1, 2, 3, 4])
      seeds.append([1, 0, 0, 0, 10] + Array("SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0".utf8))
      seeds.append([2, 0, 0, 0, 9, 1, 2, 3, 4])
      seeds.append([3, 0, 2, 0, 0, 0, 1, 0x61, 0xFF, 0xFF, 0xFF, 0xFF])
      seeds.append([4] + Array("server_version\0".utf8) + Array("15.18\0".utf8))
      seeds.append([5, 0, 1, 0x61, 0] + [UInt8](repeating: 0, count: 18))
      seeds.append([6] + Array("16/B374D848".utf8))
      seeds.append([6] + Array("15.18 (Debian 15.18-0+deb12u1)".utf8))
      seeds.append(
        [7] + frames([("T", [0, 0]), ("D", [0, 0]), ("C", [0x53, 0]), ("Z", [0x49])]))
      return seeds
    }
  }

  static func run(_ input: [UInt8]) throws(Violation) {
    var input = FuzzInput(input)
    let kind = input.choice(Kind.allCases)
    let body = input.all()
    if kind == .query { return try query(body) }
    let first = try outcome(kind, body)
    try require(first == (try outcome(kind, body)), "two looks see different messages")
    if kind == .error, case .value(let line) = first {
      try require(line.isOneLine, "an error's description is not one line")
    }
  }

  private static func outcome(_ kind: Kind, _ body: [UInt8]) throws(Violation) -> Outcome {
    do throws(DecodingError) { return .value(try decode(kind, body)) } catch {
      try require(
        (0...body.count).contains(error.offset), "\(error) lies outside \(body.count) bytes")
      return .failure("\(error)")
    }
  }

  private static func decode(_ kind: Kind, _ body: [UInt8]) throws(DecodingError) -> String {
    let span = unsafe body.span.bytes
    switch kind {
    case .error:
      let error = try ServerError.decode(span)
      return "\(error.isFatal) \(PGError.server(error))"
    case .authentication: return "\(try AuthenticationRequest.decode(span))"
    case .keyData: return "\(try BackendKeyData.decode(span).secretKey)"
    case .row: return "\(try DataRow.decode(span))"
    case .status: return "\(try ParameterStatus.decode(span))"
    case .columns: return "\(try RowDescription.decode(span))"
    case .numbers, .query:
      let version = ServerVersion(span.text)?.description ?? ""
      return "\(LSN(span.text)?.description ?? "") \(version)"
    }
  }

  /// Frames one after the other as the answer to a query.
  private static func query(_ stream: [UInt8]) throws(Violation) {
    var answer = QueryAnswer()
    var offset = 0
    _ = try Outcome.of { () throws(PGError) in
      while let frame = try frame(of: stream, at: offset) {
        let body = Array(stream[frame.body])
        try answer.take(frame.tag, unsafe body.span.bytes)
        offset = frame.end
      }
      return ""
    }
  }

  private static func frame(
    of stream: [UInt8], at offset: Int
  ) throws(PGError) -> MessageFrame? {
    do throws(DecodingError) {
      let scan = try MessageFrame.scan(unsafe stream.span.bytes, at: offset)
      if case .complete(let frame) = scan { return frame }
      return nil
    } catch {
      throw .protocol(error, phase: .query, tag: nil)
    }
  }

  /// Short messages as a server frames them.
  static func frames(_ messages: [(tag: Character, body: [UInt8])]) -> [UInt8] {
    messages.flatMap { message in
      let count = message.body.count + 4
      return [message.tag.asciiValue ?? 0, 0, 0, UInt8(count >> 8), UInt8(count & 0xFF)]
        + message.body
    }
  }
}
