import Glibc

/// Which file a path leads to: another one of the same name has another identity.
struct FileIdentity: Hashable, Sendable {
  private let device: UInt
  private let inode: UInt

  /// Looks at what lies at a path; nil when nothing can be seen there.
  init?(of path: String) {
    var status = stat()
    guard unsafe stat(path, &status) == 0 else { return nil }
    device = UInt(status.st_dev)
    inode = UInt(status.st_ino)
  }
}
