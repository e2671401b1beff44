import CSimdJSON
import PGWire

/// Tells whether bytes are a whole JSON document in UTF-8.
@safe struct JSONDocumentCheck: ~Copyable {
  private let parser: OpaquePointer

  init() {
    guard let parser = unsafe csimdjson_new() else {
      preconditionFailure("there is no memory for a JSON parser")
    }
    unsafe self.parser = parser
  }

  deinit { unsafe csimdjson_free(parser) }

  /// Whether they are.
  func accepts(_ bytes: RawSpan) -> Bool {
    var found = unsafe csimdjson_event()
    // SAFETY: the bytes are read during the call only.
    let result = unsafe bytes.withUnsafeBytes { raw in
      unsafe csimdjson_parse_event(
        parser, raw.baseAddress?.assumingMemoryBound(to: CChar.self), raw.count, &found)
    }
    switch result {
    case CSIMDJSON_OK, CSIMDJSON_NO_OBJECT, CSIMDJSON_NO_STRING: return true
    default: return false
    }
  }
}
