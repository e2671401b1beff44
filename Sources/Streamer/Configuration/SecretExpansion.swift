/// Replaces `${NAME}` and `${file:PATH}` in the strings of a configuration by what they stand for.
///
/// `$${` stands for `${` itself. PATH may hold variables in turn, as in
/// `${file:${CREDENTIALS_DIRECTORY}/password}`. What a reference gives is never part of an error.
struct SecretExpansion: Sendable {
  /// How long a secret's file may be, in bytes.
  static let fileLimit = 64 << 10

  /// Gives an environment variable.
  let environment: @Sendable (String) -> String?
  /// Gives a file's first bytes, at most as many as asked for.
  let readFile: FileReader

  /// Why a reference stands for nothing.
  struct Failure: Error, Hashable, Sendable {
    /// What was found.
    let found: String
    /// What was expected.
    let expected: String
    /// The remedy.
    let hint: String
  }

  /// A piece of a string that was expanded.
  enum Piece: Hashable {
    /// What stands in the file, without the escapes.
    case text(String)
    /// A reference as it stands in the file, and what it stands for.
    case reference(shown: String, value: String)
  }

  /// Expands every reference in `text`; `usedReference` says whether there was one.
  func expand(_ text: String) throws(Failure) -> (text: String, usedReference: Bool) {
    var result = ""
    var used = false
    for piece in try pieces(of: text) {
      switch piece {
      case .text(let part): result += part
      case .reference(_, let value):
        result += value
        used = true
      }
    }
    return (result, used)
  }

  /// Expands every reference in `text`, and leaves apart what they stand for.
  func pieces(of text: String) throws(Failure) -> [Piece] {
    guard text.contains("${") else { return [.text(text)] }
    var pieces: [Piece] = []
    var result = ""
    var rest = Substring(text)
    while let dollar = rest.firstIndex(of: "$") {
      result += rest[..<dollar]
      rest = rest[dollar...]
      if rest.hasPrefix("$${") {
        result += "${"
        rest = rest.dropFirst(3)
      } else if rest.hasPrefix("${") {
        guard let end = Self.end(of: rest) else {
          throw Failure(
            found: "\"${\" without its \"}\"", expected: "${NAME} or ${file:PATH}",
            hint: "Write $${ for the two characters themselves.")
        }
        let value = try value(of: rest[rest.index(rest.startIndex, offsetBy: 2)..<end])
        pieces += [.text(result), .reference(shown: String(rest[...end]), value: value)]
        result = ""
        rest = rest[rest.index(after: end)...]
      } else {
        result += "$"
        rest = rest.dropFirst()
      }
    }
    return pieces + [.text(result + rest)]
  }

  /// The brace that ends the reference with which `text` begins; those within have their own.
  private static func end(of text: Substring) -> Substring.Index? {
    var depth = 0
    var rest = text
    while let first = rest.first {
      if rest.hasPrefix("$${") {
        rest = rest.dropFirst(3)
      } else if rest.hasPrefix("${") {
        depth += 1
        rest = rest.dropFirst(2)
      } else {
        if first == "}" {
          depth -= 1
          if depth == 0 { return rest.startIndex }
        }
        rest = rest.dropFirst()
      }
    }
    return nil
  }

  private func value(of reference: Substring) throws(Failure) -> String {
    if reference.hasPrefix("file:") {
      return try content(of: path(reference.dropFirst(5)), shown: "${\(reference)}".singleLine)
    }
    let name = String(reference)
    let isName = name.utf8.allSatisfy { $0 == 0x5F || Character(Unicode.Scalar($0)).isASCIIWord }
    guard isName, let first = name.first, !first.isNumber else {
      throw Failure(
        found: "\"${…}\" around what is no name", expected: "${NAME} or ${file:PATH}",
        hint: "A name has letters, digits and underscores; $${ stands for the two characters.")
    }
    guard let value = environment(name) else {
      throw Failure(
        found: "${\(name)}, which is not set", expected: "an environment variable that is set",
        hint: "Set \(name) in the environment of psql-streamer.")
    }
    return value
  }

  /// A file's name with its variables put in; a file that names another file is none of ours.
  private func path(_ text: Substring) throws(Failure) -> String {
    guard !text.contains("${file:") else {
      throw Failure(
        found: "a \"${file:…}\" within another",
        expected: "${file:PATH}, where PATH may hold ${NAME}", hint: "")
    }
    return try expand(String(text)).text
  }

  private func content(of path: String, shown: String) throws(Failure) -> String {
    let bytes: [UInt8]
    do throws(FileReadError) {
      bytes = try readFile(path, Self.fileLimit + 1)
    } catch {
      throw Failure(
        found: "\(shown), which cannot be read (\(error.reason))", expected: "a readable file",
        hint: "")
    }
    guard bytes.count <= Self.fileLimit else {
      throw Failure(
        found: "\(shown), which is longer than \(ByteSize(Self.fileLimit))",
        expected: "a file with one secret", hint: "")
    }
    guard var text = String(validating: bytes, as: UTF8.self) else {
      throw Failure(
        found: "\(shown), which is not UTF-8", expected: "a text file with one secret", hint: "")
    }
    // Editors and `echo` end a file with a line break that is no part of the secret.
    while text.last?.isNewline == true { text.removeLast() }
    return text
  }
}

extension Character {
  /// Whether it is a letter or a digit of ASCII.
  var isASCIIWord: Bool { isASCII && (isLetter || isNumber) }
}
