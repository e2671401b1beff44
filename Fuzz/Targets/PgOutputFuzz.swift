@testable import PGWire

/// Messages of pgoutput: what decodes can be walked, and nothing shorter decodes.
enum PgOutputFuzz: FuzzTarget {
  static let name = "pgoutput"

  static var seeds: [[UInt8]] {
    get throws {
      try Recordings.messages().filter { $0.tag == .copyData && $0.body.count < 1_000 }
        .flatMap { [[3, 0] + $0.body, [3, 1] + inserting(xid: 7, $0.body)] }
    }
  }

  /// The message as it comes inside a stream: with the subtransaction's number behind its tag.
  private static func inserting(xid: UInt8, _ body: [UInt8]) -> [UInt8] {
    body.count > 26 ? body[..<26] + [0, 0, 0, xid] + body[26...] : body
  }

  static func run(_ input: [UInt8]) throws(Violation) {
    var input = FuzzInput(input)
    let cut = Int(input.byte())
    // The same bytes mean something else inside a stream of protocol 2.
    let inside: UInt32? = input.byte() & 1 == 1 ? 745 : nil
    let body = input.all()
    let whole = try trace(body, inside)
    try require(whole == (try trace(body, inside)), "two looks see different messages")
    guard case .value(let line) = whole else { return }
    try require(line.utf8.allSatisfy { $0 >= 0x20 }, "a message is traced as more than one line")
    // A Stream Abort has two fields more when streaming is parallel: there both are whole.
    guard body.count < 26 || body[25] != UInt8(ascii: "A") else { return }
    let short = Array(body.prefix(cut * body.count / 256))
    if case .value = try trace(short, inside) {
      throw Violation(
        description: "\(short.count) of \(body.count) bytes are a message too: \(line)")
    }
    try walk(body, inside)
  }

  private static func trace(_ body: [UInt8], _ inside: UInt32?) throws(Violation) -> Outcome {
    var decoder = inside.map { PgOutputDecoder(insideStreamOf: $0) } ?? PgOutputDecoder()
    do throws(DecodingError) {
      return .value(try MessageTrace.line(.copyData, unsafe body.span.bytes, &decoder))
    } catch {
      try require(
        (0...body.count).contains(error.offset), "\(error) lies outside \(body.count) bytes")
      return .failure("\(error)")
    }
  }

  /// Walks the images of a change both ways.
  private static func walk(_ body: [UInt8], _ inside: UInt32?) throws(Violation) {
    var decoder = inside.map { PgOutputDecoder(insideStreamOf: $0) } ?? PgOutputDecoder()
    guard case .xLogData(_, _, let payload) = try? ReplicationMessage(unsafe body.span.bytes),
      case .change(let change) = try? decoder.decode(payload)
    else { return }
    try walk(change.old)
    try walk(change.new)
  }

  private static func walk(_ tuple: borrowing TupleData) throws(Violation) {
    var cursor = tuple.columns
    for index in 0..<tuple.count {
      let value = cursor.next()
      // Column by column costs a square: the first ones suffice.
      guard index < 20 else { continue }
      try require(
        describe(value) == describe(tuple.value(at: index)),
        "column \(index) is another one when it is looked at alone")
    }
  }

  private static func describe(_ value: borrowing ColumnValue) -> [UInt8] {
    switch value {
    case .null: [0]
    case .unchangedToast: [1]
    case .text(let bytes): [2] + bytes.copy
    case .binary(let bytes): [3] + bytes.copy
    }
  }
}
