import PGWire
import Support
import Testing

@testable import Streamer

/// The texts of schemas, and the numbers of their fields.
@Suite struct ProtobufSchemaTests {
  private static func relation(_ names: [String]) -> Relation {
    Relation(
      oid: 16_384, schema: "public", name: "orders", replicaIdentity: .primaryKey,
      columns: names.enumerated().map {
        Relation.Column(name: $1, isKey: $0 == 0, type: $0 == 0 ? 23 : 25)
      })
  }

  /// What is nested in each envelope.
  private static let source = """
      message Source {
        string version = 1;
        string connector = 2;
        string name = 3;
        int64 ts_ms = 4;
        optional string snapshot = 5;
        string db = 6;
        optional string sequence = 7;
        optional int64 ts_us = 8;
        optional int64 ts_ns = 9;
        string schema = 10;
        string table = 11;
        optional int64 txId = 12;
        optional int64 lsn = 13;
        optional int64 xmin = 14;
        optional string origin = 15;
        optional int64 origin_lsn = 16;
      }

      message block {
        string id = 1;
        int64 total_order = 2;
        int64 data_collection_order = 3;
      }
    """

  @Test func anEnvelopeHasDebeziumsMessages() throws {
    let relation = Relation(
      oid: 16_384, schema: "public", name: "orders", replicaIdentity: .primaryKey,
      columns: [
        Relation.Column(name: "id", isKey: true, type: 21),
        Relation.Column(name: "Geometry", isKey: false, type: 25),
        Relation.Column(name: "price", isKey: false, type: 1700, modifier: 0xA_0006),
        Relation.Column(name: "any number", isKey: false, type: 1700),
        Relation.Column(name: "tags", isKey: false, type: 1009),
      ])
    let schemas = try AvroRun.schemas(ProtobufRun.setup(), relation)
    #expect(schemas.map(\.name) == ["dbz.public.orders.Key", "dbz.public.orders.Envelope"])
    #expect(schemas.allSatisfy { $0.kind == .protobuf })
    let mark = "[(confluent.field_meta) = { params: ["
    #expect(
      schemas[0].text == """
        syntax = "proto3";
        package dbz.public.orders;

        import "confluent/meta.proto";

        message Key {
          int32 id = 1 \(mark){ key: "connect.type", value: "int16" }] }];
        }

        """)
    #expect(
      schemas[1].text == """
        syntax = "proto3";
        package dbz.public.orders;

        import "confluent/meta.proto";
        import "confluent/type/decimal.proto";

        message Envelope {
          Value before = 1;
          Value after = 2;
          Source source = 3;
          block transaction = 4;
          string op = 5;
          optional int64 ts_ms = 6;
          optional int64 ts_us = 7;
          optional int64 ts_ns = 8;

          message Value {
            int32 id = 1 \(mark){ key: "connect.type", value: "int16" }] }];
            optional string Geometry = 2;
            confluent.type.Decimal price = 3 \(mark){ key: "precision", value: "10" }, { key: "scale", value: "2" }] }];
            VariableScaleDecimal any_number = 4;
            repeated string tags = 5;

            message VariableScaleDecimal {
              int32 scale = 1;
              bytes value = 2;
            }
          }

        \(Self.source)
        }

        """)
  }

  @Test func aPlainRowHasListsThatMayBeNull() throws {
    let relation = Relation(
      oid: 16_384, schema: "public", name: "orders", replicaIdentity: .primaryKey,
      columns: [
        Relation.Column(name: "id", isKey: true, type: 23),
        Relation.Column(name: "StringList", isKey: false, type: 1009),
        Relation.Column(name: "at", isKey: false, type: 1184),
      ])
    let schemas = try AvroRun.schemas(ProtobufRun.setup(.plain), relation)
    #expect(
      schemas[1].text == """
        syntax = "proto3";
        package dbz.public.orders;

        import "google/protobuf/timestamp.proto";

        message Value {
          int32 id = 1;
          StringListMessage StringList = 2;
          google.protobuf.Timestamp at = 3;

          message StringListMessage {
            repeated Element elements = 1;

            message Element {
              optional string value = 1;
            }
          }
        }

        """)
  }

  @Test func numbersOfFieldsAreReadFromAnyText() throws {
    let text = """
      // message Value { int32 no = 1; }
      syntax = "proto3"; package a.b;
      import "x.proto";
      option java_package = "message Value { int32 no = 2; }";
      message Envelope { option deprecated = false; Value before = 1;
        message Value {
          reserved 2, 6 to 8; reserved "old";
          int32 id = 1 [(confluent.field_meta) = { params: [{ key: "x", value: "}" }] }, deprecated = true];
          /* int32 no = 3; */ map<string, string> m = 4;
          oneof kind { string text = 5; }
          optional .a.b.C c = 30000; enum E { NONE = 0; } message C { int32 inner = 9; }
          repeated int32 list = 11;
        }
      }
      message Value { int32 other = 1; }
      """
    let known = try #require(KnownFieldNumbers(in: text, of: "a.b.Envelope.Value"))
    #expect(known.numbers == ["id": 1, "m": 4, "text": 5, "c": 30_000, "list": 11])
    #expect(known.reserved == [2, 6, 7, 8])
    #expect(KnownFieldNumbers(in: text, of: "a.b.Value")?.numbers == ["other": 1])
    #expect(KnownFieldNumbers(in: text, of: "Value") == nil)
    let odd = "message Value { int32 a = 2147483647; int32 b = 0; reserved 2147483647, 9 to max; }"
    #expect(KnownFieldNumbers(in: odd, of: "Value") == KnownFieldNumbers(reserved: [9]))
    for broken in ["", "{", "}}", "message", "message a.b.Value { =", "\"", "/*", "reserved 1 to"] {
      #expect(KnownFieldNumbers(in: broken, of: "x") == nil)
    }
  }

  @Test func whatItWritesItReadsAgain() throws {
    let draft = try draft(["id", "b", "d"])
    var fields = FieldNumbers()
    fields.numbers = [1, 5, 9]
    fields.reserved = [2, 3]
    let writer = SchemaWriter(ProtobufRun.setup(), StreamOrigin(database: "d"))
    let text = writer.registered(draft, fields).text
    #expect(text.contains("\n    reserved 2, 3;\n    int32 id = 1;\n"))
    let known = try #require(KnownFieldNumbers(in: text, of: draft.path))
    #expect(known.numbers == ["id": 1, "b": 5, "d": 9])
    #expect(known.reserved == [2, 3])
    #expect(FieldNumbers(of: draft.fields, after: known) == fields)
  }

  private func draft(_ names: [String]) throws -> SchemaWriter.Draft {
    let writer = SchemaWriter(ProtobufRun.setup(), StreamOrigin(database: "d"))
    let table = Table(Self.relation(names), catalogKey: ["id"])
    return try #require(writer.drafts(of: table, TypeCatalog()).last)
  }

  @Test func aFieldKeepsItsNumberWhateverComesAndGoes() {
    var known = KnownFieldNumbers()
    func step(_ names: [String]) -> FieldNumbers {
      let fields = FieldNumbers(of: names, after: known)
      known = KnownFieldNumbers(
        numbers: Dictionary(uniqueKeysWithValues: zip(names, fields.numbers)),
        reserved: fields.reserved)
      return fields
    }
    #expect(step(["id", "a", "b"]).numbers == [1, 2, 3])
    let dropped = step(["id", "b"])
    #expect(dropped.numbers == [1, 3] && dropped.reserved == [2])
    let added = step(["id", "b", "c"])
    #expect(added.numbers == [1, 3, 4] && added.reserved == [2])
    // The last one's number is not given away either, nor the old one's to its name.
    let last = step(["id", "b"])
    #expect(last.numbers == [1, 3] && last.reserved == [2, 4])
    #expect(step(["id", "a", "b"]).numbers == [1, 5, 3])
    known = KnownFieldNumbers(numbers: ["id": 18_999])
    #expect(step(["id", "a"]).numbers == [18_999, 20_000])
  }

  /// ALTER TABLE against a registry: what is registered, and with what a program that starts again
  /// goes on.
  @Test func columnsThatComeAndGoLeaveTheOthersTheirNumbers() throws {
    let server = try ScriptedRegistry()
    func book() throws -> (SchemaBook, LaneSetup) {
      var registry = RegistryConfiguration()
      registry.urls = [try #require(RegistryURL(server.url))]
      let setup = ProtobufRun.setup { $0.schemas.registry = registry }
      let sink = SinkPlan(name: "k", setup: setup) { (_, _) throws(StreamerError) in
        StubSink(log: nil)
      }
      return (SchemaBook(sinks: [sink], log: Log(level: .error, descriptor: -1)), setup)
    }
    func numbers(_ made: (SchemaBook, LaneSetup), _ names: [String]) throws -> SchemaNumbers {
      let writer = SchemaWriter(made.1, StreamOrigin(database: "d"))
      let request = TableRequest(
        number: 1, connection: 1, relation: Self.relation(names), topics: ["orders"],
        writers: [writer], position: .zero)
      let answer = TableAnswer(catalogKey: [], types: TypeCatalog(), topics: [1])
      return try #require(try made.0.find([request], [answer])[0].schemas[0])
    }
    let first = try book()
    let before = try numbers(first, ["id", "a", "b"])
    #expect(before.valueFields == [1, 2, 3] && before.keyFields == [1])
    #expect(try numbers(first, ["id", "b"]).valueFields == [1, 3])
    let added = try numbers(first, ["id", "b", "c"])
    #expect(added.valueFields == [1, 3, 4] && added.value != before.value)
    let second = try book()
    #expect(try numbers(second, ["id", "b", "c"]) == added)
    #expect(try numbers(second, ["id", "b", "c", "d"]).valueFields == [1, 3, 4, 5])
    try server.answer(#"{"path":"latest","status":503,"message":"later"}"#)
    let third = try book()
    #expect(throws: StreamerError.self) { try numbers(third, ["id"]) }
    // What has no version yet begins with 1, whatever the registry says of that.
    try server.answer(#"{"path":"latest","status":404,"code":40401}"#)
    #expect(try numbers(try book(), ["id", "d"]).valueFields == [1, 2])
    // Two columns that are one field are refused before the registry hears of them.
    let error = #expect(throws: StreamerError.self) {
      try numbers(try book(), ["id", "a.b", "a b"])
    }
    #expect(error?.why.contains(#"columns "a.b" and "a b" are both a_b"#) == true)
    #expect(error?.isRetryable == false && error?.cause == .schema)
  }
}
