import PGWire

extension SourceCheck {
  /// Says when events come, where that may be before readers or synchronous standbys have their
  /// transactions.
  func examineVisibility(
    _ connection: inout Connection, _ report: inout CheckReport
  ) throws(PGError) {
    let rows = try ask(
      &connection,
      """
      SELECT pg_catalog.pg_is_in_recovery(), current_setting('synchronous_standby_names'), \
      current_setting('synchronized_standby_slots', true)
      """)
    let values = (rows.first ?? []).map { $0 ?? "" }
    guard values.count == 3 else { return }
    let standbys = SynchronousStandbyNames(values[1])
    switch source.visibility {
    case .primary:
      report.add(
        primary(
          standbys, isInRecovery: values[0] == "t",
          applicationName: connection.parameterStatus["application_name"] ?? ""))
    case .none:
      guard !standbys.isEmpty else { return }
      let holdsBack = source.failover && !values[2].isEmpty
      report.add(
        .init(
          "visibility", target, .ok,
          holdsBack
            ? "none; synchronized_standby_slots (\(values[2].singleLine)) holds events back until those "
              + "standbys have them"
            : "none: events may come before a synchronous standby has their transaction, and before "
              + "anybody sees it"))
    }
  }

  private func primary(
    _ standbys: SynchronousStandbyNames, isInRecovery: Bool, applicationName: String
  ) -> CheckFinding {
    if isInRecovery {
      return CheckFinding(
        "visibility", target, .fail, PostgresSession.standbyVisibility,
        "Name the primary in dsn, or set visibility = \"none\".")
    }
    if standbys.include(applicationName) {
      return CheckFinding(
        "visibility", target, .fail, standbys.deadlock, SynchronousStandbyNames.remedy)
    }
    return CheckFinding(
      "visibility", target, .ok,
      "primary: a transaction waits until a snapshot of the server sees it")
  }
}
