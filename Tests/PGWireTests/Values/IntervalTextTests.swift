import PGWire
import Testing

@Suite struct IntervalTextTests {
  private func iso(_ text: String) throws(DecodingError) -> String {
    let bytes = [UInt8](text.utf8)
    let interval = try IntervalText(unsafe bytes.span.bytes)
    var writer = ByteWriter()
    interval.write(iso8601: &writer)
    return writer.bytes.text
  }

  @Test(arguments: [
    ("00:00:00", "PT0S"), ("1 year 2 mons 3 days 04:05:06.7", "P1Y2M3DT4H5M6.7S"),
    ("-1 mons +2 days -03:00:00", "P-1M2DT-3H"), ("-1 years -2 mons +3 days", "P-1Y-2M3D"),
    ("00:00:00.000001", "PT0.000001S"), ("-00:00:00.5", "PT-0.5S"), ("1 day", "P1D"),
    ("2562047788:00:54.775807", "PT2562047788H54.775807S"), ("-00:01:00", "PT-1M"),
    ("178000000 years", "P178000000Y"),
  ])
  func writes(_ text: String, _ expected: String) throws {
    #expect(try iso(text) == expected)
  }

  @Test(arguments: [
    "", "1", "1 ", "1 d", "1 week", "x", "01:02", "01:02:03.1234567", "1:2:3 4 days",
    "--1 day", "9999999999999999999 days", "01:02:", "-", "+",
  ])
  func malformed(_ text: String) {
    #expect(throws: DecodingError.self) { try iso(text) }
  }
}
