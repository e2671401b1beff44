@testable import PGWire

/// One backend message as a list of fields, from which follows what is wrong with every damaged form
/// of it: a model of decoding that shares no code with it.
struct WireMessage: Sendable, CustomStringConvertible {
  /// One field of a body.
  enum Field: Sendable {
    /// A number of fixed width, or a tag.
    case number([UInt8])
    /// A number of things that follow.
    case count([UInt8])
    /// A text with its zero byte.
    case text(String)
    /// A 32-bit length and as many bytes.
    case sized([UInt8])
  }

  /// What a decoder must say of a damaged body.
  struct Damage: Sendable {
    let body: [UInt8]
    let expected: DecodingError
  }

  let name: String
  let tag: Unicode.Scalar
  let fields: [Field]
  /// From this length on a body is refused for its count, which stands at `offset`.
  var checkedCount: (from: Int, count: Int, offset: Int)?
  /// Where the fields end that are always there.
  var leastLength: Int?

  init(_ name: String, _ tag: Unicode.Scalar, _ fields: [Field]) {
    self.name = name
    self.tag = tag
    self.fields = fields
  }

  var description: String { name }

  var body: [UInt8] { fields.flatMap { Self.bytes($0) } }

  private static func bytes(_ field: Field) -> [UInt8] {
    switch field {
    case .number(let bytes), .count(let bytes): bytes
    case .text(let text): Array(text.utf8) + [0]
    case .sized(let bytes): integer(Int32(bytes.count)) + bytes
    }
  }

  static func integer(_ value: Int32) -> [UInt8] {
    let bits = UInt32(bitPattern: value)
    return (0..<4).map { UInt8(bits >> (24 - 8 * $0) & 0xFF) }
  }

  /// Cut at every length, and with one byte more.
  func cut() -> [Damage] {
    let whole = body
    var damages = [
      Damage(
        body: whole + [0], expected: DecodingError(.trailingBytes(1), at: whole.count))
    ]
    var start = 0
    for field in fields {
      let size = Self.bytes(field).count
      for length in start..<(start + size) where length != leastLength {
        var expected = Self.error(of: field, with: length - start, at: start)
        if let checkedCount, length >= checkedCount.from {
          expected = DecodingError(.badLength(checkedCount.count), at: checkedCount.offset)
        }
        damages.append(Damage(body: Array(whole[..<length]), expected: expected))
      }
      start += size
    }
    return damages
  }

  private static func error(of field: Field, with available: Int, at start: Int) -> DecodingError {
    switch field {
    case .number(let bytes), .count(let bytes):
      return DecodingError(.truncated(needed: bytes.count, available: available), at: start)
    case .text: return DecodingError(.unterminatedString, at: start)
    case .sized(let bytes):
      return available < 4
        ? DecodingError(.truncated(needed: 4, available: available), at: start)
        : DecodingError(.truncated(needed: bytes.count, available: available - 4), at: start + 4)
    }
  }

  /// With every length and count in it negative, and every length beyond the message.
  func corrupted() -> [Damage] {
    let whole = body
    var damages: [Damage] = []
    var start = 0
    for field in fields {
      switch field {
      case .number, .text: break
      case .count(let bytes):
        var body = whole
        body.replaceSubrange(start..<(start + bytes.count), with: bytes.map { _ in 0xFF })
        damages.append(
          Damage(body: body, expected: DecodingError(.badLength(-1), at: start)))
      case .sized:
        for length in [-2, .min, .max] as [Int32] {
          var body = whole
          body.replaceSubrange(start..<(start + 4), with: Self.integer(length))
          let rest = whole.count - start - 4
          damages.append(
            Damage(
              body: body,
              expected: length < 0
                ? DecodingError(.badLength(Int(length)), at: start)
                : DecodingError(
                  .truncated(needed: Int(length), available: rest), at: start + 4)))
        }
      }
      start += Self.bytes(field).count
    }
    return damages
  }
}

extension WireMessage {
  private static func letter(_ letter: Unicode.Scalar) -> Field { .number([UInt8(ascii: letter)]) }
  private static func zeros(_ count: Int) -> Field {
    .number([UInt8](repeating: 0, count: count))
  }

  private static let report: [Field] = [
    letter("S"), .text("ERROR"), letter("C"), .text("42601"), letter("M"), .text("no"), zeros(1),
  ]

  /// Messages that mean the same in every phase.
  static let anywhere: [WireMessage] = [
    WireMessage("ErrorResponse", "E", report), WireMessage("NoticeResponse", "N", report),
    WireMessage("ParameterStatus", "S", [.text("TimeZone"), .text("UTC")]),
  ]

  /// Messages that come before authentication has ended.
  static let authentication: [WireMessage] = [
    WireMessage("AuthenticationOk", "R", [zeros(4)]),
    WireMessage("AuthenticationCleartextPassword", "R", [.number([0, 0, 0, 3])]),
    WireMessage("AuthenticationMD5Password", "R", [.number([0, 0, 0, 5]), zeros(4)]),
    WireMessage(
      "NegotiateProtocolVersion", "v", [.number([0, 3, 0, 0]), .count([0, 0, 0, 0])]),
    WireMessage(
      "AuthenticationSASL", "R", [.number([0, 0, 0, 10]), .text("SCRAM-SHA-256"), .text("")]),
  ]

