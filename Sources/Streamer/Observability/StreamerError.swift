import Glibc

/// What went wrong in the service itself, apart from PostgreSQL's and Kafka's own errors.
///
/// It prints as one line, "WHAT: WHY. HINT", without secrets or row values.
struct StreamerError: Error, Hashable, Sendable {
  /// What decides how the error is treated.
  enum Kind: Hashable, Sendable {
    /// A bad argument or a bad value in the configuration.
    case configuration
    /// Another process holds what only one may hold.
    case busy
    /// A file is damaged, or not what it should be.
    case corrupt
    /// A disk or a quota is full; it may become free again.
    case full
    /// A system call or a library's call failed.
    case system
  }

  /// What decides how the error is treated.
  let kind: Kind
  /// The thing that failed, named: `position store "/var/lib/x.db"`.
  let what: String
  /// The cause, without a full stop.
  let why: String
  /// What to do about it, a whole sentence; empty when there is nothing to say.
  let hint: String

  /// Makes an error from its parts.
  init(_ kind: Kind, _ what: String, why: String, hint: String = "") {
    self.kind = kind
    self.what = what
    self.why = why
    self.hint = hint
  }

  /// Makes an error from a system call's errno.
  init(errno code: CInt, _ what: String, hint: String = "") {
    self.init(
      code == ENOSPC || code == EDQUOT ? .full : .system, what, why: SystemCall.text(of: code),
      hint: hint)
  }

  /// Whether the same call may succeed later without anybody changing a file or a setting.
  var isRetryable: Bool { kind == .busy || kind == .full }
}

extension StreamerError: CustomStringConvertible {
  /// The error in one line.
  var description: String {
    hint.isEmpty ? "\(what): \(why)" : "\(what): \(why). \(hint)"
  }
}
