/// What the service manager (systemd's `Type=notify`) is told, and when.
///
/// Without sockets and clocks of its own: ``Service`` says what it sees, and sends what comes back.
struct ManagerNotices {
  typealias Instant = ContinuousClock.Instant

  /// What a pipeline is seen doing.
  struct Sight {
    /// Whether changes have flowed, or it waits for the slot.
    var isIn: Bool
    /// Whether its first attempt has come to an end, well or not.
    var isDecided: Bool
    /// How many turns its thread has done; nil when it has ended.
    var turns: UInt64?
  }

  private let watchdog: Duration?
  /// How long to wait, at most, until it is looked again what there is to say.
  var pause: Duration { min(Limits.longestSleep, (watchdog ?? Limits.longestSleep * 4) / 4) }
  private var nextWatchdog: Instant
  private var isReady = false
  private var isStopping = false
  private var status = ""
  private var turns: [UInt64?] = []

  /// `watchdog` is the time after which the manager takes a silent process for dead; nil for never.
  init(watchdog: Duration?, now: Instant) {
    self.watchdog = watchdog
    nextWatchdog = now
  }

  /// What is to be sent now, one assignment a line; nil when there is nothing to say.
  ///
  /// A sign of life is given only when the thread of each pipeline has gone on since the last one.
  mutating func message(
    _ sights: [Sight], status: String, isStopping: Bool, now: Instant
  ) -> String? {
    var lines: [String] = []
    // One source's trouble stays with it: the others' changes flow.
    if !isReady, !isStopping, sights.allSatisfy(\.isDecided), sights.contains(where: \.isIn) {
      isReady = true
      lines.append("READY=1")
    }
    if isStopping, !self.isStopping {
      self.isStopping = true
      lines.append("STOPPING=1")
    }
    if status != self.status {
      self.status = status
      lines.append("STATUS=\(status)")
    }
    if let watchdog, now >= nextWatchdog, hasMoved(sights) {
      // Twice within that time, as sd_watchdog_enabled(3) says.
      nextWatchdog = now + watchdog / 2
      turns = sights.map(\.turns)
      lines.append("WATCHDOG=1")
    }
    return lines.isEmpty ? nil : lines.joined(separator: "\n")
  }

  /// The line that `systemctl status` shows: each source and sink with its state and trouble.
  static func status(_ states: [(name: String, record: StateRecord)]) -> String {
    let text = states.map { name, record in
      // An error begins with the name where it does not stand beside it.
      let error = record.error.map { " (\($0.trimmingPrefix("\(name): ")))" } ?? ""
      return "\(name): \(record.state.rawValue)\(error)"
    }.joined(separator: "; ")
    return String(text.singleLine.prefix(Limits.managerStatus))
  }

  private func hasMoved(_ sights: [Sight]) -> Bool {
    guard turns.count == sights.count else { return true }
    return zip(sights, turns).allSatisfy { $0.turns == nil || $0.turns != $1 }
  }
}
