@testable import Streamer

/// Dates, times and intervals as structs: their bytes in Avro's union, and what readers of Avro and
/// of Protobuf make of them.
struct StructuredSamples: Sendable {
  let type: UInt32
  let text: String
  let avro: String
  let json: String
  var style = SchemaStyle.debezium

  /// The name of the infinite future, behind its length.
  private static let future = "22" + "504f5349544956455f494e46494e495459"
  private static let leapDay = "02d01f" + "0204" + "023a"
  private static let infiniteDate =
    #"{"year":null,"month":null,"day":null,"specialValue":"POSITIVE_INFINITY"}"#

  static let all = [
    StructuredSamples(
      type: 1082, text: "2024-02-29", avro: leapDay + "00",
      json: #"{"year":2024,"month":2,"day":29,"specialValue":null}"#),
    StructuredSamples(
      type: 1082, text: "2024-02-29", avro: leapDay + "00",
      json: #"{"year":2024,"month":2,"day":29,"specialValue":null}"#, style: .plain),
    StructuredSamples(
      type: 1082, text: "infinity", avro: "000000" + "02" + future, json: infiniteDate),
    // The year before the first, and zeros, which are there.
    StructuredSamples(
      type: 1114, text: "0001-01-01 00:00:00 BC",
      avro: "0200" + "0202" + "0202" + "0200" + "0200" + "0200" + "0200" + "00" + "020c",
      json: #"{"year":0,"month":1,"day":1,"hour":0,"minute":0,"second":0,"nanos":0,"#
        + #""specialValue":null,"precision":6}"#),
    StructuredSamples(
      type: 1114, text: "294276-12-31 23:59:59.999999",
      avro: "0288f623" + "0218" + "023e" + "022e" + "0276" + "0276" + "02b098d6b907" + "00"
        + "020c",
      json: #"{"year":294276,"month":12,"day":31,"hour":23,"minute":59,"second":59,"#
        + #""nanos":999999000,"specialValue":null,"precision":6}"#),
    StructuredSamples(
      type: 1184, text: "2024-02-29 12:00:00+01",
      avro: leapDay + "0216" + "0200" + "0200" + "0200" + "0200" + "02025a" + "00" + "020c",
      json: #"{"year":2024,"month":2,"day":29,"hour":11,"minute":0,"second":0,"nanos":0,"#
        + #""offsetSeconds":0,"zoneId":"Z","specialValue":null,"precision":6}"#),
    StructuredSamples(
      type: 1083, text: "24:00:00", avro: "0230" + "0200" + "0200" + "0200" + "020c",
      json: #"{"hour":24,"minute":0,"second":0,"nanos":0,"precision":6}"#),
    StructuredSamples(
      type: 1266, text: "24:00:00+05:30",
      avro: "0230" + "0200" + "0200" + "0200" + "02b0b502" + "020c",
      json: #"{"hour":24,"minute":0,"second":0,"nanos":0,"offsetSeconds":19800,"precision":6}"#),
    StructuredSamples(
      type: 1186, text: "-1 years 3 days -00:00:01",
      avro: "0201" + "0200" + "0206" + "0200" + "0200" + "0201" + "0200" + "020c",
      json: #"{"years":-1,"months":0,"days":3,"hours":0,"minutes":0,"seconds":-1,"nanos":0,"#
        + #""precision":6}"#),
    StructuredSamples(
      type: 1182, text: "{infinity}", avro: "02" + "02" + "000000" + "02" + future + "00",
      json: "[\(infiniteDate)]"),
    StructuredSamples(
      type: 1182, text: "{infinity,NULL}",
      avro: "04" + "02" + "000000" + "02" + future + "00" + "00",
      json: "[\(infiniteDate),null]"),
  ]
}
