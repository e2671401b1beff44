import PGWire

/// Writes PostGIS's geometries as GeoJSON (RFC 7946), as ST_AsGeoJSON does.
///
///     0101000020E6100000… → {"type":"Point","coordinates":[1,2]}
///
/// The text of `geometry` and `geography` is EWKB in hexadecimal digits:
///
/// ```
/// Byte1 order (1 = little-endian)  UInt32 type, with flags Z, M, SRID  [UInt32 SRID]
/// Point: coordinates               LineString: UInt32 count, coordinates
/// Polygon: UInt32 rings, each UInt32 count and coordinates
/// collections: UInt32 count, each a geometry with an order and a type of its own
/// ```
/// Heights are written, measures are not: GeoJSON has no place for them. A SRID other than 4326
/// stands in a member `crs`. What GeoJSON cannot say (curves, surfaces, coordinates that are not
/// finite) stays the text.
enum GeoJSON {
  /// How deep collections may be nested.
  private static let depthLimit = 16

  /// Appends the geometry, or its text as a string where GeoJSON has nothing for it.
  static func append(ewkb text: RawSpan, to json: inout ByteWriter) {
    let start = json.count
    var reader = EWKBReader(text)
    do throws(DecodingError) {
      let head = try Head(&reader)
      try append(head, &reader, isOutermost: true, depth: 0, to: &json)
      try reader.finish()
    } catch {
      json.truncate(to: start)
      JSONEscape.append(text, to: &json)
    }
  }

  /// What stands before each geometry.
  private struct Head {
    let kind: UInt32
    let hasZ: Bool
    let hasM: Bool
    let srid: UInt32

    @_lifetime(reader: copy reader)
    init(_ reader: inout EWKBReader) throws(DecodingError) {
      try reader.readOrder()
      let type = try reader.integer()
      kind = type & 0x1FFF_FFFF
      hasZ = type & 0x8000_0000 != 0
      hasM = type & 0x4000_0000 != 0
      srid = type & 0x2000_0000 != 0 ? try reader.integer() : 0
    }

    /// GeoJSON's name of the kind.
    var name: StaticString? {
      switch kind {
      case 1: "Point"
      case 2: "LineString"
      case 3: "Polygon"
      case 4: "MultiPoint"
      case 5: "MultiLineString"
      case 6: "MultiPolygon"
      case 7: "GeometryCollection"
      default: nil
      }
    }
  }

  @_lifetime(reader: copy reader)
  private static func append(
    _ head: Head, _ reader: inout EWKBReader, isOutermost: Bool, depth: Int,
    to json: inout ByteWriter
  ) throws(DecodingError) {
    guard let name = head.name, depth < depthLimit else { throw reader.isNoGeoJSON }
    json.append("{\"type\":\"")
    json.append(name)
    json.append(0x22 as UInt8)
    if isOutermost, head.srid != 0, head.srid != 4326 {
      json.append(",\"crs\":{\"type\":\"name\",\"properties\":{\"name\":\"EPSG:")
      json.append(decimal: UInt64(head.srid))
      json.append("\"}}")
    }
    if head.kind == 7 {
      json.append(",\"geometries\":[")
      for index in 0..<(try reader.integer()) {
        if index > 0 { json.append(0x2C as UInt8) }
        let part = try Head(&reader)
        try append(part, &reader, isOutermost: false, depth: depth + 1, to: &json)
      }
      json.append("]}")
    } else {
      json.append(",\"coordinates\":")
      try appendCoordinates(head, &reader, to: &json)
      json.append(0x7D as UInt8)
    }
  }

