import CTOML

/// Why a text is no TOML, and where.
struct TOMLSyntaxError: Error, Hashable, Sendable {
  /// Where the parser stopped.
  let position: TOMLPosition
  /// What it expected there.
  let text: String
}

/// A parsed TOML file as a Swift tree.
struct TOMLDocument: Hashable, Sendable {
  /// The table that holds everything.
  let root: TOMLTable

  /// Parses a text with toml++ (TOML 1.0).
  init(parsing text: String) throws(TOMLSyntaxError) {
    let bytes = Array(text.utf8)
    // SAFETY: the parser copies what it keeps.
    let parsed = unsafe bytes.withUnsafeBytes { raw in
      unsafe ctoml_parse(raw.baseAddress?.assumingMemoryBound(to: CChar.self), raw.count)
    }
    guard let document = unsafe parsed else {
      throw TOMLSyntaxError(
        position: TOMLPosition(line: 0, column: 0), text: "there is no memory to parse it")
    }
    // SAFETY: nodes live as long as the document; the tree below is made of copies.
    defer { unsafe ctoml_free(document) }
    guard let root = unsafe ctoml_root(document) else {
      throw unsafe TOMLSyntaxError(
        position: TOMLPosition(ctoml_error_position(document)),
        text: Self.withoutValues(String(ctoml_error_text(document))))
    }
    self.root = unsafe TOMLTable(copying: root)
  }

  /// The parser's message without the piece of a value that it may quote: it could be of a secret.
  ///
  /// Single characters, escapes and key names stay; they help and tell nothing.
  static func withoutValues(_ message: String) -> String {
    guard !message.contains("cannot redefine") else { return message }
    let harmless: Set<Substring> = ["true", "false", "inf", "nan"]
    var parts = message.split(separator: "'", omittingEmptySubsequences: false)
    // Quoted pieces are those between an odd and an even apostrophe.
    for index in stride(from: 1, to: parts.count - 1, by: 2) {
      let piece = parts[index]
      if piece.count > 1, !piece.hasPrefix("\\"), !harmless.contains(piece) { parts[index] = "…" }
    }
    return parts.joined(separator: "'")
  }
}

extension TOMLTable {
  fileprivate init(copying node: OpaquePointer) {
    for index in 0..<(unsafe ctoml_count(node)) {
      guard let member = unsafe ctoml_member(node, index) else { break }
      entries.append(
        unsafe Entry(
          key: String(ctoml_member_key(node, index)),
          position: TOMLPosition(ctoml_member_key_position(node, index)),
          value: TOMLValue(copying: member)))
    }
  }
}

extension TOMLValue {
  fileprivate init(copying node: OpaquePointer) {
    position = unsafe TOMLPosition(ctoml_node_position(node))
    // The parser and CTOML limit the depth of values and keys, so the recursion is bounded too.
    switch unsafe ctoml_node_kind(node) {
    case CTOML_TABLE: content = .table(unsafe TOMLTable(copying: node))
    case CTOML_ARRAY:
      var members: [TOMLValue] = []
      for index in 0..<(unsafe ctoml_count(node)) {
        guard let member = unsafe ctoml_member(node, index) else { break }
        members.append(unsafe TOMLValue(copying: member))
      }
      content = .array(members)
    case CTOML_STRING: content = .string(unsafe String(ctoml_string(node)))
    case CTOML_INTEGER: content = .integer(unsafe ctoml_integer(node))
    case CTOML_FLOAT: content = .float(unsafe ctoml_float(node))
    case CTOML_BOOLEAN: content = .boolean(unsafe ctoml_boolean(node))
    default: content = .time
    }
  }
}

extension TOMLPosition {
  fileprivate init(_ position: ctoml_position) {
    self.init(line: Int(position.line), column: Int(position.column))
  }
}

extension String {
  fileprivate init(_ text: ctoml_text) {
    let bytes = unsafe UnsafeRawBufferPointer(start: text.bytes, count: text.length)
    self = unsafe String(decoding: bytes, as: UTF8.self)
  }
}
