import Glibc
import Support
import Testing

/// A scenario under load of which everything can be broken.
final class ChaosWorld {
  /// What its servers are.
  enum Kind { case processes, brokers, networks }

  let scenario: Scenario
  private let kind: Kind
  private let network: ChaosNetwork?
  private let standby: PostgresServer?
  private let disk: SmallDisk?
  private var streamer: Subprocess
  private var random: SeededRandom
  private let kinds: [ChaosBlow]
  private var blows: [ChaosBlow] = []
  /// The most that one of its processes had of memory, beside its code, in kB.
  private(set) var peak = 0

  /// The three brokers that such scenarios share.
  private static let threeBrokers = Result {
    // A leader that is gone is followed by another one before everybody has given up.
    try KafkaBroker(
      brokers: 3,
      properties: ["broker.session.timeout.ms=3000", "broker.heartbeat.interval.ms=500"])
  }

  /// Starts servers, of a version that the seed chooses, and the program.
  init(_ kind: Kind, delivery: String) throws {
    self.kind = kind
    random = SeededRandom("chaos")
    // Of those that were fetched, some have no TLS.
    let versions =
      kind == .networks ? [] : [15, 17, 18].filter { PostgresPrograms.installed[$0] != nil }
    let version = versions.randomElement(using: &random)
    // Large transactions arrive before their end.
    var settings = ["logical_decoding_work_mem": "64kB"]
    var lines = Scenario.Lines(
      // A broker that crashes with a transaction open takes its time to abort it.
      top: [#"startTimeout = "5m""#],
      sink: ["delivery = \"\(delivery)\"", #"transactionalID = "{name}""#])
    var certificates: TestCertificates?
    switch kind {
    case .processes: settings["synchronous_standby_names"] = "walreceiver"
    case .networks:
      // What a network makes of bytes is seen by TLS alone.
      certificates = try TestCertificates()
      lines.connection = "sslmode=require"
    case .brokers: break
    }
    let server = try PostgresServer(
      settings: settings,
      tls: certificates.map {
        PostgresServer.TLS(certificate: $0.serverCertificate, key: $0.serverKey)
      }, version: version)
    standby = try kind == .processes ? Self.standby(of: server) : nil
    disk = try kind == .processes && SmallDisk.isPossible ? SmallDisk() : nil
    if let disk { lines.store = "\(disk.path)/positions.sqlite" }
    network = try kind == .networks ? ChaosNetwork(postgres: server) : nil
    scenario = try Scenario(
      "\(kind)", postgres: server, broker: kind == .brokers ? Self.threeBrokers.get() : nil,
      through: network, by: disk?.prefix ?? [], lines: lines, tables: ChaosLoad.tables,
      replication: kind == .brokers ? 3 : 1)
    let hasDisk = disk != nil
    kinds = try ChaosBlow.chosen(of: kind).filter { $0 != .diskFull || hasDisk }
    streamer = try scenario.start()
  }

  /// A standby without which nothing is committed.
  private static func standby(of server: PostgresServer) throws -> PostgresServer {
    try PostgresServer(
      standbyOf: server,
      settings: ["wal_retrieve_retry_interval": "200ms", "synchronous_standby_names": ""])
  }

  /// Breaks one thing after the other while the writers write, and waits until all has arrived.
  ///
  /// At least one round of all, also when the load ends earlier on a slow machine.
  func run(seconds: Int, transactionsPerSecond: Int) throws -> ChaosVerdict {
    let load = try ChaosLoad(
      scenario, seconds: seconds, transactionsPerSecond: transactionsPerSecond)
    while load.process.isRunning || blows.count < kinds.count {
      for blow in kinds.shuffled(using: &random) {
        pause(.milliseconds(Int.random(in: 200...1_200, using: &random)))
        blows.append(blow)
        try weigh()
        try strike(blow)
        try Scenario.requireAlive(streamer)
      }
    }
    try load.finish()
    // The last blow may have started it a moment ago, when it hears no signal yet.
    var answer = ""
    try eventually(
      within: .seconds(300), "a streamer that is ready (\(answer); \(scenario.warnings))"
    ) {
      try Scenario.requireAlive(streamer)
      guard let ready = try? scenario.get("/ready") else { return false }
      answer = ready.body
      return ready.status == 200
    }
    try scenario.waitUntilConfirmed(streamer, within: .seconds(300))
    try weigh()
    #expect(try scenario.stop(streamer) == .exited(0))
    let verdict = try ChaosVerdict(events: scenario.events(), truth: ChaosTruth(scenario))
    printToStandardError("chaos, \(scenario.name): \(try summary()): \(verdict.summary)")
    return verdict
  }

  /// How many requests of Kafka came late.
  func lateRequests() throws -> Int { try Int(network?.kafka.order("count") ?? "") ?? 0 }

  /// Looks at what the process had at most until now, since one that is killed tells nothing more.
  private func weigh() throws {
    do { peak = max(peak, try streamer.status("VmHWM") - streamer.status("RssFile")) } catch {
      // One that has just ended has no memory any more, and is told of in a moment.
      try eventually("its end (\(error))") { streamer.poll() != nil }
      try Scenario.requireAlive(streamer)
    }
  }

  private func summary() throws -> String {
    let counts = kinds.map { kind in "\(blows.count { $0 == kind }) \(kind)" }
    let version = "PostgreSQL \(try scenario.postgres.majorVersion())"
    let late = try network == nil ? [] : ["\(lateRequests()) requests late"]
    let waits = scenario.warnings.split(separator: "waiting for what becomes").count - 1
    let undecided = waits > 0 ? ["\(waits) waits for a transaction's end"] : []
    let ends = scenario.warnings.split(separator: "has forgotten to end").count - 1
    let forgotten = ends > 0 ? ["\(ends) transactions that a broker had forgotten"] : []
    return
      ([version] + counts + late + undecided + forgotten + ["\(peak / 1024) MiB beside the code"])
      .joined(separator: ", ")
  }

  private func strike(_ blow: ChaosBlow) throws {
    let moment = Duration.milliseconds(Int.random(in: 0...800, using: &random))
    // Beyond a second requests are repeated while the first one is still on its way; beyond three a
    // broker that is silent leads nothing any more.
    let long = Double(Int.random(in: 5...25, using: &random)) / 10
    let node = kind == .brokers ? Int.random(in: 1...3, using: &random) : nil
    let broker = node.map { KafkaBroker.Node.broker($0) } ?? .all
    if let (order, isKafka) = blow.order(part: long / 3, seconds: long), let network {
      let link = isKafka ? network.kafka : network.postgres
      try link.order(order)
      if order.hasPrefix("delay") {
        pause(.milliseconds(500))
        try link.order("delay 0")
      }
      return
    }
    switch blow {
    case .streamerKilled:
      streamer.send(SIGKILL)
      try streamer.wait()
      streamer = try scenario.launch()
    case .streamerStopped:
      #expect(try scenario.stop(streamer) == .exited(0))
      streamer = try scenario.launch()
    case .streamerFrozen:
      streamer.send(SIGSTOP)
      pause(moment)
      streamer.send(SIGCONT)
    case .walsenderTerminated:
      try scenario.psql(
        """
        SELECT pg_terminate_backend(pid) FROM pg_stat_replication
          WHERE application_name <> 'walreceiver'
        """)
    case .postgresRestarted: try scenario.postgres.restart(.immediate)
    case .postgresFrozen: try freeze(scenario.postgres, for: moment)
    case .standbyFrozen: if let standby { try freeze(standby, for: .seconds(long)) }
    case .diskFull:
      try disk?.fill()
      pause(.seconds(long))
      try disk?.empty()
    case .brokerKilled: try down([broker], for: moment) { try scenario.broker.kill($0) }
    case .brokerStopped: try down([broker], for: moment) { try scenario.broker.stop($0) }
    case .controllerKilled: try down([.controller], for: moment) { try scenario.broker.kill($0) }
    case .twoBrokersKilled:
      // With one of three left, min.insync.replicas is not met.
      let nodes = (1...3).filter { $0 != node }.map { KafkaBroker.Node.broker($0) }
      try down(nodes, for: .seconds(long)) { try scenario.broker.kill($0) }
    case .brokerFrozen:
      try scenario.broker.freeze(broker)
      defer { try? scenario.broker.thaw(broker) }
      pause(node == nil ? moment : .seconds(2 * long))
    default: throw SupportError("\(blow) has no network")
    }
  }

  private func freeze(_ server: PostgresServer, for time: Duration) throws {
    try server.freeze()
    defer { try? server.thaw() }
    pause(time)
  }

  /// Ends processes of Kafka, and starts them again after a time.
  private func down(
    _ nodes: [KafkaBroker.Node], for time: Duration, _ end: (KafkaBroker.Node) throws -> Void
  ) throws {
    for node in nodes { try end(node) }
    defer { try? scenario.broker.start() }
    pause(time)
  }
}