  /// Messages that answer a query.
  static let query: [WireMessage] = [
    WireMessage(
      "RowDescription", "T",
      [.count([0, 2])]
        + ["a", "b"].flatMap { name -> [Field] in
          [.text(name), zeros(4), zeros(2), zeros(4), zeros(2), zeros(4), zeros(2)]
        }),
    WireMessage("DataRow", "D", [.count([0, 2]), .sized([1, 2, 3]), .sized([])]),
    WireMessage("CommandComplete", "C", [.text("SELECT 1")]),
    WireMessage("EmptyQueryResponse", "I", []),
    WireMessage("NotificationResponse", "A", [zeros(4), .text("channel"), .text("payload")]),
    WireMessage("ReadyForQuery", "Z", [letter("I")]),
    WireMessage("CopyInResponse", "G", [zeros(1), .count([0, 1]), zeros(2)]),
    WireMessage("CopyOutResponse", "H", [zeros(1), .count([0, 1]), zeros(2)]),
    WireMessage("CopyBothResponse", "W", [zeros(1), .count([0, 0])]),
  ]

  private static let tuple: [Field] = [
    .count([0, 4]), letter("t"), .sized([1, 2, 3]), letter("n"), letter("u"), letter("b"),
    .sized([0, 0]),
  ]

  /// Messages of the plugin; their fields begin behind the header of XLogData.
  static let plugin: [WireMessage] = {
    var truncate = WireMessage(
      "Truncate", "T", [letter("T"), .count([0, 0, 0, 2]), zeros(1), zeros(4), zeros(4)])
    truncate.checkedCount = (from: 6, count: 2, offset: 1)
    return [
      WireMessage("Begin", "B", [letter("B"), zeros(8), zeros(8), zeros(4)]),
      WireMessage("Commit", "C", [letter("C"), zeros(1), zeros(8), zeros(8), zeros(8)]),
      WireMessage("Origin", "O", [letter("O"), zeros(8), .text("origin")]),
      WireMessage(
        "Relation", "R",
        [letter("R"), zeros(4), .text(""), .text("t"), letter("d"), .count([0, 1])]
          + [zeros(1), .text("id"), zeros(4), zeros(4)]),
      WireMessage("Type", "Y", [letter("Y"), zeros(4), .text("s"), .text("t")]),
      WireMessage("Insert", "I", [letter("I"), zeros(4), letter("N")] + tuple),
      WireMessage("Update", "U", [letter("U"), zeros(4), letter("N")] + tuple),
      WireMessage(
        "Update with key", "U",
        [letter("U"), zeros(4), letter("K")] + tuple + [letter("N")] + tuple),
      WireMessage("Delete", "D", [letter("D"), zeros(4), letter("O")] + tuple),
      truncate,
      WireMessage(
        "Message", "M", [letter("M"), zeros(1), zeros(8), .text("prefix"), .sized([1, 2])]),
    ]
  }()

  /// What begins and ends chunks and prepared transactions, from protocol 2 and 3 on.
  static let boundaries: [WireMessage] = {
    let prepare: [Field] = [zeros(8), zeros(8), zeros(8), zeros(4), .text("gid")]
    var abort = WireMessage(
      "Stream Abort", "A", [letter("A"), zeros(4), zeros(4), zeros(8), zeros(8)])
    abort.leastLength = 9
    return [
      WireMessage("Stream Start", "S", [letter("S"), zeros(4), zeros(1)]), abort,
      WireMessage(
        "Stream Commit", "c", [letter("c"), zeros(4), zeros(1), zeros(8), zeros(8), zeros(8)]),
      WireMessage("Begin Prepare", "b", [letter("b")] + prepare),
      WireMessage("Prepare", "P", [letter("P"), zeros(1)] + prepare),
      WireMessage("Stream Prepare", "p", [letter("p"), zeros(1)] + prepare),
      WireMessage("Commit Prepared", "K", [letter("K"), zeros(1)] + prepare),
      WireMessage("Rollback Prepared", "r", [letter("r"), zeros(1), zeros(8)] + prepare),
    ]
  }()

  /// The message as it is inside a chunk, where some begin with the number of a subtransaction.
  var insideStream: WireMessage? {
    guard let first = fields.first else { return nil }
    switch tag {
    case "O": return self
    case "R", "Y", "I", "U", "D", "T", "M":
      var message = WireMessage(
        "\(name) in a stream", tag, [first, Self.zeros(4)] + fields.dropFirst())
      message.checkedCount = checkedCount.map { ($0.from + 4, $0.count, $0.offset + 4) }
      return message
    default: return nil
    }
  }

  /// What CopyData holds beside the plugin's messages.
  static let keepalive = WireMessage(
    "Primary keepalive", "k", [letter("k"), zeros(8), zeros(8), zeros(1)])

  /// The header of XLogData for 0/1234ABCD.
  static let xLogDataHeader: [UInt8] =
    [UInt8(ascii: "w"), 0, 0, 0, 0, 0x12, 0x34, 0xAB, 0xCD] + [UInt8](repeating: 0, count: 16)
}
