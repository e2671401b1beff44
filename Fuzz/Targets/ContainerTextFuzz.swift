import PGWire

/// The cursors through arrays, rows, ranges, multiranges, hstore, intervals and timestamps.
enum ContainerTextFuzz: FuzzTarget {
  static let name = "container-text"

  static let words = [
    "NULL", "empty", "\"=>\"", ", ", "[0:1]=", "infinity", " mons ", " year ", "04:05:06.789", "{}",
  ]

  static var seeds: [[UInt8]] {
    [
      (0, #"{1,NULL,"a \"b\""}"#), (0, "[0:1][2:3]={{1,2},{3,4}}"),
      (1, "{(1,2),(0,0);(3,4),(1,1)}"),
      (2, #"(1,"a ""b""",,"")"#), (2, "()"), (3, "[1,6)"), (3, #"("a b",)"#), (3, "empty"),
      (4, "{[1,3),[5,)}"), (4, "{}"), (5, #""key"=>"value", "other"=>NULL"#),
      (6, "1 year 2 mons -3 days +04:05:06.7"), (6, "-00:00:01"), (6, "infinity"),
      (7, "2024-02-29 12:34:56.789+05:30"), (7, "0044-03-15 00:00:00 BC"),
    ].map { [$0.0] + Array($0.1.utf8) }
  }

  static func run(_ input: [UInt8]) throws(Violation) {
    var input = FuzzInput(input)
    let kind = input.byte() % 8
    let text = input.all()
    let outcome = try read(kind, text)
    try require(outcome == (try read(kind, text)), "two looks see different values")
  }

  private static func read(_ kind: UInt8, _ text: [UInt8]) throws(Violation) -> Outcome {
    var pieces = Pieces(text)
    do throws(DecodingError) {
      switch kind {
      case 0: try array(text, 0x2C, &pieces)
      case 1: try array(text, 0x3B, &pieces)
      case 2: try composite(text, &pieces)
      case 3: pieces.add(try RangeText.bounds(of: unsafe text.span.bytes))
      case 4: try multirange(text, &pieces)
      case 5: try hstore(text, &pieces)
      case 6:
        let interval = try IntervalText(unsafe text.span.bytes)
        var writer = ByteWriter()
        interval.write(iso8601: &writer)
        pieces.found.append(writer.bytes.text)
      default: pieces.found.append("\(TimestampText.zone(of: unsafe text.span.bytes) as Any)")
      }
    } catch {
      try require(
        (0...text.count + 1).contains(error.offset), "\(error) lies outside \(text.count) bytes")
      return .failure("\(error)")
    }
    if let wrong = pieces.wrong { throw Violation(description: wrong) }
    return .value("\(pieces.found)")
  }

  private static func array(
    _ text: [UInt8], _ delimiter: UInt8, _ pieces: inout Pieces
  ) throws(DecodingError) {
    var cursor = try ArrayText(unsafe text.span.bytes, delimiter: delimiter)
    var depth = 0
    while let token = try cursor.next() {
      switch token {
      case .open: depth += 1
      case .close: depth -= 1
      case .null: pieces.found.append("null")
      case .element(let piece): pieces.add(piece)
      }
      pieces.check((0...ArrayText.maximumDimensions).contains(depth), "braces do not pair up")
    }
    pieces.check(depth == 0, "an array ended inside itself")
  }

  private static func composite(_ text: [UInt8], _ pieces: inout Pieces) throws(DecodingError) {
    var cursor = try CompositeText(unsafe text.span.bytes)
    while let field = try cursor.next() {
      if case .value(let piece) = field { pieces.add(piece) } else { pieces.found.append("null") }
    }
  }

  private static func multirange(_ text: [UInt8], _ pieces: inout Pieces) throws(DecodingError) {
    var cursor = try MultirangeText(unsafe text.span.bytes)
    while let bounds = try cursor.next() { pieces.add(bounds) }
  }

  private static func hstore(_ text: [UInt8], _ pieces: inout Pieces) throws(DecodingError) {
    var cursor = HstoreText(unsafe text.span.bytes)
    while let pair = try cursor.next() {
      pieces.add(pair.key)
      if let value = pair.value { pieces.add(value) } else { pieces.found.append("null") }
    }
  }
}

/// The pieces that a cursor gave, and the first thing that was wrong with one.
private struct Pieces {
  let text: [UInt8]
  var found: [String] = []
  private(set) var wrong: String?
  private var end = 0

  init(_ text: [UInt8]) { self.text = text }

  mutating func check(_ condition: Bool, _ sentence: String) {
    if !condition, wrong == nil { wrong = sentence }
    // More values than bytes would be a cursor that does not get on.
    if found.count > text.count + 2 { wrong = wrong ?? "a cursor gives values without an end" }
  }

  mutating func add(_ piece: TextPiece) {
    check(
      piece.start >= end && piece.start <= piece.end && piece.end <= text.count,
      "a piece lies outside its text or before another")
    guard wrong == nil else { return }
    end = piece.end
    var writer = ByteWriter()
    piece.unescape(unsafe text.span.bytes, into: &writer)
    check(writer.count <= piece.end - piece.start, "an escape makes a text longer")
    check(
      piece.isEscaped || writer.count == piece.end - piece.start,
      "a piece without escapes is not as it stands")
    found.append(writer.bytes.text)
  }

  mutating func add(_ bounds: RangeBounds) {
    found.append("\(bounds.isEmpty) \(bounds.lowerInclusive) \(bounds.upperInclusive)")
    if let lower = bounds.lower { add(lower) }
    if let upper = bounds.upper { add(upper) }
  }
}
