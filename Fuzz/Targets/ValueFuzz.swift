import PGWire
import Support

@testable import Streamer

/// The encoders of values: whatever a text is, what they append is JSON, and on one line.
enum ValueFuzz: FuzzTarget {
  static let name = "values"

  static let words = [
    "NULL", "NaN", "-Infinity", "infinity", #"\x"#, "2024-02-29 12:34:56", "1 mon", "{", "}", "[",
    "=>", "empty", "1e-05", "\\\"", "\"\"",
  ]

  static var seeds: [[UInt8]] {
    let examples: [(UInt32, String)] = [
      (16, "t"), (23, "42"), (20, "-9223372036854775808"), (701, "-1.5e-05"), (701, "NaN"),
      (1700, "12345.670"), (1114, "2024-02-29 12:34:56.789"), (1184, "2024-02-29 12:34:56+05"),
      (1186, "1 year 2 mons -3 days +04:05:06.7"), (17, #"\xdeadbeef"#), (25, "a\"b\\\nc"),
      (22, "1 2 3"), (1007, "{1,NULL,3}"), (1009, #"{"a,b",NULL,"\"\\"}"#), (1020, "{(1,2);(3,4)}"),
      (3904, "[1,6)"), (3908, #"["2024-01-01 00:00:00",)"#), (4451, "{[1,3),[5,)}"),
      (20000, #""a"=>"1", "b"=>NULL"#), (20001, #"{"\"a\"=>\"\\\"\""}"#), (20002, "[1,2.5]"),
      (20005, #"(1,"a ""b""")"#), (20010, #"{"(1,x)",NULL}"#), (114, #"{"a": [1, null]}"#),
      (3802, #"{"a": "ü"}"#),
    ]
    var seeds: [[UInt8]] = []
    for (oid, text) in examples {
      guard let number = oids.firstIndex(of: oid) else { continue }
      for options in [0, 0xFF] as [UInt8] {
        seeds.append([UInt8(number), options] + Array(text.utf8))
      }
    }
    return seeds
  }

  private static let oids: [UInt32] = [
    16, 20, 21, 23, 26, 700, 701, 1700, 1114, 1184, 1186, 17, 25, 22, 114, 3802, 1007, 1009, 1020,
    1187, 199, 3904, 3908, 4451, 20000, 20001, 20002, 20005, 20010, 20011,
  ]

  static func run(_ input: [UInt8]) throws(Violation) {
    var input = FuzzInput(input)
    let oid = input.choice(oids)
    let options = options(input.byte())
    let text = input.all()
    // What the server has checked already is not checked again: only JSON stands there.
    let isEmbedded = [114, 3802, 199].contains(oid) && options.json == .embed
    guard !isEmbedded || holdsJSON(text) else { return }
    // jsonb is written by the server itself, in one line.
    guard oid != 3802 || text.allSatisfy({ $0 >= 0x20 }) else { return }

    var encoders = ValueEncoders(options: options)
    var scratch = ValueScratch()
    let encoder = encoders.resolve(oid, in: ExampleTypes.catalog)
    var output = ByteWriter()
    output.append("kept")
    do throws(DecodingError) {
      try encoders.encode(unsafe text.span.bytes, as: encoder, scratch: &scratch, into: &output)
    } catch {
      try require("\(error)".isOneLine, "an error is not one line")
      try require(output.bytes.text == "kept", "a failed value leaves bytes behind")
      return
    }
    let json = output.bytes.copy.dropFirst(4)
    try require(
      json.allSatisfy { $0 >= 0x20 || (isEmbedded && $0 == 9) }, "JSON on more than one line")
    if let text = String(validating: text, as: UTF8.self), text.utf8.count > 0 {
      try require(
        String(validating: json, as: UTF8.self) != nil,
        "a text that is UTF-8 became JSON that is not")
    }
    // Bytes that are no UTF-8 pass as they are: only the structure is JSON's then.
    let document = String(decoding: json, as: UTF8.self)
    try require((try? JSON(document)) != nil, "type \(oid) became what is no JSON: \(document)")
  }

  private static func options(_ bits: UInt8) -> ValueOptions {
    var options = ValueOptions()
    options.numeric = ValueOptions.Numeric.allCases[Int(bits & 3) % 3]
    if bits & 4 != 0 { options.interval = .iso8601 }
    if bits & 8 != 0 { options.bytea = .hex }
    if bits & 16 != 0 { options.json = .string }
    return options
  }

  private static func holdsJSON(_ text: [UInt8]) -> Bool {
    guard let text = String(validating: text, as: UTF8.self) else { return false }
    return (try? JSON(text)) != nil
  }
}
