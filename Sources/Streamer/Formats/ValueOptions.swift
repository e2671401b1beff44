/// How values are written where JSON leaves a choice.
struct ValueOptions: Hashable, Sendable {
  /// How `numeric` is written; NaN and the infinities are strings in each.
  enum Numeric: String, Hashable, Sendable, CaseIterable {
    /// As a string, with its scale: "1.50".
    case string
    /// As a number with all its digits: 1.50.
    case number
    /// As the nearest double: 1.5.
    case double
  }

  /// How `interval` is written.
  enum Interval: String, Hashable, Sendable, CaseIterable {
    /// As PostgreSQL prints it: "1 day 02:00:00".
    case postgres
    /// As ISO 8601 has it: "P1DT2H".
    case iso8601
  }

  /// How `bytea` is written.
  enum Bytea: String, Hashable, Sendable, CaseIterable {
    /// In base64 with padding.
    case base64
    /// In hexadecimal digits, without PostgreSQL's `\x`.
    case hex
  }

  /// How `json` and `jsonb` are written.
  enum JSON: String, Hashable, Sendable, CaseIterable {
    /// As part of the document.
    case embed
    /// As a string that holds the document's text.
    case string
  }

  /// How PostGIS's `geometry` and `geography` are written.
  enum Geometry: String, Hashable, Sendable, CaseIterable {
    /// As PostGIS prints them: EWKB in hexadecimal digits.
    case ewkb
    /// As GeoJSON objects, where GeoJSON has the kind of geometry.
    case geojson
  }

  /// How `numeric` is written.
  var numeric: Numeric = .string
  /// How `interval` is written.
  var interval: Interval = .postgres
  /// How `bytea` is written.
  var bytea: Bytea = .base64
  /// How `json` and `jsonb` are written.
  var json: JSON = .embed
  /// How `geometry` and `geography` are written.
  var geometry: Geometry = .ewkb
}
