import Glibc

/// A directory that goes away with the object, or with the test process at the latest.
public final class TemporaryDirectory: Sendable {
  /// Its absolute path, without spaces, short enough for a Unix socket inside.
  public let path: String

  /// Makes one below TMPDIR (default /tmp) that everybody may enter.
  ///
  /// - Parameter owner: a user to give it to, which only root can do.
  /// - Throws: `SupportError` when it cannot be made.
  public init(_ name: String = "test", owner: String? = nil) throws {
    path = Self.freshPath(prefix: name)
    guard unsafe mkdir(path, 0o755) == 0 else {
      throw SupportError("cannot make \(path): \(lastError())")
    }
    Guardian.register(.remove(path))
    if let owner { try Subprocess.check("chown", [owner, path]) }
  }

  deinit {
    _ = try? Subprocess.run("rm", ["-rf", "--", path])
  }

  /// The path of something inside.
  public func file(_ name: String) -> String { "\(path)/\(name)" }

  /// A path below TMPDIR that nobody uses.
  static func freshPath(prefix: String) -> String {
    let root = TestEnvironment["TMPDIR"] ?? "/tmp"
    var generator = SystemRandomNumberGenerator()
    let tail = String(generator.next() >> 16, radix: 36)
    return "\(root)/psqls-\(prefix)-\(tail)"
  }
}
