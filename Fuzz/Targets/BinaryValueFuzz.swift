import PGWire
import Support

@testable import Streamer

/// Binary values: an error, or a text that the encoders read on.
enum BinaryValueFuzz: FuzzTarget {
  static let name = "binary-values"

  private static let oids: [UInt32] = [
    16, 17, 18, 20, 21, 23, 26, 27, 22, 25, 600, 601, 602, 603, 604, 628, 718, 650, 869, 700, 701,
    774, 829, 790, 1082, 1083, 1114, 1184, 1186, 1266, 1560, 1700, 2950, 2970, 3220, 3614, 3615,
    3802, 5069, 1007, 1009, 1020, 3904, 3906, 3910, 4451, 20000, 20001, 20002, 20005, 20010, 20011,
    1042,
  ]

  static var seeds: [[UInt8]] {
    func integer(_ value: Int32) -> [UInt8] {
      stride(from: 24, through: 0, by: -8).map { UInt8(truncatingIfNeeded: value >> Int32($0)) }
    }
    let array =
      integer(1) + integer(0) + integer(23) + integer(1) + integer(1) + integer(4) + integer(7)
    let examples: [(UInt32, [UInt8])] = [
      (16, [1]), (17, [0xDE, 0xAD]), (20, [0, 0, 0, 0, 0, 0, 0, 42]), (23, integer(-1)),
      (25, Array("a\"b".utf8)), (701, [0x3F, 0xF8, 0, 0, 0, 0, 0, 0]), (700, integer(0x7FC0_0000)),
      (1700, [0, 2, 0, 0, 0, 0, 0, 2, 0, 1, 0x13, 0x88]), (1700, [0, 0, 0, 0, 0xC0, 0, 0, 0]),
      (1114, [0, 2, 0xB9, 0xCF, 0xFA, 0x2B, 0x55, 0x40]), (1082, integer(8_826)),
      (1186, integer(0) + integer(1) + integer(3) + integer(14)),
      (869, [2, 32, 0, 4, 127, 0, 0, 1]),
      (1007, array), (3904, [2] + integer(4) + integer(1) + integer(4) + integer(6)), (3904, [1]),
      (4451, integer(1) + integer(9) + [8] + integer(4) + integer(1)),
      (3802, [1] + Array("{}".utf8)),
      (20000, integer(1) + integer(1) + [0x61] + integer(-1)), (20002, [0, 1, 0, 0] + integer(0)),
      (20005, integer(2) + integer(21) + integer(2) + [0, 7] + integer(25) + integer(-1)),
      (3614, integer(1) + [0x61, 0, 0, 1, 0x40, 1]), (3615, integer(1) + [1, 0, 0, 0x61, 0]),
      (1560, integer(3) + [0xA0]), (604, integer(1) + [UInt8](repeating: 0, count: 16)),
    ]
    return examples.flatMap { oid, bytes -> [[UInt8]] in
      guard let number = oids.firstIndex(of: oid) else { return [] }
      return [[UInt8(number), 15] + bytes, [UInt8(number), 18] + bytes]
    }
  }

  static func run(_ input: [UInt8]) throws(Violation) {
    var input = FuzzInput(input)
    let oid = input.choice(oids)
    let major = 14 + Int(input.byte() % 5)
    let value = input.all()
    var formats = BinaryFormats(serverMajor: major)
    guard let format = formats.resolve(oid, in: ExampleTypes.catalog) else { return }
    var text = ByteWriter()
    do throws(DecodingError) {
      try formats.appendText(of: unsafe value.span.bytes, as: format, to: &text)
    } catch {
      try require("\(error)".isOneLine, "an error is not one line")
      return
    }
    try encode(text.bytes.copy, oid)
  }

  /// What was binary becomes JSON as what was text does, unless the server never sends it.
  private static func encode(_ text: [UInt8], _ oid: UInt32) throws(Violation) {
    var options = ValueOptions(interval: .iso8601)
    options.json = .string
    var encoders = ValueEncoders(options: options)
    var scratch = ValueScratch()
    let encoder = encoders.resolve(oid, in: ExampleTypes.catalog)
    var json = ByteWriter()
    do throws(DecodingError) {
      try encoders.encode(unsafe text.span.bytes, as: encoder, scratch: &scratch, into: &json)
    } catch { return }
    let document = json.bytes.text
    try require(document.utf8.allSatisfy { $0 >= 0x20 }, "JSON on more than one line")
    try require((try? JSON(document)) != nil, "type \(oid) became what is no JSON: \(document)")
  }
}
