import Glibc

/// The environment that this process was started with.
enum ProcessEnvironment {
  /// The value of a variable; `nil` when it is not set.
  static func value(of name: String) -> String? {
    // SAFETY: nothing in this process changes its environment, and the text is copied at once.
    unsafe getenv(name).map { unsafe String(cString: $0) }
  }
}
