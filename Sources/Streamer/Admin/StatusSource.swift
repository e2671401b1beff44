/// Whoever knows the sources and sinks that run: the HTTP server asks it for each request.
///
/// It is asked from the server's thread and must answer without waiting.
protocol StatusSource: AnyObject, Sendable {
  /// The sources, in the configuration's order.
  var sources: [SourceStatus] { get }
  /// The sinks, in the configuration's order.
  var sinks: [SinkStatus] { get }
  /// Turns debugging on or off for all of them.
  func setDebug(_ isOn: Bool)
}
