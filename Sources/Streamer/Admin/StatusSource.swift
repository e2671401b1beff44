/// Whoever knows the sources and sinks that run: the HTTP server asks it for each request.
///
/// It is asked from the server's thread and must answer without waiting, but for what changes the
/// copies of existing rows.
protocol StatusSource: AnyObject, Sendable {
  /// The sources, in the configuration's order.
  var sources: [SourceStatus] { get }
  /// The sinks, in the configuration's order.
  var sinks: [SinkStatus] { get }
  /// Turns debugging on or off for all of them.
  func setDebug(_ isOn: Bool)
  /// Does what somebody wants of the copies of existing rows of a source, or of the only one; gives its
  /// name and the copies that are new or changed.
  func order(
    _ command: CopyCommand, of source: String?
  ) -> Result<(source: String, changed: CopyBook), StreamerError>
}

extension StatusSource {
  func order(
    _ command: CopyCommand, of source: String?
  ) -> Result<(source: String, changed: CopyBook), StreamerError> {
    .failure(
      StreamerError(
        what: "psql-streamer", why: "it waits as a standby and copies nothing", retryable: true))
  }
}
