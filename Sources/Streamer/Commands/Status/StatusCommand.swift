import Glibc

/// `status`: what a running psql-streamer says of its sources and sinks, as tables.
enum StatusCommand {
  /// How long the instance may take to answer.
  private static let patience = Duration.seconds(5)
  /// The pause between two looks with `--watch`.
  private static let pause: UInt32 = 2

  /// Shows it; 0 when all is well, 1 when the instance says that it is not.
  ///
  /// It listens at `url`, or where the `configuration` says. With `ready` all is well only when
  /// changes flow.
  static func run(
    url: String?, configuration path: String?, watch: Bool, ready: Bool
  ) throws(StreamerError) -> Int32 {
    let base: HTTPLocation
    if let path {
      let configuration: Configuration
      do throws(ConfigurationErrors) {
        configuration = try Configuration.loadUnconnected(path: path)
      } catch {
        error.complain()
        return error.exit.rawValue
      }
      base = try HTTPLocation(of: configuration)
    } else {
      let url = url ?? "http://127.0.0.1:12080"
      guard let location = HTTPLocation(url) else {
        throw StreamerError(
          what: "--url \(url.singleLine)", why: "it is no http address",
          hint: "Such as http://127.0.0.1:12080.", exit: .usage)
      }
      base = location
    }
    let style = TerminalStyle()
    guard watch else {
      let report = try ask(base, ready: ready)
      Terminal.print(report.text(style))
      return report.isOK ? 0 : 1
    }
    while true {
      let text: String
      // What it says of itself may end and come back: watching goes on.
      do throws(StreamerError) { text = try ask(base, ready: ready).text(style) } catch {
        text = style.red("psql-streamer: \(error)")
      }
      let beginning = Terminal.isInteractive ? "\u{1B}[H\u{1B}[2J" : ""
      guard Terminal.put(beginning + text + (Terminal.isInteractive ? "\n" : "\n\n")) else {
        return 0
      }
      sleep(pause)
    }
  }

  private static func ask(
    _ base: HTTPLocation, ready: Bool
  ) throws(StreamerError) -> StatusReport {
    let deadline = ContinuousClock.now + patience
    let status = try HTTPRequest.get(base, "/status", until: deadline)
    guard status.code == 200 || status.code == 500, let document = JSONValue(status.body) else {
      throw StreamerError(
        what: "\(base)", why: "it answered \(status.code), not as psql-streamer does",
        hint: "Name the address that `http` in its configuration says.")
    }
    let stats = try HTTPRequest.get(base, "/stats", until: deadline)
    let readiness =
      ready ? JSONValue(try HTTPRequest.get(base, "/ready", until: deadline).body) : nil
    guard
      let report = StatusReport(
        "\(base)", document, stats: JSONValue(stats.body), readiness: readiness)
    else {
      throw StreamerError(
        what: "\(base)", why: "its answer is not that of psql-streamer",
        hint: "The Go program answers in text: this command wants version 0.1.0 or newer.")
    }
    return report
  }
}
