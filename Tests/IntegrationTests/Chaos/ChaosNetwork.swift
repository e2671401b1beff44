import Support

/// The networks in a scenario's way: a proxy in front of PostgreSQL, and one in front of a Kafka that
/// advertises it.
///
/// They are `Tests/Chaos/proxy`, whose head says what each order does.
final class ChaosNetwork: Sendable {
  /// A server behind its proxy.
  struct Link: Sendable {
    /// Where the proxy listens.
    let port: Int
    private let process: Subprocess

    init(to port: Int, listening: Int, _ options: [String]) throws {
      self.port = listening
      process = try Subprocess(
        "python3",
        ["\(Binary.project)/Tests/Chaos/proxy", "\(listening)", "127.0.0.1", "\(port)"]
          + options, interactive: true)
      let process = process
      try eventually(within: .seconds(30), "the proxy") {
        guard process.isRunning else { throw SupportError(process.standardError) }
        return process.standardOutput.contains("ready")
      }
    }

    /// Gives an order and waits for its answer.
    @discardableResult func order(_ text: String) throws -> String {
      let before = process.standardOutput
      process.write("\(text)\n")
      let process = process
      var answer = ""
      try eventually(within: .seconds(30), "the proxy's answer to \(text)") {
        guard process.isRunning else { throw SupportError(process.standardError) }
        answer = String(process.standardOutput.dropFirst(before.count))
        return answer.hasSuffix("\n")
      }
      return String(answer.dropLast())
    }
  }

  let postgres: Link
  let kafka: Link
  /// The broker that is reached through the proxy, by everybody.
  let broker: KafkaBroker

  /// Starts a broker and both proxies, which with traps know messages and kill at one of them.
  init(postgres server: PostgresServer, hasTraps: Bool = false) throws {
    let traps = hasTraps ? ["--traps"] : []
    postgres = try Link(to: server.port, listening: FreePort.take(), traps)
    let port = try FreePort.take()
    let outside = try FreePort.take()
    kafka = try Link(to: port, listening: outside, ["--kafka"] + traps)
    broker = try KafkaBroker(
      port: port, properties: ["advertised.listeners=PLAINTEXT://127.0.0.1:\(outside)"])
  }
}
