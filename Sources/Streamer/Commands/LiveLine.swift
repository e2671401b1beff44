import Glibc
import Synchronization

/// A line at the end of standard error that is written over and over, where that is a terminal.
///
/// What the program writes there meanwhile, its log above all, goes above the line.
enum LiveLine {
  // What is shown; empty for nothing.
  private static let shown = Mutex("")
  private static let isShown = Atomic<Bool>(false)

  /// Whether there is a terminal for it, of which this process is in the foreground.
  static var isPossible: Bool {
    guard isatty(STDERR_FILENO) == 1, !TerminalStyle.isDumb else { return false }
    let foreground = tcgetpgrp(STDERR_FILENO)
    return foreground <= 0 || foreground == getpgrp()
  }

  /// How many characters fit into it.
  static var width: Int {
    var size = winsize()
    let code = unsafe ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size)
    // In the last column some terminals go on to the next line.
    return code == 0 && size.ws_col > 1 ? Int(size.ws_col) - 1 : 79
  }

  /// Shows a line in place of the one before, cut where the terminal ends.
  static func show(_ text: String) {
    shown.withLock { line in
      line = String(text.prefix(width))
      isShown.store(true, ordering: .relaxed)
      put("\r\u{1B}[K\(line)")
    }
  }

  /// Takes it away; with a text, that is left standing in its place.
  static func end(_ text: String? = nil) {
    shown.withLock { line in
      guard !line.isEmpty else { return }
      line = ""
      isShown.store(false, ordering: .relaxed)
      put("\r\u{1B}[K" + (text.map { "\($0)\n" } ?? ""))
    }
  }

  /// Has something written to standard error, in whole lines.
  static func above<T>(_ write: () -> T) -> T {
    guard isShown.load(ordering: .relaxed) else { return write() }
    return shown.withLock { line in
      if !line.isEmpty { put("\r\u{1B}[K") }
      defer { if !line.isEmpty { put(line) } }
      return write()
    }
  }

  private static func put(_ text: String) {
    let bytes = Array(text.utf8)
    // What cannot be shown is no reason to stop.
    _ = unsafe bytes.withUnsafeBytes { unsafe Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
  }
}

/// The bar in such a line.
enum ProgressBar {
  /// A quarter: "[#####...............]".
  static func text(_ fraction: Double) -> String {
    let width = 20
    let full = min(max(Int(fraction * Double(width)), 0), width)
    return "[\(String(repeating: "#", count: full))\(String(repeating: ".", count: width - full))]"
  }
}
