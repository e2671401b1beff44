import PGWire

/// The structs that Debezium has for dates, times and intervals where none of them is a number
/// (`time.precision.mode = structured`); each of their fields may be null.
///
///     date            year month day                                                specialValue
///     time                           hour minute second nanos                       precision
///     timestamp       year month day hour minute second nanos                       specialValue precision
///     zonedTimestamp  year month day hour minute second nanos offsetSeconds zoneId  specialValue precision
///     zonedTime                      hour minute second nanos offsetSeconds         precision
///     duration        years months days hours minutes seconds nanos                 precision
enum StructuredTemporal: UInt8 {
  case date, time, timestamp, zonedTimestamp, zonedTime, duration

  /// What a type of PostgreSQL becomes; nil for those that are no dates, times or intervals.
  init?(_ oid: UInt32) {
    switch oid {
    case 1082: self = .date
    case 1083: self = .time
    case 1114: self = .timestamp
    case 1184: self = .zonedTimestamp
    case 1266: self = .zonedTime
    case 1186: self = .duration
    default: return nil
    }
  }

  // MARK: - Fields

  /// A field, in the order that all of them keep.
  enum Field: UInt8 {
    case year, month, day, hour, minute, second, nanos
    case offsetSeconds, zoneId, specialValue, precision
  }

  /// The fields that a struct has, in their order.
  struct Fields: Sequence, IteratorProtocol {
    fileprivate let type: StructuredTemporal
    private var place: UInt8 = 0

    fileprivate init(_ type: StructuredTemporal) { self.type = type }

    mutating func next() -> Field? {
      while let field = Field(rawValue: place) {
        place &+= 1
        if type.has(field) { return field }
      }
      return nil
    }
  }

  /// The fields that it has.
  var fields: Fields { Fields(self) }

  /// Whether it has such a field.
  func has(_ field: Field) -> Bool {
    switch field {
    case .year, .month, .day: self != .time && self != .zonedTime
    case .hour, .minute, .second, .nanos, .precision: self != .date
    case .offsetSeconds: self == .zonedTimestamp || self == .zonedTime
    case .zoneId: self == .zonedTimestamp
    case .specialValue: self == .date || self == .timestamp || self == .zonedTimestamp
    }
  }

  /// What a field is called.
  func name(of field: Field) -> StaticString {
    let counts = self == .duration
    return switch field {
    case .year: counts ? "years" : "year"
    case .month: counts ? "months" : "month"
    case .day: counts ? "days" : "day"
    case .hour: counts ? "hours" : "hour"
    case .minute: counts ? "minutes" : "minute"
    case .second: counts ? "seconds" : "second"
    case .nanos: "nanos"
    case .offsetSeconds: "offsetSeconds"
    case .zoneId: "zoneId"
    case .specialValue: "specialValue"
    case .precision: "precision"
    }
  }

  // MARK: - Schema

  /// What it is in Connect.
  var schema: ConnectSchema {
    let name =
      switch self {
      case .date: "Date"
      case .time: "Time"
      case .timestamp: "Timestamp"
      case .zonedTimestamp: "ZonedTimestamp"
      case .zonedTime: "ZonedTime"
      case .duration: "Duration"
      }
    return ConnectSchema(
      .structure(
        fields.map { .init("\(self.name(of: $0))", ConnectSchema(kind(of: $0)).optional()) }),
      "io.debezium.time.Structured\(name)")
  }

  private func kind(of field: Field) -> ConnectSchema.Kind {
    switch field {
    case .second where self == .duration: .int64
    case .month, .day, .hour, .minute, .second: self == .duration ? .int32 : .int8
    case .year, .nanos, .offsetSeconds, .precision: .int32
    case .zoneId, .specialValue: .string
    }
  }
}

/// A date, a time or an interval of PostgreSQL, taken apart into the fields of such a struct.
struct StructuredValue {
  /// What a field holds.
  enum Content {
    case null
    case number(Int64)
    case text(StaticString)
  }

  private var kind = CalendarText.Kind.moment
  private var year: Int64 = 0
  private var month: Int64 = 0
  private var day: Int64 = 0
  private var hour: Int64 = 0
  private var minute: Int64 = 0
  private var second: Int64 = 0
  private var nanos: Int64 = 0
  private var offset: Int64 = 0
  private let precision: Int64

