import Glibc

/// Bold, faint and coloured text: on a terminal only, and not with NO_COLOR.
struct TerminalStyle {
  /// Whether escape sequences are written.
  let isOn: Bool

  /// For standard output as it is.
  init() {
    let noColour = ProcessEnvironment.value(of: "NO_COLOR") ?? ""
    isOn = Terminal.isInteractive && noColour.isEmpty && !Self.isDumb
  }

  /// Whether the terminal understands no escape sequences.
  static var isDumb: Bool { ProcessEnvironment.value(of: "TERM") == "dumb" }

  /// For tests: on or off.
  init(isOn: Bool) { self.isOn = isOn }

  /// A heading.
  func bold(_ text: String) -> String { wrap("1", text) }
  /// What may be passed over.
  func faint(_ text: String) -> String { wrap("2", text) }
  /// What is well.
  func green(_ text: String) -> String { wrap("32", text) }
  /// What should be looked at.
  func yellow(_ text: String) -> String { wrap("33", text) }
  /// What is wrong.
  func red(_ text: String) -> String { wrap("31", text) }

  private func wrap(_ code: String, _ text: String) -> String {
    isOn ? "\u{1B}[\(code)m\(text)\u{1B}[0m" : text
  }
}

/// A line that is written over and over on a terminal, and elsewhere now and then.
struct ProgressLine {
  private let isLive = Terminal.isInteractive && !TerminalStyle.isDumb
  private var next = ContinuousClock.now

  /// Shows the line, when enough time has passed since it was shown last.
  mutating func show(_ text: @autoclosure () -> String) {
    guard .now >= next else { return }
    next = .now + (isLive ? .milliseconds(50) : .milliseconds(500))
    if isLive { Terminal.put("\r\u{1B}[K\(text())") } else { Terminal.print(text()) }
  }

  /// Shows its last state and leaves it standing.
  func end(_ text: String) { Terminal.print(isLive ? "\r\u{1B}[K\(text)" : text) }
}

extension String {
  /// The same lines, each with `count` blanks before it.
  func indented(by count: Int) -> String {
    split(separator: "\n", omittingEmptySubsequences: false)
      .map { String(repeating: " ", count: count) + $0 }.joined(separator: "\n")
  }
}
