import PGWire
import Support
import Testing

@testable import Streamer

/// Geometries as GeoJSON; the EWKB and what is expected of it were written by hand, by PostGIS's
/// documentation and RFC 7946.
@Suite struct GeoJSONTests {
  private func geoJSON(_ text: String) -> String {
    let bytes = [UInt8](text.utf8)
    return written { GeoJSON.append(ewkb: unsafe bytes.span.bytes, to: &$0) }
  }

  /// EWKB put together field by field.
  private struct EWKB {
    var digits = ""
    var isLittleEndian = true

    mutating func head(_ type: UInt32, srid: UInt32? = nil) {
      digits += isLittleEndian ? "01" : "00"
      integer(srid == nil ? type : type | 0x2000_0000)
      if let srid { integer(srid) }
    }

    mutating func integer(_ value: UInt32) { append(value) }

    mutating func doubles(_ values: Double...) { for value in values { append(value.bitPattern) } }

    private mutating func append<T: FixedWidthInteger>(_ value: T) {
      let value = isLittleEndian ? value.byteSwapped : value
      for shift in stride(from: T.bitWidth - 4, through: 0, by: -4) {
        digits += String(
          UInt8(truncatingIfNeeded: value >> T(shift) & 0xF), radix: 16, uppercase: true)
      }
    }
  }

  private func point(_ type: UInt32, srid: UInt32? = nil, _ values: Double...) -> String {
    var ewkb = EWKB()
    ewkb.head(type, srid: srid)
    for value in values { ewkb.doubles(value) }
    return ewkb.digits
  }

  @Test func points() {
    // SELECT 'POINT(1 2)'::geometry, 'SRID=4326;POINT(4.9 52.37)'::geometry
    #expect(
      geoJSON("0101000000000000000000F03F0000000000000040")
        == #"{"type":"Point","coordinates":[1,2]}"#)
    #expect(
      geoJSON("0101000020E61000009A999999999913408FC2F5285C2F4A40")
        == #"{"type":"Point","coordinates":[4.9,52.37]}"#)
    #expect(
      geoJSON(point(1, srid: 3857, 0.1, -1e-7))
        == #"{"type":"Point","crs":{"type":"name","properties":{"name":"EPSG:3857"}},"#
        + #""coordinates":[0.1,-1e-07]}"#)
    #expect(geoJSON(point(0x8000_0001, 1, 2, 3)) == #"{"type":"Point","coordinates":[1,2,3]}"#)
    // A measure has no place in GeoJSON.
    #expect(geoJSON(point(0x4000_0001, 1, 2, 9)) == #"{"type":"Point","coordinates":[1,2]}"#)
    #expect(geoJSON(point(0xC000_0001, 1, 2, 3, 9)) == #"{"type":"Point","coordinates":[1,2,3]}"#)
    #expect(geoJSON(point(1, .nan, .nan)) == #"{"type":"Point","coordinates":[]}"#)
    var big = EWKB(isLittleEndian: false)
    big.head(1)
    big.doubles(1, 2)
    #expect(geoJSON(big.digits) == #"{"type":"Point","coordinates":[1,2]}"#)
  }

  @Test func linesAndPolygons() {
    var line = EWKB()
    line.head(2, srid: 4326)
    line.integer(2)
    line.doubles(0, 0, 1.5, -2)
    #expect(geoJSON(line.digits) == #"{"type":"LineString","coordinates":[[0,0],[1.5,-2]]}"#)
    var polygon = EWKB()
    polygon.head(0x8000_0003)
    polygon.integer(2)
    for offset in [0.0, 10] {
      polygon.integer(2)
      polygon.doubles(offset, 0, 5, offset, 1, 6)
    }
    #expect(
      geoJSON(polygon.digits)
        == #"{"type":"Polygon","coordinates":[[[0,0,5],[0,1,6]],[[10,0,5],[10,1,6]]]}"#)
    var empty = EWKB()
    empty.head(3)
    empty.integer(0)
    #expect(geoJSON(empty.digits) == #"{"type":"Polygon","coordinates":[]}"#)
  }

