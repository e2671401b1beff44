import Glibc

/// Lists and removes what lies in the file system.
enum FileTree {
  /// The names in a directory; none when it cannot be read.
  static func names(in path: String) -> [String] {
    guard let directory = unsafe opendir(path) else { return [] }
    defer { unsafe closedir(directory) }
    var names: [String] = []
    while let entry = unsafe readdir(directory) {
      // SAFETY: d_name is a zero-terminated text inside the entry.
      let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { name in
        unsafe name.withMemoryRebound(to: CChar.self, capacity: 256) { text in
          unsafe String(cString: text)
        }
      }
      if name != ".", name != ".." { names.append(name) }
    }
    return names
  }

  /// Removes a file or a directory with all that is in it; what cannot be removed stays.
  ///
  /// Symbolic links are removed, not followed.
  static func remove(_ path: String) {
    if unsafe unlink(path) == 0 { return }
    guard errno == EISDIR || errno == EPERM else { return }
    for name in names(in: path) { remove("\(path)/\(name)") }
    unsafe rmdir(path)
  }
}