  /// Reads PostgreSQL's text; nil when it is none of the type, or more than its fields can say.
  init?(_ text: RawSpan, as type: StructuredTemporal, precision: Int32) {
    self.precision = Int64(precision)
    if type == .duration {
      guard let interval = try? IntervalText(text) else { return nil }
      set(interval)
    } else {
      guard let moment = CalendarText(text),
        moment.kind == .moment || type.has(.specialValue),
        (0...CalendarText.microsecondsPerDay).contains(moment.microseconds)
      else { return nil }
      // A moment in UTC, but a time of day as it was written: its zone cannot be had back from UTC.
      set(type == .zonedTimestamp ? moment.inUTC : moment)
    }
    guard fits(year), fits(month), fits(day), fits(hour), fits(minute), fits(offset) else {
      return nil
    }
  }

  private mutating func set(_ moment: CalendarText) {
    kind = moment.kind
    (year, month, day) = moment.date
    let seconds = moment.microseconds / 1_000_000
    (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60)
    nanos = moment.microseconds % 1_000_000 * 1_000
    offset = moment.zone
  }

  /// Hours, minutes and seconds have the sign that they share.
  private mutating func set(_ interval: IntervalText) {
    let sign: Int64 = interval.isTimeNegative ? -1 : 1
    (year, month, day) = (interval.years, interval.months, interval.days)
    (hour, minute, second) = (
      sign * interval.hours, sign * interval.minutes, sign * interval.seconds
    )
    nanos = sign * interval.microseconds * 1_000
  }

  private func fits(_ number: Int64) -> Bool { Int32(exactly: number) != nil }

  /// What a field holds: of what is infinite only that it is, and its column's precision.
  subscript(field: StructuredTemporal.Field) -> Content {
    switch field {
    case .precision: .number(precision)
    case .specialValue:
      switch kind {
      case .moment: .null
      case .infinity: .text("POSITIVE_INFINITY")
      case .minusInfinity: .text("NEGATIVE_INFINITY")
      }
    case _ where kind != .moment: .null
    case .year: .number(year)
    case .month: .number(month)
    case .day: .number(day)
    case .hour: .number(hour)
    case .minute: .number(minute)
    case .second: .number(second)
    case .nanos: .number(nanos)
    case .offsetSeconds: .number(offset)
    // Java's name of UTC.
    case .zoneId: .text("Z")
    }
  }
}

// MARK: - Writing

extension DebeziumEncoder {
  /// Appends a struct of dates and times as a JSON object.
  func encode(
    structured type: StructuredTemporal, _ text: RawSpan, into json: inout ByteWriter
  ) -> Bool {
    guard let value = StructuredValue(text, as: type, precision: scale) else { return false }
    var mark: UInt8 = 0x7B
    for field in type.fields {
      json.append(mark)
      mark = 0x2C
      json.append(0x22 as UInt8)
      json.append(type.name(of: field))
      json.append("\":")
      switch value[field] {
      case .null: json.append("null")
      case .number(let number): json.append(decimal: number)
      case .text(let text):
        json.append(0x22 as UInt8)
        json.append(text)
        json.append(0x22 as UInt8)
      }
    }
    json.append(0x7D as UInt8)
    return true
  }

  /// Appends it as a record of Avro.
  func encode(
    structured type: StructuredTemporal, avro text: RawSpan, into bytes: inout ByteWriter
  ) -> Bool {
    guard let value = StructuredValue(text, as: type, precision: scale) else { return false }
    for field in type.fields {
      switch value[field] {
      case .null: bytes.append(AvroUnion.null)
      case .number(let number):
        bytes.append(AvroUnion.value)
        bytes.append(zigzag: number)
      case .text(let text):
        bytes.append(AvroUnion.value)
        bytes.append(zigzag: Int64(text.utf8CodeUnitCount))
        bytes.append(text)
      }
    }
    return true
  }

  /// Appends it as a message of Protobuf, whose fields are counted in their order.
  func encode(
    structured type: StructuredTemporal, protobuf text: RawSpan, into bytes: inout ByteWriter
  ) -> Bool {
    guard let value = StructuredValue(text, as: type, precision: scale) else { return false }
    let start = bytes.beginPart()
    var place: Int32 = 0
    for field in type.fields {
      place &+= 1
      switch value[field] {
      case .null: break
      case .number(let number): bytes.append(field: place, value: number)
      case .text(let text):
        bytes.append(field: place, ProtobufWire.bytes)
        bytes.append(varint: UInt64(text.utf8CodeUnitCount))
        bytes.append(text)
      }
    }
    bytes.endPart(from: start)
    return true
  }
}