  @Test func collections() {
    var points = EWKB()
    points.head(4)
    points.integer(2)
    for x in [1.0, 3] {
      points.head(1)
      points.doubles(x, 2)
    }
    #expect(geoJSON(points.digits) == #"{"type":"MultiPoint","coordinates":[[1,2],[3,2]]}"#)
    var lines = EWKB()
    lines.head(5)
    lines.integer(1)
    lines.head(2)
    lines.integer(1)
    lines.doubles(7, 8)
    #expect(geoJSON(lines.digits) == #"{"type":"MultiLineString","coordinates":[[[7,8]]]}"#)
    var polygons = EWKB()
    polygons.head(6)
    polygons.integer(1)
    polygons.head(3)
    polygons.integer(1)
    polygons.integer(1)
    polygons.doubles(7, 8)
    #expect(geoJSON(polygons.digits) == #"{"type":"MultiPolygon","coordinates":[[[[7,8]]]]}"#)
    var all = EWKB()
    all.head(7, srid: 25832)
    all.integer(2)
    all.digits += point(1, 1, 2) + points.digits
    #expect(
      geoJSON(all.digits)
        == #"{"type":"GeometryCollection","crs":{"type":"name","properties":{"name":"EPSG:25832"}},"#
        + #""geometries":[{"type":"Point","coordinates":[1,2]},"#
        + #"{"type":"MultiPoint","coordinates":[[1,2],[3,2]]}]}"#)
  }

  /// Curves, surfaces, infinities, a part of the wrong kind, too deep, no EWKB at all.
  @Test func whatGeoJSONLacksStaysText() {
    var curve = EWKB()
    curve.head(8)
    curve.integer(1)
    curve.doubles(1, 2)
    var wrong = EWKB()
    wrong.head(4)
    wrong.integer(1)
    wrong.head(2)
    wrong.integer(0)
    var deep = EWKB()
    for _ in 0..<40 {
      deep.head(7)
      deep.integer(1)
    }
    deep.digits += point(1, 1, 2)
    let texts = [
      curve.digits, wrong.digits, deep.digits, point(1, .infinity, 1), point(1, 1, 2) + "00",
      "", "01", "POINT(1 2)", "02" + point(1, 1, 2).dropFirst(2),
    ]
    for text in texts { #expect(geoJSON(text) == "\"\(text)\"") }
  }

  /// Cut anywhere it is text; with any digit changed it is JSON still.
  @Test func malformedTextNeverTraps() throws {
    var all = EWKB()
    all.head(7, srid: 25832)
    all.integer(2)
    all.digits += point(1, 1, 2) + point(0x8000_0001, 1, 2, 3)
    let whole = Array(all.digits)
    for count in 0..<whole.count {
      let text = String(whole.prefix(count))
      #expect(geoJSON(text) == "\"\(text)\"")
    }
    var random = SeededRandom("geometries")
    for _ in 0..<20_000 {
      var changed = whole
      for _ in 0..<Int.random(in: 1...3, using: &random) {
        let place = Int.random(in: 0..<changed.count, using: &random)
        changed[place] = Array("0123456789ABCDEFx")[Int.random(in: 0..<17, using: &random)]
      }
      let json = geoJSON(String(changed))
      #expect(throws: Never.self) { try JSON(json) }
    }
  }

  @Test func theOptionChoosesTheForm() throws {
    var catalog = TypeCatalog()
    catalog.learn([
      TypeDescription(oid: 20_000, schema: "gis", name: "geometry", kind: .base(.userDefined)),
      TypeDescription(
        oid: 20_001, schema: "gis", name: "_geometry",
        kind: .array(element: 20_000, delimiter: 0x3A)),
    ])
    let text = "0101000000000000000000F03F0000000000000040"
    var options = ValueOptions()
    #expect(try json(text, 20_000, options, catalog) == "\"\(text)\"")
    options.geometry = .geojson
    let expected = #"{"type":"Point","coordinates":[1,2]}"#
    #expect(try json(text, 20_000, options, catalog) == expected)
    #expect(
      try json("{\(text):NULL:\(text)}", 20_001, options, catalog)
        == "[\(expected),null,\(expected)]")
  }
}
