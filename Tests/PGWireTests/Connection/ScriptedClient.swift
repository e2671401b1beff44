@testable import PGWire

/// Connects to scripted servers on 127.0.0.1.
enum ScriptedClient {
  /// Opens a connection to the first of the ports that will do, without TLS unless told otherwise.
  static func open(
    _ ports: [UInt16], _ keywords: String, replication: Bool = false,
    timeout: Duration = .seconds(10)
  ) throws(PGError) -> Connection {
    try open(
      ports, keywords, replication: replication, timeout: timeout,
      generator: SystemRandomNumberGenerator())
  }

  /// The same with a source of chance of its own.
  static func open(
    _ ports: [UInt16], _ keywords: String, replication: Bool = false,
    timeout: Duration = .seconds(10), generator: some RandomNumberGenerator
  ) throws(PGError) -> Connection {
    let hosts = ports.map { _ in "127.0.0.1" }.joined(separator: ",")
    let list = ports.map { "\($0)" }.joined(separator: ",")
    let string = try ConnectionString(
      "host=\(hosts) port=\(list) user=u password=geheim sslmode=disable \(keywords)")
    return try Connection.open(
      ConnectionParameters(string), replication: replication, timeout: timeout,
      generator: generator)
  }

  /// Why no connection could be opened; nil when one could.
  static func failure(
    _ ports: [UInt16], _ keywords: String, timeout: Duration = .seconds(10)
  ) -> PGError? {
    do throws(PGError) {
      let connection = try open(ports, keywords, timeout: timeout)
      connection.close()
      return nil
    } catch {
      return error
    }
  }
}
