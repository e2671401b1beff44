import Glibc

/// The errno discipline of system calls in one place.
enum SystemCall {
  /// Repeats a call while a signal interrupts it.
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

  /// Whether what the errno says may pass by itself: nobody has to change the file or the system.
  static func passes(_ code: CInt) -> Bool {
    isFull(code)
      || [
        EADDRINUSE, EAGAIN, EBUSY, EINTR, EIO, EMFILE, ENFILE, ENOBUFS, ENOMEM, ESTALE, ETIMEDOUT,
      ]
      .contains(code)
  }

  /// Whether the errno says that a disk, a quota or a file-size limit is full: it may become free.
  static func isFull(_ code: CInt) -> Bool { code == ENOSPC || code == EDQUOT || code == EFBIG }

  /// Makes the name of a file, or that it has none any more, durable.
  ///
  /// Throws as the system does; `what` names the file.
  static func syncDirectory(of path: String, _ what: String) throws(StreamerError) {
    let descriptor = try retrying(what) {
      unsafe open(FileAccess.directory(of: path), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    }
    defer { close(descriptor) }
    _ = try retrying(what) { fsync(descriptor) }
  }
}

extension StreamerError {
  /// Makes an error from a system call's errno; only a full disk is retryable.
  ///
  /// What passes by itself ends the process with 1, whatever `exit` says of the rest.
  init(errno code: CInt, _ what: String, hint: String = "", exit: Exit = .failure) {
    let isFull = SystemCall.isFull(code)
    self.init(
      what: what, why: SystemCall.text(of: code),
      hint: isFull ? "Free some space on its disk." : hint,
      exit: SystemCall.passes(code) ? .failure : exit, retryable: isFull)
  }
}
