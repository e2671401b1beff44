import Glibc

/// The errno discipline of system calls in one place.
enum SystemCall {
  /// Repeats a call while a signal interrupts it; -1 leaves errno in the error.
  ///
  /// Throws: the errno of the call, read before anything else can change it.
  @inline(always)
  static func retrying(
    _ what: @autoclosure () -> String, _ call: () -> CInt
  ) throws(StreamerError) -> CInt {
    while true {
      let result = call()
      if result >= 0 { return result }
      let code = errno
      if code != EINTR { throw StreamerError(errno: code, what()) }
    }
  }

  /// The system's text of an errno, lower case at its start as the rest of our messages.
  static func text(of code: CInt) -> String {
    // SAFETY: glibc's strerror returns a constant or a buffer of the calling thread.
    let text = unsafe strerror(code).map { unsafe String(cString: $0) } ?? "error \(code)"
    return text.prefix(1).lowercased() + text.dropFirst()
  }
}
