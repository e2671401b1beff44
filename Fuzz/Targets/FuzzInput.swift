import PGWire

/// Takes an input apart: a few bytes that choose, and the rest.
struct FuzzInput {
  private(set) var rest: ArraySlice<UInt8>

  init(_ bytes: [UInt8]) { rest = bytes[...] }

  var isEmpty: Bool { rest.isEmpty }

  /// The next byte; 0 when there is none left.
  mutating func byte() -> UInt8 { rest.popFirst() ?? 0 }

  /// One of the choices, taken by the next byte.
  mutating func choice<T>(_ choices: [T]) -> T { choices[Int(byte()) % choices.count] }

  /// The next bytes: at most `count` of them.
  mutating func bytes(_ count: Int) -> [UInt8] {
    defer { rest = rest.dropFirst(count) }
    return Array(rest.prefix(count))
  }

  /// Everything that is left.
  mutating func all() -> [UInt8] { bytes(rest.count) }
}

/// A sequence of small numbers that one byte determines: how a stream is cut into reads.
struct Cuts {
  private var state: UInt64

  init(_ seed: UInt8) { state = UInt64(seed) &* 0x9e37_79b9_7f4a_7c15 }

  /// A number from 1 to `limit`, mostly at most `usually`.
  mutating func next(upTo limit: Int, usually: Int = 7) -> Int {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    let most = state >> 60 == 0 ? limit : min(limit, usually)
    return 1 + Int((state >> 33) % UInt64(most))
  }
}

/// What decoding gave: one text for what was decoded, or for what was wrong.
enum Outcome: Hashable {
  case value(String)
  case failure(String)

  /// Decodes and describes; the description must be one line.
  static func of<E: Error>(
    _ decode: () throws(E) -> String
  ) throws(Violation) -> Outcome {
    let outcome: Outcome
    do throws(E) { outcome = .value(try decode()) } catch { outcome = .failure("\(error)") }
    if case .failure(let text) = outcome {
      try require(
        text.isOneLine && !text.isEmpty, "an error is not one line: \(text.debugDescription)")
    }
    return outcome
  }
}

extension String {
  /// Whether no control character breaks the line.
  var isOneLine: Bool { unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7F } }
}

extension RawSpan {
  /// The bytes as an array.
  var copy: [UInt8] { (0..<byteCount).map { self[$0] } }
}
