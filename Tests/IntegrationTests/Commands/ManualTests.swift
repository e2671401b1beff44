import Glibc
import KafkaBridge
import Support
import Testing

extension Integration.SecondThird {
  /// The tables of docs/OPERATING.md say what a running instance says, and nothing else.
  ///
  /// The instance has each kind of source: a server's changes go to Kafka, from there to a file, and
  /// a recording to another one.
  @Suite struct Manual {
    private static let sources = ["shop": "postgres", "copy": "kafka", "old": "recording"]
    private static let sinks = ["out": "kafka", "file": "file", "archive": "file"]
    /// The sinks that a source of the type feeds.
    private static let fed = ["postgres": "out", "kafka": "file", "recording": "archive"]

    private let server: PostgresServer
    private let cluster: MockCluster
    private let directory: TemporaryDirectory
    private let port: Int
    private let database = "manual"

    init() throws {
      server = try Integration.postgres
      cluster = try MockCluster()
      for topic in ["shop", "large"] { try cluster.createTopic(topic, partitions: 1) }
      directory = try TemporaryDirectory("manual")
      port = try FreePort.take()
      try server.psql("CREATE DATABASE \(database)")
      try server.psql(
        """
        CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE secret (id int PRIMARY KEY);
        CREATE TABLE large (v text);
        CREATE PUBLICATION p FOR ALL TABLES
        """, database: database)
    }

    private func start() throws -> Subprocess {
      let file = directory.file("manual.toml")
      try FileBytes.write(
        """
        store = "\(directory.file("positions.sqlite"))"
        http = "127.0.0.1:\(port)"
        [source.shop]
        type = "postgres"
        dsn = "\(server.dsn(database: database))"
        publication = "p"
        replicationSlot = "manual"
        [source.copy]
        type = "kafka"
        hosts = ["\(cluster.bootstrapServers)"]
        topics = ["shop"]
        groupID = "manual"
        [source.old]
        type = "recording"
        path = "\(Fixture(scenario: "transactions", version: 15).path)"
        [sink.out]
        type = "kafka"
        sources = ["shop"]
        hosts = ["\(cluster.bootstrapServers)"]
        topicFallback = "shop"
        tableTopicMapping = { "public.large" = "large" }
        exclude = ["public.secret"]
        oversized = "quarantine"
        [sink.file]
        type = "file"
        sources = ["copy"]
        path = "\(directory.file("copy.ndjson"))"
        [sink.archive]
        type = "file"
        sources = ["old"]
        path = "\(directory.file("old.ndjson"))"
        """, to: file)
      return try Subprocess(Binary.psqlStreamer, ["run", "--config", file])
    }

    private func get(_ path: String) throws -> String { try Scenario.get(path, port: port).body }

    @Test func `What runs is what the manual says`() throws {
      let streamer = try start()
      try eventually("the server's answer") {
        try Scenario.requireAlive(streamer)
        return try Scenario.get("/health", port: port).status == 200
      }
      let metrics = try documentedMetrics()
      let first = try Exposition(get("/metrics"))
      for metric in metrics where metric.isThereFromTheStart {
        #expect(first.owners(of: metric) == owners(of: metric), "\(metric.name) at the start")
      }
      try server.psql(
        """
        INSERT INTO t VALUES (1); INSERT INTO secret VALUES (1);
        INSERT INTO large VALUES (repeat('x', 2000000))
        """, database: database)
      try eventually("the row at the end of the road, what is left out, and what is held") {
        try Scenario.requireAlive(streamer)
        guard try get("/status").contains("\"records\":1,") else { return false }
        let stats = try JSON(get("/stats"))
        return stats["sinks"]?["file"]?["kafkaMessages"]?.int == 1
          && stats["sinks"]?["out"]?["noTopic"]?.int == 1
          && (stats["sinks"]?["archive"]?["kafkaMessages"]?.int ?? 0) > 0
      }
      let running = try Exposition(get("/metrics"))
      #expect(Set(running.types.keys).subtracting(metrics.map(\.name)).isEmpty, "undocumented")
      for metric in metrics where running.types[metric.name] != nil || !metric.mayBeMissing {
        #expect(running.types[metric.name] == metric.type, "\(metric.name): its type")
        #expect(running.owners(of: metric) == owners(of: metric), "\(metric.name)")
        #expect(running.labels(of: metric.name) == metric.labels, "\(metric.name): its labels")
        #expect(!metric.unit.isEmpty && !metric.meaning.isEmpty, "\(metric.name)")
      }
      try compareStatus()
      try compareStats()
      try compareCheck()
      streamer.send(SIGTERM)
      _ = try streamer.wait(within: .seconds(60))
      // The shared server has a limited number of slots.
      try server.psql("SELECT pg_drop_replication_slot('manual')")
    }

    // MARK: - Metrics

    /// Whom the metric is of, by the manual; the process itself is an empty name.
    private func owners(of metric: Row) -> Set<String> {
      let words = metric.cells[3].split(separator: ",")[0]
      let types = words.split(separator: "`").map(String.init).filter { Self.fed[$0] != nil }
      if words == "the process" { return [""] }
      if words.hasPrefix("sinks of ") { return Set(types.compactMap { Self.fed[$0] }) }
      if words == "every source" { return Set(Self.sources.keys) }
      if words == "every sink" {
        // Nothing of another sink is left out.
        return metric.cells[3].hasSuffix("left out") ? ["out"] : Set(Self.sinks.keys)
      }
      let all = words.hasSuffix("sinks") ? Self.sinks : Self.sources
      return Set(all.filter { types.contains($0.value) }.keys)
    }

    private func documentedMetrics() throws -> [Row] {
      let rows = try Row.table(after: "\n## Metrics\n", columns: 6)
      #expect(rows.count > 30 && Set(rows.map(\.name)).count == rows.count)
      return rows
    }

