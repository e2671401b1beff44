import PGWire
import Support
import Testing

@testable import Streamer

/// Records in Avro, and what a reader makes of them.
struct AvroRun {
  /// A sink whose values are Debezium's, or rows.
  static func setup(
    _ style: SchemaStyle = .debezium, isRowAlone: Bool = false,
    _ change: (inout LaneSetup) -> Void = { _ in }
  ) -> LaneSetup {
    var setup = LaneSetup(routing: .init(fallback: "t"))
    setup.format = .avro
    setup.key = .avro
    setup.schemas = SchemaOptions(
      registry: RegistryConfiguration(), style: style, isRowAlone: isRowAlone)
    setup.debezium.name = "dbz"
    change(&setup)
    return setup
  }

  /// The schemas of a table: that of its keys first, where they have one.
  static func schemas(
    _ setup: LaneSetup, _ relation: Relation, key: [String] = ["id"],
    types: TypeCatalog = TypeCatalog()
  ) throws -> [RegisteredSchema] {
    let writer = SchemaWriter(setup, StreamOrigin(systemIdentifier: 7, host: "h", database: "d"))
    let table = try Table(relation, catalogKey: key).adopting(
      setup.rules.rule(schema: relation.schema, table: relation.name))
    return writer.schemas(of: table, types)
  }

  /// Feeds the payloads as a transaction of 2026-11-28T17:42:21.561632Z, with schemas 7 and 9.
  static func feed(
    _ setup: LaneSetup, _ relation: Relation, types: TypeCatalog = TypeCatalog(),
    _ payloads: [[UInt8]], deadLetterTopic: Int32? = nil
  ) throws -> CapturingPipeline {
    let pipeline = CapturingPipeline(
      position: LSN(0x40), setup: setup, deadLetterTopic: deadLetterTopic)
    pipeline.catalogKey = ["id"]
    pipeline.types = types
    pipeline.schemas = SchemaNumbers(key: 7, value: 9)
    try pipeline.feed { server in
      server.begin(LSN(0x100), time: 849_202_941_561_632, xid: 978)
      server.relation(relation)
      for payload in payloads { server.xLogData(LSN(0x90), payload) }
      server.commit(LSN(0x100), end: LSN(0x120), time: 849_202_941_561_632)
    }
    return pipeline
  }

  /// What stands behind the frame of a key or value, which has to be that of `schema`.
  static func body(_ bytes: [UInt8]?, schema: UInt8) throws -> [UInt8] {
    let bytes = try #require(bytes)
    #expect(Array(bytes.prefix(5)) == [0, 0, 0, 0, schema])
    return Array(bytes.dropFirst(5))
  }

  /// Bytes as hexadecimal digits.
  static func hex(_ bytes: [UInt8]) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }
}
