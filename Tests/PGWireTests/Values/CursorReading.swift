import PGWire

/// What the cursors under test give, in the form of ``Model``.
enum CursorReading {
  private static func text(_ piece: TextPiece, _ bytes: RawSpan) -> Model {
    var writer = ByteWriter()
    piece.unescape(bytes, into: &writer)
    let unescaped = writer.bytes.text
    // An element without escapes can be taken from the text as it stands.
    if !piece.isEscaped {
      precondition(piece.raw(in: bytes).text == unescaped, "escaped after all")
    }
    return .text(unescaped)
  }

  static func array(_ text: String, delimiter: UInt8) throws(DecodingError) -> Model {
    let array = [UInt8](text.utf8)
    let bytes = unsafe array.span.bytes
    var cursor = try ArrayText(bytes, delimiter: delimiter)
    var open: [[Model]] = [[]]
    while let token = try cursor.next() {
      let item: Model
      switch token {
      case .open:
        open.append([])
        continue
      case .close: item = .list(open.removeLast())
      case .null: item = .null
      case .element(let piece): item = Self.text(piece, bytes)
      }
      open[open.count - 1].append(item)
    }
    return open[0][0]
  }

  static func composite(_ text: String) throws(DecodingError) -> Model {
    let array = [UInt8](text.utf8)
    let bytes = unsafe array.span.bytes
    var cursor = try CompositeText(bytes)
    var items: [Model] = []
    while let field = try cursor.next() {
      switch field {
      case .null: items.append(.null)
      case .value(let piece): items.append(Self.text(piece, bytes))
      }
    }
    return .list(items)
  }

  private static func model(_ bounds: RangeBounds, _ bytes: RawSpan) -> Model {
    guard !bounds.isEmpty else { return .list([]) }
    let signs = (bounds.lowerInclusive ? "[" : "(") + (bounds.upperInclusive ? "]" : ")")
    let lower = bounds.lower.map { text($0, bytes) } ?? .null
    let upper = bounds.upper.map { text($0, bytes) } ?? .null
    return .list([lower, upper, .text(signs)])
  }

  static func range(_ text: String) throws(DecodingError) -> Model {
    let array = [UInt8](text.utf8)
    let bytes = unsafe array.span.bytes
    return model(try RangeText.bounds(of: bytes), bytes)
  }

  static func multirange(_ text: String) throws(DecodingError) -> Model {
    let array = [UInt8](text.utf8)
    let bytes = unsafe array.span.bytes
    var cursor = try MultirangeText(bytes)
    var items: [Model] = []
    while let bounds = try cursor.next() { items.append(model(bounds, bytes)) }
    return .list(items)
  }

  static func hstore(_ text: String) throws(DecodingError) -> Model {
    let array = [UInt8](text.utf8)
    let bytes = unsafe array.span.bytes
    var cursor = HstoreText(bytes)
    var items: [Model] = []
    while let pair = try cursor.next() {
      let value = pair.value.map { Self.text($0, bytes) } ?? .null
      items.append(.list([Self.text(pair.key, bytes), value]))
    }
    return .list(items)
  }
}
