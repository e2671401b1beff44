import KafkaBridge
import PGWire

/// `demo`: a throw-away PostgreSQL streamed into an embedded Kafka, shown and cleaned up.
enum DemoCommand {
  /// Runs it; 0 only when every committed change has arrived, exactly once.
  static func run(_ format: FormatConfiguration.Name) throws(StreamerError) -> Int32 {
    // Before any other thread, which would get the signals instead.
    let interruption = try Interruption()
    let programs = try ServerPrograms.find()
    let server = try ThrowAwayServer(programs)
    defer { server.remove() }
    Terminal.print("Starting a PostgreSQL (\(programs.directory)) in \(server.directory) …")
    try server.start(interruption)
    try interruption.check()

    let topics = DemoStory.tables.map(DemoStory.topic(of:))
    let cluster = try startBroker(topics)
    defer { withExtendedLifetime(cluster) {} }
    Terminal.print("Starting an embedded Kafka broker at \(cluster.bootstrapServers) …")
    var shop = try prepareShop(server)

    let configuration = DemoStory.configuration(
      dsn: server.dsn(database: DemoStory.database), store: "\(server.directory)/positions.sqlite",
      hosts: cluster.bootstrapServers, format)
    Terminal.print(
      "Streaming between them with this configuration:\n\n\(configuration.indented(by: 2))\n")
    let list = format.hasSchemas ? SchemaList() : nil
    if list != nil {
      Terminal.print("There is no such registry: the demo counts the schemas itself.\n")
    }
    let pipeline = try start(configuration, list)
    defer { pipeline.stop() }
    var show = try DemoShow(
      pipeline, format, reader: reader(cluster, topics, list), interruption: consume interruption)
    try show.awaitStreaming()
    try show.showExisting()
    for step in DemoStory.steps { try show.play(step, in: &shop) }
    try show.playLoad(dsn: server.dsn(database: DemoStory.database))
    return try show.conclude()
  }

  private static func start(
    _ text: String, _ list: SchemaList?
  ) throws(StreamerError) -> PipelineThread {
    let configuration = try Configuration.own(text)
    guard let path = configuration.store else {
      preconditionFailure("the demo's configuration has a store")
    }
    return try PipelineThread(
      configuration, store: try SQLitePositionStore(path: path), reconnects: true,
      list: list, log: Log(level: .error))
  }

  private static func startBroker(_ topics: [String]) throws(StreamerError) -> MockCluster {
    do throws(KafkaError) {
      let cluster = try MockCluster()
      for topic in topics {
        try cluster.createTopic(topic, partitions: DemoStory.partitions)
      }
      return cluster
    } catch { throw StreamerError(what: "embedded broker", why: "\(error)") }
  }

  private static func prepareShop(_ server: ThrowAwayServer) throws(StreamerError) -> Connection {
    do throws(PGError) {
      var postgres = try ThrowAwayServer.connect(server.dsn(database: "postgres"))
      _ = try postgres.query("CREATE DATABASE \(DemoStory.database)")
      postgres.close()
      var shop = try ThrowAwayServer.connect(server.dsn(database: DemoStory.database))
      _ = try shop.query(DemoStory.schema)
      _ = try shop.query(DemoStory.existing.sql)
      return shop
    } catch { throw StreamerError(what: "shop", why: "\(error)") }
  }

  private static func reader(
    _ cluster: MockCluster, _ topics: [String], _ list: SchemaList?
  ) throws(StreamerError) -> DemoReader {
    do throws(KafkaError) {
      return try DemoReader(
        bootstrapServers: cluster.bootstrapServers, topics: topics,
        partitions: DemoStory.partitions, list: list)
    } catch { throw StreamerError(what: "demo's consumer", why: "\(error)") }
  }
}
