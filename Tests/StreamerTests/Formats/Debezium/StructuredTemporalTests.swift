import PGWire
import Support
import Testing

@testable import Streamer

/// Dates, times and intervals as structs, as the pull request debezium/debezium #7554 has them.
///
/// No Debezium has written these values.
@Suite struct StructuredTemporalTests {
  private func value(_ text: String, _ oid: UInt32, _ modifier: Int32 = -1) -> String? {
    var options = DebeziumOptions()
    options.time = .structured
    guard let encoder = DebeziumEncoder(oid, modifier, TypeCatalog(), options) else { return nil }
    var scratch = DebeziumScratch()
    let bytes = Array(text.utf8)
    return written { encoder.encode(unsafe bytes.span.bytes, &scratch, into: &$0) }
  }

  @Test(
    arguments: [
      (1082, -1, "2024-02-29", #"{"year":2024,"month":2,"day":29,"specialValue":null}"#),
      (1082, -1, "4713-11-24 BC", #"{"year":-4712,"month":11,"day":24,"specialValue":null}"#),
      (1082, -1, "5874897-12-31", #"{"year":5874897,"month":12,"day":31,"specialValue":null}"#),
      (
        1082, -1, "infinity",
        #"{"year":null,"month":null,"day":null,"specialValue":"POSITIVE_INFINITY"}"#
      ),
      (
        1082, -1, "-infinity",
        #"{"year":null,"month":null,"day":null,"specialValue":"NEGATIVE_INFINITY"}"#
      ),
      (
        1083, -1, "12:34:56.789",
        #"{"hour":12,"minute":34,"second":56,"nanos":789000000,"precision":6}"#
      ),
      (1083, 0, "24:00:00", #"{"hour":24,"minute":0,"second":0,"nanos":0,"precision":0}"#),
      (
        1266, -1, "24:00:00+05:30",
        #"{"hour":24,"minute":0,"second":0,"nanos":0,"offsetSeconds":19800,"precision":6}"#
      ),
      (
        1266, 3, "04:05:11.5-08",
        #"{"hour":4,"minute":5,"second":11,"nanos":500000000,"offsetSeconds":-28800,"precision":3}"#
      ),
      (
        1114, 3, "1969-12-31 23:59:59.999",
        #"{"year":1969,"month":12,"day":31,"hour":23,"minute":59,"second":59,"nanos":999000000,"#
          + #""specialValue":null,"precision":3}"#
      ),
      (
        1114, -1, "294276-12-31 23:59:59.999999",
        #"{"year":294276,"month":12,"day":31,"hour":23,"minute":59,"second":59,"nanos":999999000,"#
          + #""specialValue":null,"precision":6}"#
      ),
      (
        1114, -1, "0044-03-15 12:00:00.000001 BC",
        #"{"year":-43,"month":3,"day":15,"hour":12,"minute":0,"second":0,"nanos":1000,"#
          + #""specialValue":null,"precision":6}"#
      ),
      (
        1114, 0, "-infinity",
        #"{"year":null,"month":null,"day":null,"hour":null,"minute":null,"second":null,"nanos":null,"#
          + #""specialValue":"NEGATIVE_INFINITY","precision":0}"#
      ),
      (
        1184, -1, "2024-03-01 00:30:00.5+05:45",
        #"{"year":2024,"month":2,"day":29,"hour":18,"minute":45,"second":0,"nanos":500000000,"#
          + #""offsetSeconds":0,"zoneId":"Z","specialValue":null,"precision":6}"#
      ),
      (
        1184, -1, "0001-01-01 00:30:00+01 BC",
        #"{"year":-1,"month":12,"day":31,"hour":23,"minute":30,"second":0,"nanos":0,"#
          + #""offsetSeconds":0,"zoneId":"Z","specialValue":null,"precision":6}"#
      ),
      (
        1184, -1, "infinity",
        #"{"year":null,"month":null,"day":null,"hour":null,"minute":null,"second":null,"nanos":null,"#
          + #""offsetSeconds":null,"zoneId":null,"specialValue":"POSITIVE_INFINITY","precision":6}"#
      ),
      (
        1186, -1, "1 year 2 mons 3 days 04:05:06.789",
        #"{"years":1,"months":2,"days":3,"hours":4,"minutes":5,"seconds":6,"nanos":789000000,"#
          + #""precision":6}"#
      ),
      // interval(3), whose modifier has its fields beside the digits.
      (
        1186, 0x7FFF_0003, "-1 days -00:00:01.5",
        #"{"years":0,"months":0,"days":-1,"hours":0,"minutes":0,"seconds":-1,"nanos":-500000000,"#
          + #""precision":3}"#
      ),
      // interval day to second
      (
        1186, 0x1C08_FFFF, "00:00:00",
        #"{"years":0,"months":0,"days":0,"hours":0,"minutes":0,"seconds":0,"nanos":0,"#
          + #""precision":6}"#
      ),
      // What the fields cannot say is the text.
      (1186, -1, "infinity", #""infinity""#),
      (1186, -1, "2147483648:00:00", #""2147483648:00:00""#),
      (
        1182, -1, "{2024-02-29,NULL,infinity}",
        #"[{"year":2024,"month":2,"day":29,"specialValue":null},null,"#
          + #"{"year":null,"month":null,"day":null,"specialValue":"POSITIVE_INFINITY"}]"#
      ),
      (
        1115, 0, #"{"2024-02-29 12:34:56"}"#,
        #"[{"year":2024,"month":2,"day":29,"hour":12,"minute":34,"second":56,"nanos":0,"#
          + #""specialValue":null,"precision":0}]"#
      ),
      (1183, -1, "{}", "[]"),
      (
        1270, -1, "{{00:00:01+00}}",
        #"[[{"hour":0,"minute":0,"second":1,"nanos":0,"offsetSeconds":0,"precision":6}]]"#
      ),
      // Types that are none of them are as they always are.
      (20, -1, "7", "7"),
    ] as [(UInt32, Int32, String, String)])
  func aValueHasItsFields(_ oid: UInt32, _ modifier: Int32, _ text: String, _ json: String) {
    #expect(value(text, oid, modifier) == json)
  }

  /// As with the other modes.
  @Test func arraysOfIntervalsAreLeftOut() {
    #expect(value("{1 day}", 1187) == nil)
  }

  /// Every date and time leads to the numbers that its text was made of.
  @Test func fieldsAreThoseOfTheText() {
    var random = SeededRandom("StructuredTemporalTests")
    let seed = random.seed
    func two(_ number: Int) -> String { (number < 10 ? "0" : "") + "\(number)" }
    for _ in 0..<2_000 {
      let year = Int.random(in: -4712...294_276, using: &random)
      let (month, day) = (
        Int.random(in: 1...12, using: &random), Int.random(in: 1...28, using: &random)
      )
      let (hour, minute) = (
        Int.random(in: 0...23, using: &random), Int.random(in: 0...59, using: &random)
      )
      let micros = Int.random(in: 0...999_999, using: &random)
      let fraction = String("00000\(micros)".suffix(6))
      let digits = "\(year > 0 ? year : 1 - year)"
      let text =
        String(repeating: "0", count: max(0, 4 - digits.count)) + digits
        + "-\(two(month))-\(two(day)) \(two(hour)):\(two(minute)):07.\(fraction)"
        + (year > 0 ? "" : " BC")
      let json =
        #"{"year":\#(year),"month":\#(month),"day":\#(day),"hour":\#(hour),"minute":\#(minute),"#
        + #""second":7,"nanos":\#(micros * 1_000),"specialValue":null,"precision":6}"#
      #expect(value(text, 1114) == json, "\(text), seed \(seed)")
    }
  }

  // MARK: - Records

  /// t(at timestamptz primary key, d date, t time, z timetz, s timestamp, i interval, a date[]).
  private static let relation = Relation(
    oid: FormatRun.oid, schema: "s", name: "t", replicaIdentity: .primaryKey,
    columns: [Relation.Column(name: "at", isKey: true, type: 1184)]
      + [("d", 1082), ("t", 1083), ("z", 1266), ("s", 1114), ("i", 1186), ("a", 1182)].map {
        Relation.Column(name: $0, isKey: false, type: $1)
      })

  private static let insert = ServerBytes.insert(
    FormatRun.oid,
    [.text("2024-02-29 12:00:00+01"), .text("infinity")]
      + [.null, .null, .null, .text("1 day"), .null])

  private func record(_ change: (inout LaneSetup) -> Void) throws -> (key: String, value: String) {
    let setup = AvroRun.setup {
      $0.debezium.time = .structured
      change(&$0)
    }
    let pipeline = CapturingPipeline(position: LSN(0x40), setup: setup)
    pipeline.catalogKey = ["at"]
    try pipeline.feed { server in
      server.begin(LSN(0x100), time: 0, xid: 978)
      server.relation(Self.relation)
      server.xLogData(LSN(0x90), Self.insert)
      server.commit(LSN(0x100), end: LSN(0x120), time: 0)
    }
    return (try #require(pipeline.sink.keys[0]), try #require(pipeline.sink.values.first))
  }

  private static let at =
    #"{"year":2024,"month":2,"day":29,"hour":11,"minute":0,"second":0,"nanos":0,"#
    + #""offsetSeconds":0,"zoneId":"Z","specialValue":null,"precision":6}"#

  @Test func aRowAloneHasStructsAndNulls() throws {
    let record = try record {
      $0.format = .flat
      $0.key = .json
    }
    #expect(record.key == #"{"at":\#(Self.at)}"#)
    #expect(
      record.value == #"{"at":\#(Self.at),"#
        + #""d":{"year":null,"month":null,"day":null,"specialValue":"POSITIVE_INFINITY"},"#
        + #""t":null,"z":null,"s":null,"#
        + #""i":{"years":0,"months":0,"days":1,"hours":0,"minutes":0,"seconds":0,"nanos":0,"#
        + #""precision":6},"a":null}"#)
  }

  /// The schema of a struct in Connect's JSON; `fields` are names with their types.
  private static func schema(
    _ name: String, _ fields: String, isOptional: Bool = true, field: String? = nil
  ) -> String {
    let members = fields.split(separator: " ").map { field in
      let parts = field.split(separator: ":")
      return #"{"type":"\#(parts[1])","optional":true,"field":"\#(parts[0])"}"#
    }
    return #"{"type":"struct","fields":[\#(members.joined(separator: ","))],"#
      + #""optional":\#(isOptional),"name":"io.debezium.time.Structured\#(name)","version":1"#
      + (field.map { #","field":"\#($0)"}"# } ?? "}")
  }

  private static let day = "year:int32 month:int8 day:int8"
  private static let clock = "hour:int8 minute:int8 second:int8 nanos:int32"

  @Test func schemasSayWhatTheFieldsAre() throws {
    let record = try record {
      $0.format = .debezium
      $0.key = .jsonSchema
      $0.debezium.schemas = true
    }
    let (day, clock) = (Self.day, Self.clock)
    let zoned = "\(day) \(clock) offsetSeconds:int32 zoneId:string specialValue:string"
    let key = Self.schema(
      "ZonedTimestamp", "\(zoned) precision:int32", isOptional: false, field: "at")
    #expect(
      record.key == #"{"schema":{"type":"struct","fields":[\#(key)],"optional":false,"#
        + #""name":"dbz.s.t.Key"},"payload":{"at":\#(Self.at)}}"#)
    let interval =
      "years:int32 months:int32 days:int32 hours:int32 minutes:int32 seconds:int64 nanos:int32"
    let date = Self.schema("Date", "\(day) specialValue:string")
    let columns = [
      key, Self.schema("Date", "\(day) specialValue:string", field: "d"),
      Self.schema("Time", "\(clock) precision:int32", field: "t"),
      Self.schema("ZonedTime", "\(clock) offsetSeconds:int32 precision:int32", field: "z"),
      Self.schema(
        "Timestamp", "\(day) \(clock) specialValue:string precision:int32", field: "s"),
      Self.schema("Duration", "\(interval) precision:int32", field: "i"),
      #"{"type":"array","items":\#(date),"optional":true,"field":"a"}"#,
    ]
    #expect(
      record.value.contains(#""fields":[\#(columns.joined(separator: ","))],"optional":true"#))
  }

  // MARK: - Schemas of a registry

  /// The text of the schema of rows with one more column than their key.
  private func schema(_ type: UInt32, _ setup: LaneSetup) throws -> String {
    let relation = Relation(
      oid: FormatRun.oid, schema: "s", name: "t", replicaIdentity: .primaryKey,
      columns: [
        Relation.Column(name: "id", isKey: true, type: 23),
        Relation.Column(name: "c", isKey: false, type: type),
      ])
    var setup = setup
    setup.debezium.time = .structured
    return try AvroRun.schemas(setup, relation)[1].text
  }

  @Test func avroHasRecords() throws {
    let small = #"["null",{"type":"int","connect.type":"int8"}]"#
    func field(_ name: String, _ type: String) -> String {
      #"{"name":"\#(name)","type":\#(type),"default":null}"#
    }
    let fields = [
      field("hour", small), field("minute", small), field("second", small),
      field("nanos", #"["null","int"]"#), field("precision", #"["null","int"]"#),
    ]
    #expect(
      try schema(1083, AvroRun.setup(isRowAlone: true)).contains(
        #"{"name":"c","type":["null",{"type":"record","name":"StructuredTime","#
          + #""namespace":"io.debezium.time","fields":[\#(fields.joined(separator: ","))],"#
          + #""connect.version":1,"connect.name":"io.debezium.time.StructuredTime"}],"#
          + #""default":null}"#))
  }

  @Test func protobufHasMessages() throws {
    let mark = #"[(confluent.field_meta) = { params: [{ key: "connect.type", value: "int8" }] }]"#
    #expect(
      try schema(1082, ProtobufRun.setup(isRowAlone: true)) == """
        syntax = "proto3";
        package dbz.s.t;

        import "confluent/meta.proto";

        message Value {
          int32 id = 1;
          StructuredDate c = 2;

          message StructuredDate {
            optional int32 year = 1;
            optional int32 month = 2 \(mark);
            optional int32 day = 3 \(mark);
            optional string specialValue = 4;
          }
        }

        """)
    #expect(
      try schema(1186, ProtobufRun.setup(.plain)).contains(
        """
          message StructuredDuration {
            optional int32 years = 1;
            optional int32 months = 2;
            optional int32 days = 3;
            optional int32 hours = 4;
            optional int32 minutes = 5;
            optional int64 seconds = 6;
            optional int32 nanos = 7;
            optional int32 precision = 8;
          }
        """))
  }

  @Test func jsonSchemaHasObjects() throws {
    let setup = AvroRun.setup(isRowAlone: true) {
      $0.format = .jsonSchema
      $0.key = .jsonSchema
    }
    func field(_ name: String, _ type: String, _ place: Int) -> String {
      #""\#(name)":{"oneOf":[{"type":"null"},\#(type)],"connect.index":\#(place)}"#
    }
    let small = #"{"type":"integer","connect.type":"int8"}"#
    let fields = [
      field("year", #"{"type":"integer","connect.type":"int32"}"#, 0), field("month", small, 1),
      field("day", small, 2), field("specialValue", #"{"type":"string"}"#, 3),
    ]
    #expect(
      try schema(1082, setup).contains(
        #"{"type":"object","title":"io.debezium.time.StructuredDate","#
          + #""properties":{\#(fields.joined(separator: ","))},"connect.version":1}"#))
  }

  @Test func itIsConfigured() throws {
    let setup = try ConfigurationFixture.parse(
      ConfigurationFixture.minimal + """
        format = "debezium"
        debezium = { time = "structured" }

        """
    ).sinks[0].setup(for: "db")
    #expect(setup.debezium.time == .structured)
  }
}
