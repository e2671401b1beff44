/// Which kind of session is wanted (libpq's `target_session_attrs`).
public enum TargetSessionAttrs: String, Hashable, Sendable, CaseIterable {
  /// Every session will do.
  case any
  /// Transactions may write by default, and the server is no standby.
  case readWrite = "read-write"
  /// The opposite of ``readWrite``.
  case readOnly = "read-only"
  /// The server is no standby.
  case primary
  /// The server is a standby.
  case standby
  /// A standby, or any server when no host is one.
  case preferStandby = "prefer-standby"
}

/// The decision, without I/O.
extension TargetSessionAttrs {
  /// What can be said about a session.
  enum Verdict: Hashable, Sendable {
    /// It is of the wanted kind.
    case accepted
    /// It is not, for this reason.
    case rejected(String)
    /// It cannot be told before the server has answered this query.
    case ask(String)
  }

  /// What is looked for in each pass over the hosts.
  var passes: [TargetSessionAttrs] { self == .preferStandby ? [.standby, .any] : [self] }

  /// Judges by the run-time parameters that servers from 14 on report.
  ///
  /// Older ones have to be asked. The queries are plain enough for the scanner of replication
  /// connections, which up to 13 reads SQL as well.
  func verdict(_ status: [String: String]) -> Verdict {
    let isStandby = status["in_hot_standby"].map { $0 == "on" }
    let isReadOnly = status["default_transaction_read_only"].map { $0 == "on" }
    switch self {
    case .any: return .accepted
    case .readWrite, .readOnly:
      guard let isStandby, let isReadOnly else { return .ask("SHOW transaction_read_only") }
      return verdict(isReadOnly: isStandby || isReadOnly)
    case .primary, .standby, .preferStandby:
      guard let isStandby else { return .ask("SELECT pg_catalog.pg_is_in_recovery()") }
      return verdict(isStandby: isStandby)
    }
  }

  /// Judges by the answer to the query that ``verdict(_:)`` wanted to be asked.
  func verdict(answer: String?) -> Verdict {
    switch (self, answer) {
    case (.any, _): .accepted
    case (.readWrite, "on"), (.readOnly, "on"): verdict(isReadOnly: true)
    case (.readWrite, "off"), (.readOnly, "off"): verdict(isReadOnly: false)
    case (.primary, "t"), (.standby, "t"), (.preferStandby, "t"): verdict(isStandby: true)
    case (.primary, "f"), (.standby, "f"), (.preferStandby, "f"): verdict(isStandby: false)
    default: .rejected("the server does not say what it is")
    }
  }

  private func verdict(isReadOnly: Bool) -> Verdict {
    switch (self, isReadOnly) {
    case (.readWrite, true): .rejected("the session is read-only")
    case (.readOnly, false): .rejected("the session is not read-only")
    default: .accepted
    }
  }

  private func verdict(isStandby: Bool) -> Verdict {
    switch (self, isStandby) {
    case (.primary, true): .rejected("the server is in hot standby mode")
    case (.standby, false), (.preferStandby, false):
      .rejected("the server is not in hot standby mode")
    default: .accepted
    }
  }
}
