import Glibc
import Synchronization

/// The service's log: one line for each call, a fixed sentence and what it is about.
///
/// It is passed around as a value; ``with(_:)`` gives one that adds its own pairs to every line.
/// Lines of several threads never mix, since each one is written by a single call.
struct Log: Sendable {
  /// How grave a line is.
  enum Level: UInt8, Comparable, CaseIterable, Sendable {
    case trace, debug, info, warning, error

    /// The level of that name in the configuration, or nil.
    init?(name: String) {
      let name = name.lowercased() == "warn" ? "warning" : name.lowercased()
      guard let level = Level.allCases.first(where: { $0.name == name }) else { return nil }
      self = level
    }

    /// The level's name in a line and in the configuration.
    var name: String { "\(self)" }

    /// Orders by gravity.
    static func < (a: Level, b: Level) -> Bool { a.rawValue < b.rawValue }
  }

  /// How a line is written.
  enum Format: String, Sendable { case logfmt, json }

  /// What a sentence is about: slot, lsn, relation, bytes; never a row's values or a secret.
  typealias Pairs = KeyValuePairs<StaticString, any CustomStringConvertible>

  private let output: LogOutput
  private let context: [LogLine.Pair]
  // The level of this value alone, for the `debug` and `verbose` of one source or sink.
  private let own: Level?

  /// Makes a log that writes to `descriptor`, which stays the caller's.
  ///
  /// Colours need a terminal and an environment without NO_COLOR; JSON has none.
  init(level: Level = .info, format: Format = .logfmt, descriptor: CInt = STDERR_FILENO) {
    let noColour = unsafe getenv("NO_COLOR").map { unsafe $0.pointee != 0 } ?? false
    let hasColours =
      format == .logfmt && !noColour && !TerminalStyle.isDumb && isatty(descriptor) == 1
    output = LogOutput(
      descriptor: descriptor, format: format, level: level, hasColours: hasColours,
      isJournal: descriptor == STDERR_FILENO && Journal.isStandardError)
    context = []
    own = nil
  }

  private init(output: LogOutput, context: [LogLine.Pair], own: Level?) {
    self.output = output
    self.context = context
    self.own = own
  }

  /// A log that adds these pairs to every line.
  func with(_ pairs: Pairs) -> Log {
    Log(output: output, context: context + LogLine.pairs(pairs), own: own)
  }

  /// A log that also writes from `level` on, whatever the configured level is.
  func lowered(to level: Level) -> Log { Log(output: output, context: context, own: level) }

  /// This log, unless so many lines of `kind` were written within the last second that the next one
  /// is left out; the first one after that tells how many were.
  ///
  /// For what comes as fast as somebody else likes: `log.limited("notice")?.warning(…)`.
  func limited(_ kind: StaticString, now: ContinuousClock.Instant = .now) -> Log? {
    var key = kind.description
    for pair in context {
      // Of the same kind, but of another source or sink.
      if case .text(let text) = pair.value { key += "\n" + text }
    }
    guard let left = output.admit(key, now: now) else { return nil }
    return left == 0 ? self : with(["suppressed": left])
  }

  /// Changes the configured level of this log and of all that were made from it, at once.
  func setLevel(_ level: Level) { output.setLevel(level) }

  /// Turns debugging on or off for this log and all that were made from it, at once.
  func setDebug(_ isOn: Bool) { output.setDebug(isOn) }

  /// Whether a line of this level would be written.
  func isEnabled(_ level: Level) -> Bool {
    level >= output.level || own.map { level >= $0 } ?? false
  }

  /// Writes a line about the details of a single message; never called on the row path.
  func trace(_ sentence: StaticString, _ pairs: @autoclosure () -> Pairs = [:]) {
    if isEnabled(.trace) { write(.trace, sentence, pairs()) }
  }

  /// Writes a line for whoever looks for a fault.
  func debug(_ sentence: StaticString, _ pairs: @autoclosure () -> Pairs = [:]) {
    if isEnabled(.debug) { write(.debug, sentence, pairs()) }
  }

  /// Writes a line about the ordinary course of things.
  func info(_ sentence: StaticString, _ pairs: @autoclosure () -> Pairs = [:]) {
    if isEnabled(.info) { write(.info, sentence, pairs()) }
  }

  /// Writes a line about something that the service copes with and a person should know.
  func warning(_ sentence: StaticString, _ pairs: @autoclosure () -> Pairs = [:]) {
    if isEnabled(.warning) { write(.warning, sentence, pairs()) }
  }

  /// Writes a line about something that has failed.
  func error(_ sentence: StaticString, _ pairs: @autoclosure () -> Pairs = [:]) {
    if isEnabled(.error) { write(.error, sentence, pairs()) }
  }

  private func write(_ level: Level, _ sentence: StaticString, _ pairs: Pairs) {
    let line = LogLine(
      time: .now, level: level, sentence: sentence.description,
      pairs: context + LogLine.pairs(pairs))
    output.write(line)
  }
}

/// What all logs made from one share: a class, because the level changes under all of them.
private final class LogOutput: Sendable {
  private let descriptor: CInt
  private let format: Log.Format
  private let hasColours: Bool
  private let isJournal: Bool
  private let configured: Atomic<UInt8>
  private let isDebugging = Atomic<Bool>(false)
  private let current: Atomic<UInt8>
  private let limiter = Mutex(LogLimiter())

  init(
    descriptor: CInt, format: Log.Format, level: Log.Level, hasColours: Bool, isJournal: Bool
  ) {
    self.descriptor = descriptor
    self.format = format
    self.hasColours = hasColours
    self.isJournal = isJournal
    configured = Atomic(level.rawValue)
    current = Atomic(level.rawValue)
  }

  var level: Log.Level { Log.Level(rawValue: current.load(ordering: .relaxed)) ?? .info }

  func admit(_ kind: String, now: ContinuousClock.Instant) -> Int? {
    limiter.withLock { $0.admit(kind, now: now) }
  }

  func setLevel(_ level: Log.Level) {
    configured.store(level.rawValue, ordering: .relaxed)
    setDebug(isDebugging.load(ordering: .relaxed))
  }

  func setDebug(_ isOn: Bool) {
    isDebugging.store(isOn, ordering: .relaxed)
    let level = configured.load(ordering: .relaxed)
    current.store(isOn ? min(level, Log.Level.debug.rawValue) : level, ordering: .relaxed)
  }

  func write(_ line: LogLine) {
    var bytes = isJournal ? Array(Journal.prefix(line.level).utf8) : []
    switch format {
    case .json: bytes += line.json()
    case .logfmt: bytes += line.logfmt(hasColours: hasColours)
    }
    guard descriptor == STDERR_FILENO else { return put(bytes) }
    LiveLine.above { put(bytes) }
  }

  private func put(_ bytes: [UInt8]) {
    // SAFETY: the pointer and its count come from the array, which lives through the call.
    unsafe bytes.withUnsafeBytes { buffer in
      // A log that cannot be written is lost: there is nowhere left to say so.
      while unsafe Glibc.write(descriptor, buffer.baseAddress, buffer.count) < 0, errno == EINTR {}
    }
  }
}
