/// Why a stream that flowed had to be begun again: the values of a metric's label, so they are few
/// and fixed.
enum ReconnectCause: String, CaseIterable, Sendable {
  /// The connection to the server was lost, or the server ended it.
  case connection
  /// A sink has failed, and what it has not confirmed is read again.
  case sink
  /// Somebody else has taken the slot.
  case slot
  /// Open transactions could not be kept: the next connection does without streaming.
  case streaming
  /// Values in binary could not be read: the next connection asks for text.
  case binary

  /// The cause that an error tells by itself.
  init(_ error: StreamerError) {
    self =
      switch error.cause {
      case .slotActive: .slot
      case .streamingFailed: .streaming
      case .binaryUnreadable: .binary
      case .readerGone, .topicName, .topicMissing, .tableRule, .schema, .fenced, .undecided,
        .recordTooLarge:
        .sink
      case .failover, .storeInUse, .garbled, .other: .connection
      }
  }
}
