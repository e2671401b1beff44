/// One line of the log before it is written, in either format.
struct LogLine: Sendable {
  /// A name and what it stands for.
  struct Pair: Sendable {
    let name: String
    let value: Value
  }

  /// A value keeps its kind for JSON.
  enum Value: Sendable {
    case text(String)
    case number(String)
  }

  /// Longer values are cut: a line stays a line.
  static let valueLimitBytes = 2048

  let time: UTCTime
  let level: Log.Level
  let sentence: String
  let pairs: [Pair]

  /// The pairs of a call with their values as text.
  static func pairs(_ pairs: Log.Pairs) -> [Pair] {
    pairs.map { name, value in
      let text = value.description
      return switch value {
      case is any BinaryInteger, is Bool: Pair(name: name.description, value: .number(text))
      default: Pair(name: name.description, value: .text(cut(text)))
      }
    }
  }

  private static func cut(_ text: String) -> String {
    guard text.utf8.count > valueLimitBytes else { return text }
    // A character that was cut in two becomes U+FFFD.
    return String(decoding: text.utf8.prefix(valueLimitBytes), as: UTF8.self) + "…"
  }

  /// The line as one JSON object, with its line feed.
  func json() -> [UInt8] {
    var json = JSONText()
    json.object { json in
      json.key("time")
      json.value(time.description)
      json.key("level")
      json.value(level.name)
      json.key("msg")
      json.value(sentence)
      for pair in pairs {
        json.key(pair.name)
        switch pair.value {
        case .text(let text): json.value(text)
        case .number(let digits): json.plain(digits)
        }
      }
    }
    return json.bytes + [0x0A]
  }

  /// The line as `name=value` pairs, with its line feed.
  func logfmt(hasColours: Bool) -> [UInt8] {
    let (on, off) = hasColours ? (Self.colour(level), "\u{1B}[0m") : ("", "")
    var text = "time=\(time) level=\(on)\(level.name)\(off) msg=\(Self.quoted(sentence))"
    for pair in pairs {
      switch pair.value {
      case .text(let value): text += " \(pair.name)=\(Self.quoted(value))"
      case .number(let digits): text += " \(pair.name)=\(digits)"
      }
    }
    return Array(text.utf8) + [0x0A]
  }

  private static func colour(_ level: Log.Level) -> String {
    switch level {
    case .error: "\u{1B}[31m"
    case .warning: "\u{1B}[33m"
    case .info: "\u{1B}[32m"
    case .debug, .trace: "\u{1B}[2m"
    }
  }

  /// A value as it is when that is unmistakable, else in quotes with escapes.
  private static func quoted(_ text: String) -> String {
    let isPlain =
      !text.isEmpty
      && text.utf8.allSatisfy { byte in
        byte > 0x20 && byte != 0x7F && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "=")
          && byte != UInt8(ascii: "\\")
      } && !text.unicodeScalars.contains(where: \.isHidden)
    if isPlain { return text }
    var json = JSONText()
    json.value(text)
    return String(decoding: json.bytes, as: UTF8.self)
  }
}
