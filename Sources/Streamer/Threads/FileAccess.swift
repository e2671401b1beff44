import Glibc

/// What is asked of files' paths, without writing.
enum FileAccess {
  /// The directory that holds `path`.
  static func directory(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  /// Whether there is something of that name.
  static func exists(_ path: String) -> Bool { unsafe access(path, F_OK) == 0 }

  /// Why a file or directory cannot be written; nil when it can.
  static func whyNotWritable(_ path: String) -> String? {
    unsafe access(path, W_OK) == 0 ? nil : SystemCall.text(of: errno)
  }

  /// Whether `path` is a directory.
  static func isDirectory(_ path: String) -> Bool {
    var status = stat()
    return unsafe stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
  }

  /// A name of the configuration as a part of a file's name: other bytes than letters, digits, "_" and
  /// "." are "%" and their two digits.
  static func part(named name: String) -> String {
    name.utf8.map { byte in
      let character = Character(Unicode.Scalar(byte))
      if character.isASCIIWord || character == "_" || character == "." { return String(character) }
      return "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
    }.joined()
  }
}
