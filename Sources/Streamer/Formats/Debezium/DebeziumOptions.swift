/// What Debezium's connector leaves to its configuration, with its own names for the choices.
struct DebeziumOptions: Hashable, Sendable {
  /// `decimal.handling.mode`.
  enum Decimal: String, Hashable, Sendable, CaseIterable {
    /// The unscaled number as bytes.
    case precise
    /// The nearest double.
    case double
    /// The digits.
    case string
  }

  /// `time.precision.mode`.
  enum Time: String, Hashable, Sendable, CaseIterable {
    /// In the least unit that the column's precision needs.
    case adaptive
    /// The same, but times of day in microseconds.
    case adaptiveTimeMicroseconds = "adaptive_time_microseconds"
    /// Connect's own types: milliseconds.
    case connect
    /// Texts in ISO 8601.
    case isostring
    /// In microseconds.
    case microseconds
    /// In nanoseconds.
    case nanoseconds
    /// Structs of years, months, days and so on.
    case structured
  }

  /// `interval.handling.mode`.
  enum Interval: String, Hashable, Sendable, CaseIterable {
    /// In microseconds, a month as a twelfth of 365.25 days.
    case numeric
    /// As ISO 8601 has it.
    case string
  }

  /// `binary.handling.mode`.
  enum Binary: String, Hashable, Sendable, CaseIterable {
    /// Bytes, which JSON has in base 64.
    case bytes
    /// A string in base 64.
    case base64
    /// A string in base 64 with the alphabet of URLs.
    case base64URL = "base64-url-safe"
    /// A string of hexadecimal digits.
    case hex
  }

  /// `hstore.handling.mode`.
  enum Hstore: String, Hashable, Sendable, CaseIterable {
    /// A string that holds JSON.
    case json
    /// A map.
    case map
  }

  /// `include.unknown.datatypes`, and what its bytes should be.
  enum Unknown: String, Hashable, Sendable, CaseIterable {
    /// The column is left out.
    case omit
    /// PostgreSQL's text.
    case text
    /// The bytes of that text.
    case bytes
  }

  /// `field.name.adjustment.mode` and its fellow for schemas.
  enum Names: String, Hashable, Sendable, CaseIterable {
    /// As they are.
    case none
    /// What Avro does not take becomes "_".
    case avro
    /// What Avro does not take becomes its code point: "_u0020".
    case avroUnicode = "avro_unicode"
  }

  /// `topic.prefix`, the name of the source; nil is the database's.
  var name: String?
  /// Whether values carry their schema (`value.converter.schemas.enable`).
  var schemas = false
  /// How `numeric` and `money` are written.
  var decimal = Decimal.precise
  /// How dates and times are written.
  var time = Time.adaptive
  /// How `interval` is written.
  var interval = Interval.numeric
  /// How `bytea` is written.
  var binary = Binary.bytes
  /// How `hstore` is written.
  var hstore = Hstore.json
  /// How many digits of `money` stand behind the point.
  var moneyDigits = 2
  /// What stands for a TOASTed value that was not sent.
  var unavailable = "__debezium_unavailable_value"
  /// What becomes of types that Debezium does not know.
  var unknown = Unknown.omit
  /// How the names of columns are adjusted.
  var fieldNames = Names.none
  /// How the names of schemas are adjusted.
  var names = Names.none
  /// The letters of the operations that are left out.
  var skippedOperations: Set<String> = ["t"]
  /// Whether a record without a value follows each delete.
  var tombstones = true
}

/// The operations that are left out, as a row asks for them.
struct SkippedOperations: BitwiseCopyable {
  private let insert: Bool
  private let update: Bool
  private let delete: Bool
  private let truncate: Bool

  init(_ options: DebeziumOptions) {
    insert = options.skippedOperations.contains("c")
    update = options.skippedOperations.contains("u")
    delete = options.skippedOperations.contains("d")
    truncate = options.skippedOperations.contains("t")
  }

  /// Whether events of that kind are.
  @inline(__always)
  func contains(_ action: EventAction) -> Bool {
    switch action {
    case .insert: insert
    case .update: update
    case .delete: delete
    case .truncate: truncate
    default: false
    }
  }
}

extension DebeziumOptions {
  /// Reads `[sink.NAME.debezium]`.
  init(in reader: inout ConfigurationReader, isUsed: Bool) {
    guard var section = reader.section("debezium", subject: "Debezium's formats") else { return }
    if !isUsed {
      reader.note(
        "debezium", "has no effect without format = \"debezium\", \"flat\" or \"avro\"")
    }
    name = section.text("name").flatMap { $0.value.isEmpty ? nil : $0.value }
    schemas = section.boolean("schemas", default: false)
    decimal = section.choice("decimal", default: Decimal.precise)
    time = section.choice("time", default: Time.adaptive)
    interval = section.choice("interval", default: Interval.numeric)
    binary = section.choice("binary", default: Binary.bytes)
    hstore = section.choice("hstore", default: Hstore.json)
    moneyDigits = section.integer("moneyDigits", default: 2, in: 0...18)
    unavailable = section.text("unavailable")?.value ?? unavailable
    unknown = section.choice("unknown", default: Unknown.omit)
    fieldNames = section.choice("fieldNames", default: Names.none)
    names = section.choice("names", default: Names.none)
    tombstones = section.boolean("tombstones", default: true)
    if section.has("skippedOperations") {
      skippedOperations = section.operations("skippedOperations")
    }
    section.finish()
    reader.absorb(section)
  }
}

extension ConfigurationReader {
  /// Reads Debezium's letters of operations; "none" is the empty set.
  fileprivate mutating func operations(_ key: String) -> Set<String> {
    var letters: Set<String> = []
    for text in texts(key) {
      guard ["c", "u", "d", "t", "none"].contains(text.value) else {
        fail(
          key, at: text.position, found: text.shown,
          expected: "a list of \"c\", \"u\", \"d\" and \"t\", or \"none\"")
        continue
      }
      if text.value != "none" { letters.insert(text.value) }
    }
    return letters
  }
}
