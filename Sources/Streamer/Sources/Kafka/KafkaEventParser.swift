import CSimdJSON
import PGWire

/// Why a record of a topic is no event.
enum KafkaMalformation: Error, Hashable {
  /// It is no JSON document; the parser's words, which quote nothing of it.
  case notJSON(String)
  /// It has no value, as a tombstone.
  case noValue
  /// It is JSON and no object.
  case noObject
  /// `Database`, `Schema`, `Table` or `Action` is no string.
  case noString
  /// It names no table.
  case noTable
  /// It is too large to be parsed.
  case tooLarge
}

extension KafkaMalformation: CustomStringConvertible {
  /// The reason, to be read after "is no event:".
  var description: String {
    switch self {
    case .notJSON(let why): "its value is no JSON (\(why))"
    case .noValue: "it has no value"
    case .noObject: "its value is no JSON object"
    case .noString: "Database, Schema, Table or Action is no string"
    case .noTable: "it names no Table"
    case .tooLarge: "there is no memory to parse it"
    }
  }
}

/// Finds in an event's bytes what decides where it goes, and checks that all of them are JSON.
///
/// The texts are views of the parser's memory and change with the next event. Nothing is
/// allocated once the parser has seen an event of the usual size; one with a number beyond 64 bits
/// is read twice, the second time in a copy.
@safe struct KafkaEventParser: ~Copyable {
  /// The schema of an event of the old psql-streamer, which named none.
  private static let publicSchema: StaticString = "public"
  private static let message: StaticString = "message"

  private let parser: OpaquePointer
  private var event = unsafe csimdjson_event()

  init() {
    guard let parser = unsafe csimdjson_new() else {
      preconditionFailure("there is no memory for a JSON parser")
    }
    unsafe self.parser = parser
  }

  deinit { unsafe csimdjson_free(parser) }

  /// The database's name; empty when the event has none.
  var database: RawSpan {
    @_lifetime(borrow self) get {
      // SAFETY: the parser's texts live until its next document, for which this value is mutated.
      unsafe _overrideLifetime(Self.span(event.database), borrowing: self)
    }
  }
  /// The schema's name, "public" when the event has none.
  var schema: RawSpan {
    @_lifetime(borrow self) get {
      // SAFETY: the parser's texts live until its next document, for which this value is mutated.
      unsafe _overrideLifetime(Self.span(event.schema), borrowing: self)
    }
  }
  /// The table's name; empty for a logical message.
  var table: RawSpan {
    @_lifetime(borrow self) get {
      // SAFETY: the parser's texts live until its next document, for which this value is mutated.
      unsafe _overrideLifetime(Self.span(event.table), borrowing: self)
    }
  }

  /// Parses an event's value; the texts are its own from then on.
  mutating func parse(_ value: RawSpan) throws(KafkaMalformation) {
    var found = unsafe csimdjson_event()
    // SAFETY: the value is read during the call only.
    let result = unsafe value.withUnsafeBytes { raw in
      unsafe csimdjson_parse_event(
        parser, raw.baseAddress?.assumingMemoryBound(to: CChar.self), raw.count, &found)
    }
    unsafe event = found
    switch result {
    case CSIMDJSON_OK: break
    case CSIMDJSON_NOT_JSON:
      throw .notJSON(unsafe String(cString: csimdjson_error(parser)))
    case CSIMDJSON_NO_OBJECT: throw .noObject
    case CSIMDJSON_NO_STRING: throw .noString
    default: throw .tooLarge
    }
    if unsafe event.schema.bytes == nil { unsafe event.schema = Self.text(Self.publicSchema) }
    guard unsafe event.table.bytes != nil else { throw .noTable }
    if table.byteCount == 0, !isMessage { throw .noTable }
  }

  /// Whether the action is that of a logical message.
  private var isMessage: Bool {
    let message = unsafe Self.text(Self.message)
    return unsafe Self.span(event.action).equals(Self.span(message))
  }

  private static func text(_ text: StaticString) -> csimdjson_text {
    // SAFETY: a constant of the program.
    unsafe csimdjson_text(
      bytes: UnsafeRawPointer(text.utf8Start).assumingMemoryBound(to: CChar.self),
      length: text.utf8CodeUnitCount)
  }

  // Immortal only on paper: the callers bind it to the parser or drop it at once.
  @_lifetime(immortal)
  private static func span(_ text: csimdjson_text) -> RawSpan {
    // SAFETY: the parser's texts have the length that they name.
    let span = unsafe RawSpan(
      _unsafeBytes: UnsafeRawBufferPointer(start: text.bytes, count: text.length))
    return unsafe _overrideLifetime(span, borrowing: ())
  }
}
