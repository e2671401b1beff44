/// What made psql-streamer, or one pipeline of it, give up: what failed, why, and the remedy.
///
/// Its description is one line, `WHAT: WHY. HINT`, and holds no secret, and of a row no value but those
/// of the key of a record that cannot be delivered: whoever makes one sees to that.
public struct StreamerError: Error, Hashable, Sendable {
  /// How the process ends, the same for every command.
  public enum Exit: Int32, Hashable, Sendable {
    /// The work is done.
    case done = 0
    /// Something failed while running.
    case failure = 1
    /// The command line or the configuration is wrong.
    case usage = 2
    /// A server refused what the configuration asks for.
    case preflight = 3
    /// Another instance has taken over.
    case fenced = 4
    /// The topics do not hold what the tables have.
    case different = 5
  }

  /// What a pipeline does about it beyond trying again.
  public enum Cause: Hashable, Sendable {
    /// Nothing beyond.
    case other
    /// Somebody else reads the slot: it waits as a standby.
    case slotActive
    /// Somebody else has the store: it waits as a standby.
    case storeInUse
    /// What a failover explains and may still bring: it is waited for beyond the time of a start.
    case failover
    /// What came is nothing that the server says: at the start it is another one, later the network
    /// has changed it, and trying again overcomes that.
    case garbled
    /// Nobody reads standard output any more.
    case readerGone
    /// Open transactions could not be sent or kept: the next connection does without streaming.
    case streamingFailed
    /// Values in binary could not be read: the next connections ask for text.
    case binaryUnreadable
    /// A table's topic has a name that Kafka does not take: nothing else is concerned.
    case topicName
    /// What becomes of a Kafka transaction is not known yet.
    case undecided
    /// Another producer has taken over, or a transaction has expired.
    case fenced
    /// A table's topic does not exist, or may not be used: nothing else is concerned.
    case topicMissing
    /// A rule of a sink does not fit a table: nothing else is concerned.
    case tableRule
    /// The schema registry refuses a table's schema: nothing else is concerned.
    case schema
    /// A record is larger than its topic takes: it may go to a dead letter topic instead.
    case recordTooLarge
  }

  /// What failed, as a short noun: "source db1", "unknown option --confg".
  public let what: String
  /// Why, in the words of whoever refused; empty when `what` says all.
  public let why: String
  /// What to do about it, as whole sentences; empty when there is nothing to do.
  public let hint: String
  /// How the process ends when nothing else goes on.
  public let exit: Exit
  /// Whether trying again may help.
  public let isRetryable: Bool
  /// What a pipeline does about it beyond trying again.
  public let cause: Cause
  /// The name that Kafka has for it, "NOT_ENOUGH_REPLICAS"; nil for what is not Kafka's.
  public var kafkaCode: String?
  /// The record that a broker has refused; nil for anything else.
  var refusedRecord: RefusedRecord?
  /// The sink that it is of; nil for what is not a sink's.
  public var sink: String?

  /// Makes an error; texts are without a final full stop but for the hint.
  public init(
    what: String, why: String = "", hint: String = "", exit: Exit = .failure,
    retryable: Bool = false, cause: Cause = .other
  ) {
    self.what = what
    self.why = why
    self.hint = hint
    self.exit = exit
    self.isRetryable = retryable
    self.cause = cause
  }

  /// Nobody reads standard output any more.
  static let readerGone = StreamerError(
    what: "standard output", why: "nobody reads it any more", cause: .readerGone)

  /// The same, which trying again overcomes.
  func retried(_ hint: String) -> StreamerError {
    var error = StreamerError(what: what, why: why, hint: hint, exit: .failure, retryable: true)
    error.kafkaCode = kafkaCode
    error.sink = sink
    return error
  }

  /// The same, told in other words.
  func saying(_ why: String) -> StreamerError {
    var error = StreamerError(
      what: what, why: why, hint: hint, exit: exit, retryable: isRetryable, cause: cause)
    error.kafkaCode = kafkaCode
    error.sink = sink
    return error
  }

  /// The exit code of the process: 1 to 5, or 0.
  public var exitCode: Int32 { exit.rawValue }
}

extension StreamerError: CustomStringConvertible {
  /// One line: `WHAT: WHY. HINT`.
  public var description: String {
    let statement = why.isEmpty ? what : "\(what): \(why)"
    let stop = statement.hasSuffix(".") ? "" : "."
    let line = hint.isEmpty ? statement : "\(statement)\(stop) \(hint)"
    return line.singleLine
  }
}

extension String {
  /// The same text without line breaks and other control characters, and with what changes the order
  /// of characters escaped: errors are one line each, and show what they say.
  var singleLine: String {
    guard unicodeScalars.contains(where: \.isHidden) else { return self }
    var result = ""
    for scalar in unicodeScalars {
      if scalar.breaksLine {
        if result.unicodeScalars.last != " " { result.append(" ") }
      } else if scalar.isHidden {
        result.append(scalar.escape)
      } else {
        result.unicodeScalars.append(scalar)
      }
    }
    return result
  }
}
