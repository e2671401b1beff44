import KafkaBridge
import PGWire
import Support

@testable import Streamer

/// An outbox, a table beside it, and a pipeline that knows both.
enum OutboxFixture {
  static let outbox: UInt32 = 16_500
  static let orders: UInt32 = 16_501

  /// The usual columns of an outbox, and some more.
  static func relation(payload: UInt32 = 25) -> Relation {
    Relation(
      oid: outbox, schema: "public", name: "outbox", replicaIdentity: .primaryKey,
      columns: [
        Relation.Column(name: "id", isKey: true, type: 2950),
        Relation.Column(name: "aggregatetype", type: 25),
        Relation.Column(name: "aggregateid", type: 25),
        Relation.Column(name: "type", type: 25),
        Relation.Column(name: "payload", type: payload),
        Relation.Column(name: "tenant", type: 23),
        Relation.Column(name: "at", type: 1184),
      ])
  }

  static let ordinary = Relation(
    oid: orders, schema: "public", name: "orders", replicaIdentity: .primaryKey,
    columns: [Relation.Column(name: "id", isKey: true, type: 23)])

  /// The values of a row; nil is null.
  static func row(
    _ id: String, _ aggregate: String?, _ key: String? = "k", payload: String? = "{}",
    type: String? = "t", tenant: String? = "7", at: String? = nil
  ) -> [ServerBytes.Cell] {
    [id, aggregate, key, type, payload, tenant, at].map { $0.map { .text($0) } ?? .null }
  }

  static func insert(
    _ id: String, _ aggregate: String?, _ key: String? = "k", payload: String? = "{}",
    type: String? = "t", tenant: String? = "7", at: String? = nil
  ) -> [UInt8] {
    ServerBytes.insert(
      outbox,
      row(id, aggregate, key, payload: payload, type: type, tenant: tenant, at: at))
  }

  static func order(_ id: Int) -> [UInt8] { ServerBytes.insert(orders, [.text("\(id)")]) }

  /// The setup of a Kafka sink with that outbox.
  static func setup(_ lines: String, sink: String = "") throws -> LaneSetup {
    try ConfigurationFixture.parse(
      ConfigurationPieces.source + """
        [sink.k]
        type = "kafka"
        sources = ["db1"]
        hosts = ["k:9092"]
        topicFallback = "t"
        \(sink)
        [sink.k.outbox]
        table = "public.outbox"
        \(lines)

        """
    ).sinks[0].setup(for: "db")
  }

  /// A pipeline that has been fed one transaction of these changes.
  static func feed(
    _ lines: String = "", sink: String = "", payload: UInt32 = 25, dead: TopicID? = nil,
    topics: Bool = true, _ payloads: [UInt8]...
  ) throws -> CapturingPipeline {
    let pipeline = CapturingPipeline(setup: try setup(lines, sink: sink), deadLetterTopic: dead)
    pipeline.topicNumbers = topics ? [:] : nil
    try pipeline.feed { server in
      server.begin(LSN(0x100), time: 1, xid: 745)
      server.relation(relation(payload: payload))
      server.relation(ordinary)
      for payload in payloads { server.xLogData(LSN(0x90), payload) }
      server.commit(LSN(0x100), end: LSN(0x120), time: 1)
    }
    return pipeline
  }
}
