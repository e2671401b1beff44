/// A place around a commit at which the program is killed.
struct CrashPoint: Sendable {
  /// Who sees it, and kills.
  enum Watcher: Sendable {
    /// The proxy in front of Kafka.
    case kafka
    /// The proxy in front of PostgreSQL.
    case postgres
    /// `Tests/Chaos/crash.c`, in the program itself.
    case store
  }

  let watcher: Watcher
  /// What is called, for the table.
  let call: String
  /// How the watcher knows it.
  let kind: String
  /// What is in a request of Kafka, or with `!` what is not.
  var text = ""
  /// When it is killed, seen from the call.
  let moment: String
  /// Which of the calls since the trap was set.
  let number: Int
  /// The call is one of a start.
  var isOfStart = false

  /// What the watcher is told.
  var order: String {
    switch watcher {
    case .kafka, .postgres: "trap \(kind) \(moment) \(number) \(text)"
    case .store: "\(kind) \(moment) \(number)\n"
    }
  }
}

extension CrashPoint {
  private static let ofAnswers = ["before", "sent", "answered", "passed", "later"]

  private static func all(
    _ watcher: Watcher, _ call: String, _ kind: String, _ text: String = "",
    moments: [String], numbers: [Int], isOfStart: Bool = false
  ) -> [CrashPoint] {
    numbers.flatMap { number in
      moments.map { moment in
        CrashPoint(
          watcher: watcher, call: call, kind: kind, text: text, moment: moment, number: number,
          isOfStart: isOfStart)
      }
    }
  }

  private static func start(_ call: String, _ key: Int) -> [CrashPoint] {
    all(.kafka, call, "\(key)", moments: ofAnswers, numbers: [1], isOfStart: true)
  }

  /// Those of PostgreSQL and the store, which both kinds of delivery have.
  private static let ofBoth: [CrashPoint] =
    all(
      .postgres, "Commit of the server", "commit", moments: ["before", "passed", "later"],
      numbers: [1, 3])
    + all(
      .postgres, "status update", "status", moments: ["before", "passed", "later"],
      numbers: [1, 3])
    + all(
      .store, "write to the store's log", "write sqlite-wal", moments: ["before", "half", "after"],
      numbers: [1, 2, 3])
    + all(
      .store, "fsync of the store's log", "sync sqlite-wal", moments: ["before", "after"],
      numbers: [1, 2, 3])
    + all(
      .store, "write to the store's file", "write .sqlite", moments: ["before", "half", "after"],
      numbers: [1, 2])
    + all(
      .store, "fsync of the store's file", "sync .sqlite", moments: ["before", "after"],
      numbers: [1])

  /// Where a record of the position's topic is told from a row.
  private static let position = ".position"

  static let exactlyOnce: [CrashPoint] =
    all(
      .kafka, "AddPartitionsToTxn, rows", "24", "!\(position)", moments: ofAnswers, numbers: [1, 3])
    + all(.kafka, "Produce, rows", "0", "!\(position)", moments: ofAnswers, numbers: [1, 3])
    + all(
      .kafka, "AddPartitionsToTxn, position", "24", position, moments: ofAnswers, numbers: [1, 3])
    + all(.kafka, "Produce, position", "0", position, moments: ofAnswers, numbers: [1, 3])
    + all(.kafka, "EndTxn", "26", moments: ofAnswers, numbers: [1, 3])
    + start("FindCoordinator", 10) + start("InitProducerId", 22)
    + start("ListOffsets of the position", 2) + start("Fetch of the position", 1) + ofBoth

  static let atLeastOnce: [CrashPoint] =
    all(.kafka, "Produce, rows", "0", moments: ofAnswers, numbers: [1, 3, 5])
    + start("InitProducerId", 22) + ofBoth

  /// Some of them, for every run: they differ in call and moment.
  static func few(_ points: [CrashPoint]) -> [CrashPoint] {
    let wanted: Set = [
      "Produce, position passed", "EndTxn sent", "EndTxn answered", "Produce, rows answered",
      "fsync of the store's log before",
    ]
    return points.filter { $0.number == 1 && wanted.contains("\($0.call) \($0.moment)") }
  }
}
