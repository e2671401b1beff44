/// From parameters to a session.
extension Connection {
  /// Connects to the first host that lets us in.
  ///
  /// `startup` are further parameters of the StartupMessage (run-time settings); `timeout` bounds
  /// the whole attempt, names' look-ups excepted. An address that cannot be reached, or a server
  /// that is starting up or shutting down, gives way to the next one; any other refusal is final.
  /// Throws ``PGError``.
  public static func open(
    _ parameters: ConnectionParameters, startup extra: [(name: String, value: String)] = [],
    replication: Bool = false, timeout: Duration = .seconds(30)
  ) throws(PGError) -> Connection {
    let deadline = Deadline(after: timeout)
    var failures: [PGError] = []
    hosts: for host in parameters.hosts {
      let addresses: [SocketAddress]
      do throws(PGError) {
        addresses = try SocketAddress.resolve(host)
      } catch {
        failures.append(error)
        continue
      }
      for address in addresses {
        let attempt = ConnectionAttempt(
          parameters: parameters, host: host, address: address, extra: extra,
          replication: replication, deadline: deadline.earlier(after: parameters.connectTimeout))
        do throws(PGError) {
          return try attempt.run()
        } catch {
          failures.append(error)
          switch error {
          case .server(let refusal) where refusal.code == "57P03": continue hosts
          case .connect, .timeout, .closed, .transport: break
          default: throw error
          }
        }
        if deadline.hasPassed { break hosts }
      }
    }
    if failures.count == 1, let only = failures.first { throw only }
    throw .everyHostFailed(failures)
  }
}
