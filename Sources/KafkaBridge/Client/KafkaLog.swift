/// One line that librdkafka wrote to its log.
public struct KafkaLogLine: Sendable {
  /// How grave a line is, in the order of syslog.
  public enum Level: Int32, Comparable, Sendable {
    /// The system is unusable.
    case emergency
    /// Something must be done at once.
    case alert
    /// A critical condition.
    case critical
    /// An error.
    case error
    /// A warning.
    case warning
    /// Normal, but worth a note.
    case notice
    /// Information.
    case info
    /// For developers; only when the property `debug` is set.
    case debug

    /// Orders from the gravest to the least.
    public static func < (a: Level, b: Level) -> Bool { a.rawValue < b.rawValue }
  }

  /// How grave it is.
  public let level: Level
  /// librdkafka's short name of what wrote the line, "FAIL" or "CONFWARN".
  public let facility: String
  /// The line.
  public let text: String
}

/// Where the lines of librdkafka's log go; called on librdkafka's own threads, so it must be quick.
public typealias KafkaLogHandler = @Sendable (KafkaLogLine) -> Void