  @_lifetime(reader: copy reader)
  private static func appendCoordinates(
    _ head: Head, _ reader: inout EWKBReader, to json: inout ByteWriter
  ) throws(DecodingError) {
    switch head.kind {
    case 1: try appendPosition(head, &reader, mayBeEmpty: true, to: &json)
    case 2: try appendLine(head, &reader, to: &json)
    default:
      json.append(0x5B as UInt8)
      for index in 0..<(try reader.integer()) {
        if index > 0 { json.append(0x2C as UInt8) }
        guard head.kind != 3 else {
          try appendLine(head, &reader, to: &json)
          continue
        }
        let part = try Head(&reader)
        // The parts of a MultiPoint are points, and so on.
        guard part.kind == head.kind - 3 else { throw reader.isNoGeoJSON }
        try appendCoordinates(part, &reader, to: &json)
      }
      json.append(0x5D as UInt8)
    }
  }

  @_lifetime(reader: copy reader)
  private static func appendLine(
    _ head: Head, _ reader: inout EWKBReader, to json: inout ByteWriter
  ) throws(DecodingError) {
    json.append(0x5B as UInt8)
    for index in 0..<(try reader.integer()) {
      if index > 0 { json.append(0x2C as UInt8) }
      try appendPosition(head, &reader, mayBeEmpty: false, to: &json)
    }
    json.append(0x5D as UInt8)
  }

  /// `[x,y]` or `[x,y,z]`; an empty point has no numbers for coordinates.
  @_lifetime(reader: copy reader)
  private static func appendPosition(
    _ head: Head, _ reader: inout EWKBReader, mayBeEmpty: Bool, to json: inout ByteWriter
  ) throws(DecodingError) {
    let x = try reader.double()
    let y = try reader.double()
    let z = head.hasZ ? try reader.double() : 0
    if head.hasM { _ = try reader.double() }
    if mayBeEmpty, x.isNaN, y.isNaN { return json.append("[]") }
    guard x.isFinite, y.isFinite, z.isFinite else { throw reader.isNoGeoJSON }
    json.append(0x5B as UInt8)
    json.append(double: x)
    json.append(0x2C as UInt8)
    json.append(double: y)
    if head.hasZ {
      json.append(0x2C as UInt8)
      json.append(double: z)
    }
    json.append(0x5D as UInt8)
  }
}

/// Reads EWKB from its hexadecimal digits, in the order of bytes that it names itself.
private struct EWKBReader: ~Escapable {
  private let digits: RawSpan
  private var position = 0
  private var isLittleEndian = true

  @_lifetime(copy digits)
  init(_ digits: RawSpan) { self.digits = digits }

  /// Why a geometry stays text.
  var isNoGeoJSON: DecodingError {
    DecodingError(.violation("GeoJSON has no such geometry"), at: position)
  }

  @_lifetime(self: copy self)
  mutating func readOrder() throws(DecodingError) {
    let order = try bytes(1)
    guard order <= 1 else { throw isNoGeoJSON }
    isLittleEndian = order == 1
  }

  @_lifetime(self: copy self)
  mutating func integer() throws(DecodingError) -> UInt32 {
    let value = UInt32(truncatingIfNeeded: try bytes(4))
    return isLittleEndian ? value.byteSwapped : value
  }

  @_lifetime(self: copy self)
  mutating func double() throws(DecodingError) -> Double {
    let value = try bytes(8)
    return Double(bitPattern: isLittleEndian ? value.byteSwapped : value)
  }

  func finish() throws(DecodingError) {
    guard position == digits.byteCount else { throw isNoGeoJSON }
  }

  /// The next bytes, the first one highest.
  @_lifetime(self: copy self)
  private mutating func bytes(_ count: Int) throws(DecodingError) -> UInt64 {
    guard digits.byteCount - position >= 2 * count else {
      throw DecodingError(.truncated(needed: count, available: 0), at: position)
    }
    var value: UInt64 = 0
    for offset in position..<position + 2 * count {
      let digit = digits[offset]
      let nibble: UInt8
      switch digit {
      case 0x30...0x39: nibble = digit - 0x30
      case 0x41...0x46: nibble = digit - 0x37
      case 0x61...0x66: nibble = digit - 0x57
      default: throw isNoGeoJSON
      }
      value = value << 4 | UInt64(nibble)
    }
    position += 2 * count
    return value
  }
}
