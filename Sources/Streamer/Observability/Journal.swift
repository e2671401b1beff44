import Glibc

/// systemd's journal as the reader of standard error: each line may begin with its priority.
enum Journal {
  /// Whether standard error leads to the journal.
  static let isStandardError = isReader(
    of: STDERR_FILENO, variable: ProcessEnvironment.value(of: "JOURNAL_STREAM"))

  /// Whether a descriptor is the stream that `JOURNAL_STREAM` names, as "DEVICE:INODE".
  ///
  /// The variable alone says nothing: a redirected process inherits it.
  static func isReader(of descriptor: CInt, variable: String?) -> Bool {
    guard let variable else { return false }
    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0 else { return false }
    return variable == "\(status.st_dev):\(status.st_ino)"
  }

  /// What a line of that level begins with, by the numbers of syslog(3).
  static func prefix(_ level: Log.Level) -> String {
    switch level {
    case .error: "<3>"
    case .warning: "<4>"
    case .info: "<6>"
    case .debug, .trace: "<7>"
    }
  }
}
