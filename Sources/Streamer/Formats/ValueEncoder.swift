import PGWire

/// The rule by which the values of one type become JSON.
///
/// A trivial value, so that a plan's columns are walked through without a retain. What the rule of
/// a nested type refers to stands in the ``ValueEncoders`` that made it.
struct ValueEncoder: Hashable, Sendable, BitwiseCopyable {
  enum Rule: UInt8, Sendable {
    /// A JSON string of the text.
    case string
    case boolean, integer, number, double
    case timestamp, interval, base64, hex
    /// `json`, which may hold newlines, and `jsonb`, which never does.
    case json, jsonb
    /// `int2vector`, `oidvector`: numbers between spaces.
    case vector
    /// pgvector's `vector`, `halfvec`.
    case embedding
    /// pgvector's `sparsevec`.
    case sparse
    /// PostGIS's `geometry`, `geography`.
    case geometry
    /// `real` and `double precision` of servers before 12, whose texts are not the shortest.
    case float4, float8
    case array, composite, range, multirange, hstore
  }

  let rule: Rule
  /// Where the nested type's details stand.
  let index: UInt32

  init(_ rule: Rule, index: UInt32 = 0) {
    self.rule = rule
    self.index = index
  }

  /// The rule for everything that has none of its own: its text as a string.
  static let string = ValueEncoder(.string)

  /// Appends a value of a type that is not nested.
  @inline(__always)
  func encodeScalar(_ text: RawSpan, into json: inout ByteWriter) throws(DecodingError) {
    switch rule {
    case .integer:
      guard JSONNumber.isInteger(text) else {
        throw DecodingError(.violation("an integer is malformed"), at: 0)
      }
      json.append(short: text)
    case .boolean: try Self.encode(boolean: text, into: &json)
    case .number:
      guard JSONNumber.isNumber(text) else { return JSONEscape.append(text, to: &json) }
      json.append(short: text)
    case .timestamp: Self.encode(timestamp: text, into: &json)
    case .jsonb:
      guard try JSONReach.isEmbeddable(text, mayHaveSurrogates: false) else {
        return JSONEscape.append(text, to: &json)
      }
      json.append(text)
    case .json:
      guard try JSONReach.isEmbeddable(text, mayHaveSurrogates: true) else {
        return JSONEscape.append(text, to: &json)
      }
      Self.encode(json: text, into: &json)
    case .double: JSONNumber.append(double: text, to: &json)
    case .base64: try Base64.append(hex: text, to: &json)
    case .hex: JSONEscape.append(try Base64.hexDigits(text), to: &json)
    case .interval: try Self.encode(interval: text, into: &json)
    case .vector: try Self.encode(vector: text, into: &json)
    case .embedding: Self.encode(embedding: text, into: &json)
    case .sparse: Self.encode(sparse: text, into: &json)
    case .geometry: GeoJSON.append(ewkb: text, to: &json)
    case .float4: JSONNumber.append(shortest: text, isSingle: true, to: &json)
    case .float8: JSONNumber.append(shortest: text, isSingle: false, to: &json)
    case .string, .array, .composite, .range, .multirange, .hstore:
      JSONEscape.append(text, to: &json)
    }
  }

  private static func encode(
    boolean text: RawSpan, into json: inout ByteWriter
  ) throws(DecodingError) {
    guard text.byteCount == 1, text[0] == 0x74 || text[0] == 0x66 else {
      throw DecodingError(.violation("a boolean is neither t nor f"), at: 0)
    }
    json.append(text[0] == 0x74 ? "true" : "false")
  }

  /// The common form with a T and, for UTC, a Z; other texts as PostgreSQL has them.
  private static func encode(timestamp text: RawSpan, into json: inout ByteWriter) {
    let start = json.count
    JSONEscape.append(text, to: &json)
    // Only a text that needed no escape is where its offsets say.
    guard let zone = TimestampText.zone(of: text), json.count == start + text.byteCount + 2 else {
      return
    }
    json.set(byte: 0x54, at: start + 1 + TimestampText.separatorOffset)
    switch zone {
    case .none, .long: break
    case .utc:
      json.truncate(to: json.count - 4)
      json.append("Z\"")
    case .hours:
      // RFC 3339 has minutes in every offset.
      json.truncate(to: json.count - 1)
      json.append(":00\"")
    }
  }

  private static func encode(
    interval text: RawSpan, into json: inout ByteWriter
  ) throws(DecodingError) {
    // Infinite intervals (17+) and what the server has in ISO 8601 already stay as they are.
    let first = text.byteCount > 0 ? text[0] : 0
    let second = text.byteCount > 1 ? text[1] : 0
    guard first != 0x50, first != 0x69, second != 0x69 else {
      return JSONEscape.append(text, to: &json)
    }
    let interval = try IntervalText(text)
    json.append(0x22 as UInt8)
    interval.write(iso8601: &json)
    json.append(0x22 as UInt8)
  }

  /// Newlines are legal between JSON's tokens only, where they mean nothing; without them an event
  /// is one line.
  private static func encode(json text: RawSpan, into json: inout ByteWriter) {
    var run = 0
    var at = 0
    while let newline = firstNewline(in: text, from: at) {
      json.append(text.extracting(run..<newline))
      run = newline &+ 1
      at = run
    }
    json.append(text.extracting(run..<text.byteCount))
  }

  private static func firstNewline(in text: RawSpan, from start: Int) -> Int? {
    let ones: UInt64 = 0x0101_0101_0101_0101
    var at = start
    while at < text.byteCount {
      let count = min(8, text.byteCount &- at)
      let word = text.word(at: at, count)
      let feeds = word ^ (ones &* 0x0A)
      let returns = word ^ (ones &* 0x0D)
      let found =
        (((feeds &- ones) & ~feeds) | ((returns &- ones) & ~returns)) & (ones &* 0x80)
      if found != 0 { return at &+ found.trailingZeroBitCount &>> 3 }
      at &+= count
    }
    return nil
  }
}
