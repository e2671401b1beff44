import PGWire

/// Waiting until readers of the primary see what was committed.
extension PostgresSource {
  /// Whether it matters what they see: not where the end comes before the next transaction.
  func mayLook(isEnding: Bool) -> Bool {
    stream != nil && !(isEnding && pipeline.isBetweenTransactions)
  }

  /// The job that looks at what they see, when a transaction waits for that.
  func look(isEnding: Bool, now: Instant) -> (@Sendable () -> Answer)? {
    guard mayLook(isEnding: isEnding), pipeline.visible?.begins(now: now) == true else {
      return nil
    }
    let connection = pipeline.connection
    return { [server] in .seen(connection: connection, server.sight()) }
  }

  /// What they see, or why that cannot be said.
  func looked(
    _ result: Result<VisibleTransactions.Sight, StreamerError>, on connection: Int, now: Instant
  ) throws(StreamerError) {
    guard connection == pipeline.connection, stream != nil else {
      pipeline.visible?.voided()
      return
    }
    switch result {
    case .success(let sight): pipeline.visible?.looked(sight, now: now)
    case .failure(let error):
      guard pipeline.visible?.failed(now: now) == true, error.isRetryable else { throw error }
      log.limited("visibility")?.warning(
        "the server was not asked what is visible; it is asked again", ["error": "\(error)"])
    }
  }

  /// Says that a transaction waits for long, and that it waits no more.
  func tellInvisible(now: Instant) {
    switch pipeline.visible?.takeRemark(now: now) {
    case .lasts(let waiting):
      log.warning(
        "a transaction waits to be visible on the primary",
        [
          "xid": "\(waiting.xid)", "commit": waiting.commitLSN,
          "likely": "a synchronous standby has not confirmed it",
        ])
    case .over(let waiting, let after):
      log.info(
        "a transaction has become visible",
        ["xid": "\(waiting.xid)", "after": DurationText.text(after)])
    case nil: break
    }
  }
}
