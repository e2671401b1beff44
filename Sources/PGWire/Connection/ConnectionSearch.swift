/// Goes through hosts and addresses until one lets us in.
struct ConnectionSearch<Generator: RandomNumberGenerator> {
  /// Where to go on after a failure.
  enum NextStep: Hashable, Sendable {
    /// The host's next address.
    case address
    /// The next host.
    case host
    /// Nowhere: another server would say the same, or must not be told.
    case nowhere

    /// What a failure means for the search.
    init(after error: PGError) {
      switch error {
      // cannot_connect_now: starting up, shutting down, a standby that is not consistent yet.
      case .server(let refusal) where refusal.code == "57P03": self = .host
      case .unsuitableServer: self = .host
      case .connect, .timeout, .closed, .transport: self = .address
      default: self = .nowhere
      }
    }
  }

  let parameters: ConnectionParameters
  let extra: [(name: String, value: String)]
  let replication: Bool
  let deadline: Deadline
  private var generator: Generator
  private var failures: [FailedAttempt] = []

  init(
    _ parameters: ConnectionParameters, extra: [(name: String, value: String)],
    replication: Bool, deadline: Deadline, generator: Generator
  ) {
    self.parameters = parameters
    self.extra = extra
    self.replication = replication
    self.deadline = deadline
    self.generator = generator
  }

  /// The first session of the wanted kind.
  ///
  /// The time left is shared evenly among what is left to try, so that one dead host does not eat
  /// the time of the others; `connect_timeout` bounds each share further.
  mutating func run() throws(PGError) -> Connection {
    let hosts = parameters.loadBalanceHosts.order(parameters.hosts, using: &generator)
    let passes = parameters.targetSessionAttrs.passes
    var left = hosts.count * passes.count
    search: for target in passes {
      for host in hosts {
        let share = deadline.share(among: left)
        left -= 1
        if let connection = tryHost(host, target, until: share) { return connection }
        if let last = failures.last, NextStep(after: last.error) == .nowhere { break search }
        if deadline.hasPassed { break search }
      }
    }
    if failures.count == 1, let only = failures.first { throw only.error }
    throw .attemptsFailed(failures)
  }

  private mutating func tryHost(
    _ host: ConnectionParameters.Host, _ target: TargetSessionAttrs, until deadline: Deadline
  ) -> Connection? {
    let found: [SocketAddress]
    do throws(PGError) {
      found = try SocketAddress.resolve(
        host, until: deadline.earlier(after: parameters.connectTimeout))
    } catch {
      failures.append(FailedAttempt(address: host.description, error: error))
      return nil
    }
    let addresses = parameters.loadBalanceHosts.order(found, using: &generator)
    for (index, address) in addresses.enumerated() {
      let share = deadline.share(among: addresses.count - index)
      let attempt = ConnectionAttempt(
        parameters: parameters,
        endpoint: ServerEndpoint(parameters, host: host, address: address), target: target,
        extra: extra, replication: replication,
        deadline: share.earlier(after: parameters.connectTimeout))
      if let connection = attempt.run(&failures) { return connection }
      guard let last = failures.last, NextStep(after: last.error) == .address else { return nil }
    }
    return nil
  }
}