    // MARK: - Documents

    private func compareStatus() throws {
      let status = try JSON(get("/status"))
      #expect(status.names == ["ok", "version", "sources", "sinks"])
      let rows = try Row.table(after: "\n### /status\n", columns: 5)
      for (kind, count) in [("sources", Self.sources.count), ("sinks", Self.sinks.count)] {
        let objects = status[kind]?.elements ?? []
        #expect(objects.count == count)
        for object in objects {
          let own = rows.filter { row in
            row.cells[1].contains(kind)
              && (!row.cells[1].hasSuffix("some") || object["name"]?.string == "out")
          }
          #expect(Set(object.names) == Set(own.map(\.name)), "\(object)")
          for row in own {
            let types = row.cells[2].split(separator: ", ").map(String.init)
            #expect(
              types.contains(object[row.name]?.typeName ?? "none"), "\(row.name) of \(object)")
          }
        }
      }
    }

    private func compareStats() throws {
      let stats = try JSON(get("/stats"))
      let rows = try Row.table(after: "\n### /stats\n", columns: 4)
      for (kind, names) in [("sources", Self.sources.keys), ("sinks", Self.sinks.keys)] {
        #expect(Set(stats[kind]?.names ?? []) == Set(names))
        for name in names {
          let object = stats[kind]?[name] ?? .null
          let own = rows.filter { $0.cells[1] == kind }.map(\.name)
          #expect(object.names == own, "\(name)")
          #expect(own.allSatisfy { object[$0]?.typeName == "number" })
        }
      }
    }

    private func compareCheck() throws {
      let rows = try Row.table(after: "\n### check --json\n", columns: 3)
      let output = try Subprocess.run(
        Binary.psqlStreamer, ["check", "--json", "-c", directory.file("manual.toml")])
      let findings = try JSON(output.standardOutput).elements
      #expect(findings.count > 10)
      for finding in findings {
        #expect(finding.names == rows.map(\.name))
        for row in rows {
          let types = row.cells[1].split(separator: ", ").map(String.init)
          #expect(types.contains(finding[row.name]?.typeName ?? "none"), "\(row.name)")
        }
      }
    }
  }
}

/// A row of a table of docs/OPERATING.md.
private struct Row {
  /// The cells as they are written, the first one without its quotes.
  let cells: [String]

  var name: String { cells[0] }
  var type: String { cells[1] }
  var labels: Set<String> {
    Set(cells[2].split(separator: ",").map { $0.filter { $0 != "`" && $0 != " " } })
  }
  var unit: String { cells[4] }
  var meaning: String { cells[5] }
  /// Whether its series come with the first change of a table or the first trouble only.
  var isThereFromTheStart: Bool { !cells[3].contains(",") }
  /// Whether there may be none while all is well.
  var mayBeMissing: Bool { cells[3].hasSuffix("once there was some") }

  /// The first table behind a heading.
  static func table(after heading: String, columns: Int) throws -> [Row] {
    let path = "/" + #filePath.split(separator: "/").dropLast(4).joined(separator: "/")
    let text = try FileBytes.text(of: path + "/docs/OPERATING.md")
    let start = try #require(text.firstRange(of: heading)).upperBound
    let lines = text[start...].split(separator: "\n").drop { !$0.hasPrefix("| `") }
    let rows = lines.prefix { $0.hasPrefix("| `") }.map { line in
      line.split(separator: "|", omittingEmptySubsequences: false).dropFirst().dropLast().map {
        String($0.trimmingPrefix(" ").reversed().drop { $0 == " " }.reversed())
      }
    }
    #expect(!rows.isEmpty && rows.allSatisfy { $0.count == columns }, "\(heading)")
    return rows.map { Row(cells: [$0[0].filter { $0 != "`" }] + $0.dropFirst()) }
  }
}

/// What `/metrics` says.
private struct Exposition {
  /// The type of each metric.
  private(set) var types: [String: String] = [:]
  private var series: [String: [[String: String]]] = [:]

  init(_ text: String) throws {
    for line in text.split(separator: "\n") {
      let words = line.split(separator: " ")
      if line.hasPrefix("# TYPE ") { types[String(words[2])] = String(words[3]) }
      guard !line.hasPrefix("#") else { continue }
      let name = String(line.prefix { $0 != "{" && $0 != " " })
      #expect(Double(String(words[words.count - 1]))?.isFinite == true, "\(line)")
      var labels: [String: String] = [:]
      for match in line.matches(of: /(\w+)="((?:[^"\\]|\\.)*)"/) {
        labels[String(match.1)] = String(match.2)
      }
      labels["le"] = nil
      let suffixes = ["_bucket", "_sum", "_count"]
      let base = suffixes.first(where: name.hasSuffix).map { String(name.dropLast($0.count)) }
      series[base.flatMap { types[$0] == "histogram" ? $0 : nil } ?? name, default: []]
        .append(labels)
    }
  }

  /// Whose series there are: the sources' or sinks' names, or an empty one for the process.
  func owners(of metric: Row) -> Set<String> {
    Set((series[metric.name] ?? []).map { $0["sourceName"] ?? $0["sinkName"] ?? "" })
  }

  /// The names of the labels, which all series of a metric share.
  func labels(of name: String) -> Set<String>? {
    let all = Set((series[name] ?? []).map { Set($0.keys) })
    return all.count == 1 ? all.first : nil
  }
}

extension JSON {
  /// JSON's own word for what it is.
  fileprivate var typeName: String {
    switch self {
    case .null: "null"
    case .bool: "boolean"
    case .number: "number"
    case .string: "string"
    case .array: "array"
    case .object: "object"
    }
  }
}
